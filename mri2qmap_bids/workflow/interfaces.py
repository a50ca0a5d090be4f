"""Each step of a run: files in, one core call, files out.

The science is imported when a step runs, so that building the graph stays quick.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
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

from mri2qmap_bids import __version__

logger = logging.getLogger(__name__)

# To be raised when the maps or the outputs of a step change between versions.
_RESULTS = 3
_PROGRAM = f"{__version__} {_RESULTS}"


class _StepOfRun(SimpleInterface):  # type: ignore[misc]
    """A step of one run: its log lines bear the run's name; any error is one line with the raw file's."""

    def _run_interface(self, runtime: Any) -> Any:
        from mri2qmap_bids.dataset.integrity import guard
        from mri2qmap_bids.logs import run_log, run_log_file

        raw_file, output_dir = Path(self.inputs.raw_file), self.inputs.log_dir
        run = run_named(raw_file)
        with (
            run_log(run, run_log_file(Path(output_dir), run) if output_dir else None),
            guard(raw_file),
        ):
            return self._step(runtime)

    def _step(self, runtime: Any) -> Any:
        raise NotImplementedError


def run_named(raw_file: Path) -> str:
    """A run's name, from that of its raw file.

    >>> run_named(Path("sub-01/anat/sub-01_acq-a_MRF.h5"))
    'sub-01_acq-a'
    """
    return raw_file.name.split(".")[0].removesuffix("_MRF")


class _BuildDictionaryInput(BaseInterfaceInputSpec):  # type: ignore[misc]
    raw_file = File(exists=True, mandatory=True, desc="ISMRMRD file, for its header")
    metadata = traits.Dict(mandatory=True, desc="sidecar, inheritance applied")
    b1_file = File(exists=True, desc="B1 map in per cent")
    options = traits.Any(mandatory=True, desc="ReconOptions")
    program = traits.Str(_PROGRAM, usedefault=True, desc="version of this program")
    cache_dir = traits.Str(mandatory=True, nohash=True, desc="where dictionaries are kept")
    log_dir = traits.Str(
        "", usedefault=True, nohash=True, desc="output directory whose logs/ gets lines"
    )
    n_threads = traits.Int(1, usedefault=True, nohash=True, desc="threads to use")
    # By this name Nipype recognises steps that take a slot of the GPU.
    use_gpu = traits.Bool(False, usedefault=True, nohash=True, desc="whether it runs on a GPU")


class _BuildDictionaryOutput(TraitedSpec):  # type: ignore[misc]
    dictionary_file = File(exists=True, desc="fingerprints and subspace, safetensors")
    scan_file = File(exists=True, desc="pulse sequence and image lines of the raw file, pickle")


class BuildDictionary(_StepOfRun):
    """Sidecar and headers of the raw file to the dictionary; one that is in the cache is not built again."""

    input_spec = _BuildDictionaryInput
    output_spec = _BuildDictionaryOutput

    def _step(self, runtime: Any) -> Any:
        import pickle

        import torch

        from mri2qmap_bids.dataset.sidecar import read_scan
        from mri2qmap_bids.logs import heard_warnings, no_warnings
        from mri2qmap_bids.recon.device import find_device
        from mri2qmap_bids.recon.grid import tissue_grid
        from mri2qmap_bids.recon.physics.dictionary import cached_dictionary
        from mri2qmap_bids.recon.physics.inversion_efficiency import check_inverted

        options = self.inputs.options
        logger.info("The run begins with its dictionary")
        torch.set_num_threads(self.inputs.n_threads)
        with heard_warnings() as warnings:
            sequence, lines = read_scan(self.inputs.metadata, Path(self.inputs.raw_file))
        if options.inversion_efficiency != "given":
            check_inverted(sequence)
        with no_warnings():  # the reconstruction reads it again
            b1 = _fields(self.inputs, lines, "b1_file").b1
        path = cached_dictionary(
            sequence,
            tissue_grid(options, b1),
            options.rank,
            options.energy,
            Path(self.inputs.cache_dir),
            find_device(options.device),
        )
        # The next step reads no header again.
        scan_file = Path(runtime.cwd) / "scan.pickle"
        scan_file.write_bytes(pickle.dumps((sequence, lines, warnings)))
        self._results = {"dictionary_file": str(path), "scan_file": str(scan_file)}
        return runtime


class _ReconstructInput(BaseInterfaceInputSpec):  # type: ignore[misc]
    raw_file = File(exists=True, mandatory=True, desc="ISMRMRD file, for its samples")
    metadata = traits.Dict(mandatory=True, desc="sidecar, so that a change is seen")
    b1_file = File(exists=True, desc="B1 map in per cent")
    b0_file = File(exists=True, desc="B0 map")
    dictionary_file = File(exists=True, mandatory=True, desc="fingerprints and subspace")
    # The same raw file and sidecar give the same, which count already.
    scan_file = File(
        exists=True, mandatory=True, nohash=True, desc="pulse sequence and image lines, pickle"
    )
    options = traits.Any(mandatory=True, desc="ReconOptions")
    weights_file = File(
        exists=True, desc="weights of the denoiser that the options name, so that a change is seen"
    )
    program = traits.Str(
        _PROGRAM,
        usedefault=True,
        desc="version of this program: a work directory's results of another one are not taken",
    )
    log_dir = traits.Str(
        "", usedefault=True, nohash=True, desc="output directory whose logs/ gets lines"
    )
    bar_dir = traits.Str("", usedefault=True, nohash=True, desc="where a bar looks for progress")
    memory_gb = traits.Float(
        nohash=True, desc="memory to use [GB]; default: 90 % of the available memory"
    )
    gpu_memory_gb = traits.Float(nohash=True, desc="memory of the GPU to use [GB]; default free")
    low_memory = traits.Bool(
        False,
        usedefault=True,
        nohash=True,
        desc="whether to choose the plan that needs least memory",
    )
    n_threads = traits.Int(1, usedefault=True, nohash=True, desc="threads to use")
    # By this name Nipype recognises steps that take a slot of the GPU.
    use_gpu = traits.Bool(False, usedefault=True, nohash=True, desc="whether it runs on a GPU")


class _ReconstructOutput(TraitedSpec):  # type: ignore[misc]
    maps_file = File(exists=True, desc="quantitative maps, npz")
    diagnostics_file = File(exists=True, desc="diagnostics for the report, npz")
    header = traits.Any(desc="ScanHeader of the raw file")
    warnings = traits.List(traits.Str, desc="what the reconstruction warned of")
    seconds = traits.Dict(desc="time of what comes before the reconstruction [s]")
    peak_memory_gb = traits.Float(desc="most memory that the process held [GB]")


class Reconstruct(_StepOfRun):
    """Raw k-space to quantitative maps."""

    input_spec = _ReconstructInput
    output_spec = _ReconstructOutput

    def _step(self, runtime: Any) -> Any:
        import pickle

        import torch

        from mri2qmap_bids.logs import heard_warnings, no_warnings
        from mri2qmap_bids.recon.acquisition.extent import extent_of_lines
        from mri2qmap_bids.recon.acquisition.raw import read_samples
        from mri2qmap_bids.recon.diagnostics.model import save_diagnostics
        from mri2qmap_bids.recon.forecast import plans_with
        from mri2qmap_bids.recon.methods.registry import method_named
        from mri2qmap_bids.recon.off_resonance import span_of
        from mri2qmap_bids.recon.physics.dictionary import load_dictionary
        from mri2qmap_bids.recon.physics.maps import save_maps
        from mri2qmap_bids.recon.planning.plan import MemoryLimits
        from mri2qmap_bids.recon.planning.resources import peak_memory_gb
        from mri2qmap_bids.recon.planning.schedule import schedule_of
        from mri2qmap_bids.recon.reconstruct import reconstruct_and_diagnose
        from mri2qmap_bids.recon.record import Record
        from mri2qmap_bids.workflow.progress import Progress

        options = self.inputs.options
        memory, gpu_memory = (
            value if isdefined(value) else None
            for value in (self.inputs.memory_gb, self.inputs.gpu_memory_gb)
        )
        limits = MemoryLimits(memory, gpu_memory, self.inputs.low_memory)
        dictionary, cwd = load_dictionary(Path(self.inputs.dictionary_file)), Path(runtime.cwd)
        torch.set_num_threads(self.inputs.n_threads)
        sequence, lines, early = pickle.loads(Path(self.inputs.scan_file).read_bytes())
        with no_warnings():  # the samples are placed again when they are read
            extent = extent_of_lines(lines)
        with heard_warnings() as on_fields:
            fields = _fields(self.inputs, lines, "b1_file", "b0_file")
        # Refused before the samples are read, if there is no way.
        plan = plans_with(dictionary, extent, options, limits, span_of(fields.b0))[0]
        work = method_named(options.method).work(options)
        progress = Progress(schedule_of(plan, work, 1 if extent.is_3d else extent.matrix[0]))
        record = Record(listener=progress)
        with heard_warnings() as late, _shown(progress, self.inputs):
            with record.stage("reading"):
                scan = read_samples(lines, timed=fields.b0 is not None)
            maps, diagnostics = reconstruct_and_diagnose(
                scan,
                sequence,
                options,
                dictionary,
                limits,
                fields.b1,
                listener=progress,
                b0=fields.b0,
            )
        progress.conclude()
        save_maps(maps, cwd / "maps.npz")
        save_diagnostics(diagnostics, cwd / "diagnostics.npz")
        self._results = {
            "maps_file": str(cwd / "maps.npz"),
            "diagnostics_file": str(cwd / "diagnostics.npz"),
            "header": lines.header,
            "warnings": list(dict.fromkeys(early + on_fields + late)),
            "seconds": dict(record.seconds),
            "peak_memory_gb": peak_memory_gb(),
        }
        return runtime


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
    options = traits.Any(mandatory=True, desc="ReconOptions")
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


class WriteDerivatives(_StepOfRun):
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
        from mri2qmap_bids.dataset.checksum import KEY, inputs_checksum
        from mri2qmap_bids.dataset.derivatives import MapDocument, relative_path, write_maps
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
        from mri2qmap_bids.recon.physics.contrasts import ROUTINE_CONTRASTS, synthesise_all
        from mri2qmap_bids.recon.physics.maps import load_maps
        from mri2qmap_bids.report.rules import check, measures, verdict
        from mri2qmap_bids.report.run import unwritten_run

        maps = load_maps(Path(self.inputs.maps_file))
        b1_file, b0_file = (
            Path(file) if isdefined(file) else None
            for file in (self.inputs.b1_file, self.inputs.b0_file)
        )
        uris = (self.inputs.source, self.inputs.b1_source, self.inputs.b0_source)
        conditions = Conditions(
            command=self.inputs.command,
            warnings=tuple(self.inputs.warnings),
            options=asdict(self.inputs.options),
            seconds=self.inputs.seconds,
            peak_memory_gb=self.inputs.peak_memory_gb,
            versions=versions_in_use(),
        )
        diagnostics_file = Path(self.inputs.diagnostics_file)
        run = unwritten_run(self.inputs.entities, maps, diagnostics_file, conditions)
        checks = check(run)
        described = describe_maps(
            self.inputs.metadata,
            self.inputs.header,
            self.inputs.options,
            maps.resolution,
            None if run.diagnostics is None else run.diagnostics.sequence.inversion_efficiency,
        )
        z, y, x = (1e-3 * size for size in run.voxel_size)
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
                "QualityWarnings": list(self.inputs.warnings),
                "QualityNotes": run.notes,
            },
            every={
                KEY: inputs_checksum(
                    Path(self.inputs.raw_file),
                    self.inputs.metadata,
                    self.inputs.options,
                    b1_file,
                    b0_file,
                )
            },
            brain=brain,
            brain_method=BRAIN_METHOD,
            labels=tissue_classes(maps.t1, brain, field),
            probabilities={}
            if maps.t1_std is None
            else tissue_probabilities(maps.t1, maps.t1_std, brain, field),
            tissue_metadata=describe_tissues(self.inputs.entities, field),
            synthetic=synthesise_all(maps),
            synthetic_metadata={
                name: describe_contrast(contrast, max(run.voxel_size))
                for name, contrast in ROUTINE_CONTRASTS.items()
            },
        )
        output_dir = Path(self.inputs.output_dir)
        # Before the maps: a run whose maps are there is not done again.
        write_diagnostics(diagnostics_file, conditions, self.inputs.entities, output_dir)
        written = write_maps(document, output_dir)
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


def _fields(inputs: Any, lines: Any, *names: str) -> Any:
    """The fields on the grid of a run's maps, of those inputs among ``b1_file`` and ``b0_file`` that are named."""
    from mri2qmap_bids.dataset.fieldmap import fields_of_scan

    files = {name: getattr(inputs, name) for name in names}
    known = {name: Path(file) for name, file in files.items() if isdefined(file)}
    return fields_of_scan(lines, inputs.options.matrix, known.get("b1_file"), known.get("b0_file"))


@contextmanager
def _shown(progress: Any, inputs: Any) -> Iterator[None]:
    """Remind of long stages inside the block, and leave the progress where a bar looks for it."""
    from mri2qmap_bids.workflow.bar import RunState, write_state
    from mri2qmap_bids.workflow.progress import watched

    if not inputs.bar_dir:
        with watched(progress):
            yield
        return
    folder, run = Path(inputs.bar_dir), run_named(Path(inputs.raw_file))
    try:
        with watched(progress, lambda: write_state(folder, RunState(run, *progress.state))):
            yield
    finally:
        (folder / run).unlink(missing_ok=True)


class _WriteReportInput(BaseInterfaceInputSpec):  # type: ignore[misc]
    output_dir = traits.Str(mandatory=True, desc="root of the derivative dataset")
    page = traits.Any(mandatory=True, desc="Page")
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
        path = write_report(Path(self.inputs.output_dir), page)
        logger.info("%s: report: %s", page.name, path)
        self._results["report_file"] = str(path)
        return runtime
