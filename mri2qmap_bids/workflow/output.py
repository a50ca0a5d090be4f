"""The steps that write: maps to derivatives, derivatives to reports."""

import logging
from pathlib import Path
from typing import Any

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)

from mri2qmap_bids.workflow.step import StepOfRun

logger = logging.getLogger(__name__)


class _WriteDerivativesInput(BaseInterfaceInputSpec):  # type: ignore[misc]
    maps_file = File(exists=True, mandatory=True, desc="quantitative maps")
    raw_file = File(exists=True, mandatory=True, desc="ISMRMRD file, for its checksum")
    header = traits.Any(mandatory=True, desc="ScanHeader of the raw file")
    metadata = traits.Dict(mandatory=True, desc="sidecar, inheritance applied")
    b1_file = File(exists=True, desc="B1 map in per cent")
    b0_file = File(exists=True, desc="B0 map")
    entities = traits.Dict(mandatory=True, desc="BIDS entities of the run")
    source = traits.Str("", usedefault=True, desc="BIDS URI of the raw file")
    b1_source = traits.Str("", usedefault=True, desc="BIDS URI of the B1 map")
    b0_source = traits.Str("", usedefault=True, desc="BIDS URI of the B0 map")
    # One that is not there costs the run its place in it, not its maps.
    t1w_file = File(desc="T1w image to register the maps to")
    t1w_source = traits.Str("", usedefault=True, desc="BIDS URI of the T1w image")
    output_spaces = traits.List(
        traits.Str, ["native"], usedefault=True, desc="grids to write the maps on: native, T1w"
    )
    options = traits.Any(mandatory=True, desc="ReconOptions")
    checksum = traits.Str(
        "",
        usedefault=True,
        desc="of all that the maps depend on, when the run began; default: as it is now",
    )
    output_dir = traits.Str(mandatory=True, desc="root of the derivative dataset")
    log_dir = traits.Str(
        "", usedefault=True, nohash=True, desc="output directory whose logs/ gets lines"
    )
    diagnostics_file = File(exists=True, mandatory=True, desc="diagnostics for the report, npz")
    warnings = traits.List(traits.Str, desc="what the reconstruction warned of")
    seconds = traits.Dict(desc="time of what came before the reconstruction [s]")
    peak_memory_gb = traits.Float(0.0, usedefault=True, desc="most memory that was held [GB]")
    command = traits.Str("", usedefault=True, desc="words on the command line")


class _WriteDerivativesOutput(TraitedSpec):  # type: ignore[misc]
    out_files = traits.List(File(exists=True), desc="the NIfTI files written")
    t1_map = File(exists=True, desc="T1 [s]")
    t2_map = File(exists=True, desc="T2 [s]")
    m0_map = File(exists=True, desc="magnitude of M0")
    mask = File(exists=True, desc="voxels that have maps")


class WriteDerivatives(StepOfRun):
    """Maps to BIDS derivatives with sidecars and synthetic weighted images."""

    input_spec = _WriteDerivativesInput
    output_spec = _WriteDerivativesOutput
    # Derivatives may be deleted behind the cache's back; writing them is cheap.
    always_run = True

    def _step(self, runtime: Any) -> Any:
        from dataclasses import asdict
        from functools import partial

        import numpy as np

        from mri2qmap_bids.dataset.brain import BRAIN_METHOD, brain_mask
        from mri2qmap_bids.dataset.checksum import KEY, maps_checksum, placed_checksum
        from mri2qmap_bids.dataset.derivatives import MapDocument, relative_path
        from mri2qmap_bids.dataset.figures import Conditions, versions_in_use, write_diagnostics
        from mri2qmap_bids.dataset.outputs import MASK, MASK_DESC
        from mri2qmap_bids.dataset.provenance import (
            describe_contrast,
            describe_maps,
            describe_tissues,
        )
        from mri2qmap_bids.dataset.tissue import (
            USUAL_FIELD,
            tissue_classes,
            tissue_probabilities,
        )
        from mri2qmap_bids.dataset.transform import T1W, describe_placement
        from mri2qmap_bids.logs import heard_warnings
        from mri2qmap_bids.recon.physics.contrasts import ROUTINE_CONTRASTS, synthesise_all
        from mri2qmap_bids.recon.physics.maps import load_maps
        from mri2qmap_bids.recon.weights import fitting_options
        from mri2qmap_bids.report.rules import check, measures, verdict
        from mri2qmap_bids.report.run import unwritten_run

        maps = load_maps(Path(self.inputs.maps_file))
        b1_file, b0_file, t1w_file = (
            Path(file) if isdefined(file) else None
            for file in (self.inputs.b1_file, self.inputs.b0_file, self.inputs.t1w_file)
        )
        synthetic = synthesise_all(maps)
        with heard_warnings() as on_placement:
            placement = self._placement(maps, synthetic[T1W], t1w_file)
        spaces = tuple(self.inputs.output_spaces)
        uris = (self.inputs.source, self.inputs.b1_source, self.inputs.b0_source)
        conditions = Conditions(
            command=self.inputs.command,
            warnings=(*self.inputs.warnings, *on_placement),
            options=asdict(self.inputs.options),
            seconds=self.inputs.seconds,
            peak_memory_gb=self.inputs.peak_memory_gb,
            versions=versions_in_use(),
        )
        diagnostics_file = Path(self.inputs.diagnostics_file)
        run = unwritten_run(self.inputs.entities, maps, diagnostics_file, conditions)
        checks = check(run)
        z, y, x = (1e-3 * size for size in run.voxel_size)
        # Of slices one by one the point spread has no third axis.
        skipped = 1 if maps.resolution is not None and len(maps.resolution) == 2 else 0
        described = describe_maps(
            self.inputs.metadata,
            self.inputs.header,
            fitting_options(self.inputs.options, maps.t1.shape[skipped:], (z, y, x)[skipped:]),
            maps.resolution,
            None if run.diagnostics is None else run.diagnostics.sequence.inversion_efficiency,
        )
        field = described.get("MagneticFieldStrength", USUAL_FIELD)
        brain = brain_mask(maps.t1, maps.t2, np.abs(maps.m0), maps.mask, (z, y, x), field)
        document = MapDocument(
            entities=self.inputs.entities,
            maps=maps,
            sources=tuple(uri for uri in uris if uri),
            metadata=described
            | verdict(checks).metadata
            | {
                "QualityMeasures": measures(checks),
                "QualityWarnings": list(conditions.warnings),
                "QualityNotes": run.notes,
            }
            | describe_placement(placement, self.inputs.entities, spaces),
            every={
                KEY: placed_checksum(
                    # That of the beginning: a file that has changed since is not what the maps are of.
                    self.inputs.checksum
                    or maps_checksum(
                        Path(self.inputs.raw_file),
                        self.inputs.metadata,
                        self.inputs.options,
                        b1_file,
                        b0_file,
                    ),
                    t1w_file,
                    spaces,
                )
            },
            brain=brain,
            brain_method=BRAIN_METHOD,
            labels=tissue_classes(maps.t1, brain, field),
            probabilities={}
            if maps.t1_std is None
            else tissue_probabilities(maps.t1, maps.t1_std, brain, field),
            tissue_metadata=describe_tissues(self.inputs.entities, field),
            synthetic=synthetic,
            synthetic_metadata={
                name: describe_contrast(contrast, max(run.voxel_size))
                for name, contrast in ROUTINE_CONTRASTS.items()
            },
        )
        output_dir = Path(self.inputs.output_dir)
        # Before the maps: a run whose maps are there is not done again.
        write_diagnostics(diagnostics_file, conditions, self.inputs.entities, output_dir)
        written = self._write(document, placement, output_dir)
        logger.info("%d files written to %s", len(written), output_dir / written[0].parent)
        place = partial(relative_path, self.inputs.entities)
        main = {
            "t1_map": place("T1map"),
            "t2_map": place("T2map"),
            "m0_map": place("M0map"),
            "mask": place(MASK, desc=MASK_DESC),
        }
        self._results["out_files"] = [str(path) for path in written]
        self._results |= {name: str(output_dir / path) for name, path in main.items()}
        return runtime

    def _write(self, document: Any, placement: Any, output_dir: Path) -> list[Path]:
        """The maps, and what follows from the run's place in the participant's T1w image."""
        from mri2qmap_bids.dataset.derivatives import write_maps
        from mri2qmap_bids.dataset.figures import write_registered
        from mri2qmap_bids.dataset.t1w_space import on_t1w_grid, remove_placed, t1w_on_maps
        from mri2qmap_bids.dataset.transform import T1W, write_transform

        remove_placed(document.entities, output_dir)
        if placement is not None:
            write_transform(placement, document, output_dir)
            write_registered(t1w_on_maps(placement, document.maps), document.entities, output_dir)
        others = []
        if placement is not None and T1W in self.inputs.output_spaces:
            others.append(on_t1w_grid(document, placement))
        return write_maps(document, output_dir, others)

    def _placement(self, maps: Any, synthetic: Any, t1w_file: Path | None) -> Any:
        """Where the run lies in the participant's T1w image, if there is one."""
        from mri2qmap_bids.dataset.placement import place_in_t1w
        from mri2qmap_bids.dataset.transform import T1W

        placement = None
        if t1w_file is not None:
            placement = place_in_t1w(maps, synthetic, t1w_file, self.inputs.t1w_source)
        if placement is None and T1W in self.inputs.output_spaces:
            why = "there is no T1w image" if t1w_file is None else "it is not registered"
            logger.warning("No maps on the grid of the T1w image: %s", why)
        return placement


class _WriteReportInput(BaseInterfaceInputSpec):  # type: ignore[misc]
    output_dir = traits.Str(mandatory=True, desc="root of the derivative dataset")
    page = traits.Any(mandatory=True, desc="Page")
    viewer = traits.Bool(False, usedefault=True, desc="whether to write views of T1 and T2, too")
    written = traits.List(desc="maps to wait for")


class _WriteReportOutput(TraitedSpec):  # type: ignore[misc]
    report_file = File(exists=True, desc="the page")


class WriteReport(SimpleInterface):  # type: ignore[misc]
    """Derivatives of a participant to a page."""

    input_spec = _WriteReportInput
    output_spec = _WriteReportOutput
    # Runs of earlier calls are on it, too.
    always_run = True

    def _run_interface(self, runtime: Any) -> Any:
        from mri2qmap_bids.report.page import write_report

        page = self.inputs.page
        path = write_report(Path(self.inputs.output_dir), page, self.inputs.viewer)
        logger.info("%s: report: %s", page.name, path)
        self._results["report_file"] = str(path)
        return runtime
