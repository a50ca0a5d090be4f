"""Each step of a run: files in, one core call, files out.

The science is imported when a step runs, so that building the graph stays quick.
"""

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

# To be raised when the maps or the outputs of a step change between versions.
_RESULTS = 2


class _StepOfRun(SimpleInterface):  # type: ignore[misc]
    """A step of one run: whatever goes wrong in it is said in one line with the run's raw file."""

    def _run_interface(self, runtime: Any) -> Any:
        from mri2qmap_bids.dataset.integrity import guard

        with guard(Path(self.inputs.raw_file)):
            return self._step(runtime)

    def _step(self, runtime: Any) -> Any:
        raise NotImplementedError


class _BuildDictionaryInput(BaseInterfaceInputSpec):  # type: ignore[misc]
    raw_file = File(exists=True, mandatory=True, desc="ISMRMRD file, for its header")
    metadata = traits.Dict(mandatory=True, desc="sidecar, inheritance applied")
    b1_file = File(exists=True, desc="B1 map in per cent")
    options = traits.Any(mandatory=True, desc="ReconOptions")
    cache_dir = traits.Str(mandatory=True, nohash=True, desc="where dictionaries are kept")
    n_threads = traits.Int(1, usedefault=True, nohash=True, desc="threads to use")
    # Nipype knows by this name that a step takes one of the GPU's slots.
    use_gpu = traits.Bool(False, usedefault=True, nohash=True, desc="whether it runs on a GPU")


class _BuildDictionaryOutput(TraitedSpec):  # type: ignore[misc]
    dictionary_file = File(exists=True, desc="fingerprints and subspace, safetensors")


class BuildDictionary(_StepOfRun):
    """Sidecar to dictionary, taken from the cache where it is there."""

    input_spec = _BuildDictionaryInput
    output_spec = _BuildDictionaryOutput

    def _step(self, runtime: Any) -> Any:
        from mri2qmap_bids.recon.device import find_device
        from mri2qmap_bids.recon.grid import tissue_grid
        from mri2qmap_bids.recon.physics.dictionary import cached_dictionary

        sequence, lines = _described(self.inputs)
        options = self.inputs.options
        path = cached_dictionary(
            sequence,
            tissue_grid(options, _transmit_field(self.inputs, lines)),
            options.rank,
            options.energy,
            Path(self.inputs.cache_dir),
            find_device(options.device),
        )
        self._results["dictionary_file"] = str(path)
        return runtime


class _ReconstructInput(BaseInterfaceInputSpec):  # type: ignore[misc]
    raw_file = File(exists=True, mandatory=True, desc="ISMRMRD file")
    metadata = traits.Dict(mandatory=True, desc="sidecar, inheritance applied")
    b1_file = File(exists=True, desc="B1 map in per cent")
    b0_file = File(exists=True, desc="B0 map")
    dictionary_file = File(exists=True, mandatory=True, desc="fingerprints and subspace")
    options = traits.Any(mandatory=True, desc="ReconOptions")
    weights_file = File(
        exists=True, desc="weights of the denoiser that the options name, so that a change is seen"
    )
    program = traits.Str(
        f"{__version__} {_RESULTS}",
        usedefault=True,
        desc="version of this program: a work directory's results of another one are not taken",
    )
    memory_gb = traits.Float(nohash=True, desc="memory to use [GB]; default what there is")
    gpu_memory_gb = traits.Float(nohash=True, desc="memory of the GPU to use [GB]; default free")
    low_memory = traits.Bool(
        False, usedefault=True, nohash=True, desc="whether to take the way that needs least"
    )
    n_threads = traits.Int(1, usedefault=True, nohash=True, desc="threads to use")
    # Nipype knows by this name that a step takes one of the GPU's slots.
    use_gpu = traits.Bool(False, usedefault=True, nohash=True, desc="whether it runs on a GPU")


class _ReconstructOutput(TraitedSpec):  # type: ignore[misc]
    maps_file = File(exists=True, desc="quantitative maps, npz")
    diagnostics_file = File(exists=True, desc="what a report shows beyond the maps, npz")
    header = traits.Any(desc="ScanHeader of the raw file")
    warnings = traits.List(traits.Str, desc="what the reconstruction warned of")
    seconds = traits.Dict(desc="time of what comes before the reconstruction [s]")
    peak_memory_gb = traits.Float(desc="most memory that the process held [GB]")


class Reconstruct(_StepOfRun):
    """Raw k-space to quantitative maps."""

    input_spec = _ReconstructInput
    output_spec = _ReconstructOutput

    def _step(self, runtime: Any) -> Any:
        from mri2qmap_bids.logs import heard_warnings
        from mri2qmap_bids.recon.acquisition.extent import extent_of_lines
        from mri2qmap_bids.recon.acquisition.raw import read_samples
        from mri2qmap_bids.recon.diagnostics.model import save_diagnostics
        from mri2qmap_bids.recon.forecast import plans_with
        from mri2qmap_bids.recon.off_resonance import span_of
        from mri2qmap_bids.recon.physics.dictionary import load_dictionary
        from mri2qmap_bids.recon.physics.maps import save_maps
        from mri2qmap_bids.recon.planning.plan import MemoryLimits
        from mri2qmap_bids.recon.planning.resources import peak_memory_gb
        from mri2qmap_bids.recon.reconstruct import reconstruct_and_diagnose
        from mri2qmap_bids.recon.record import Record

        options = self.inputs.options
        memory, gpu_memory = (
            value if isdefined(value) else None
            for value in (self.inputs.memory_gb, self.inputs.gpu_memory_gb)
        )
        limits = MemoryLimits(memory, gpu_memory, self.inputs.low_memory)
        dictionary = load_dictionary(Path(self.inputs.dictionary_file))
        sequence, lines = _described(self.inputs)
        record, cwd = Record(), Path(runtime.cwd)
        with heard_warnings() as warnings:
            b0 = _off_resonance(self.inputs, lines)
            # Refused before the samples are read, if there is no way.
            plans_with(dictionary, extent_of_lines(lines), options, limits, span_of(b0))
            with record.stage("reading"):
                scan = read_samples(lines, timed=b0 is not None)
                b1 = _transmit_field(self.inputs, lines)
            maps, diagnostics = reconstruct_and_diagnose(
                scan, sequence, options, dictionary, limits, b1, b0=b0
            )
        save_maps(maps, cwd / "maps.npz")
        save_diagnostics(diagnostics, cwd / "diagnostics.npz")
        self._results = {
            "maps_file": str(cwd / "maps.npz"),
            "diagnostics_file": str(cwd / "diagnostics.npz"),
            "header": lines.header,
            "warnings": warnings,
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
    diagnostics_file = File(exists=True, mandatory=True, desc="what a report shows besides")
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

        from mri2qmap_bids.dataset.checksum import KEY, inputs_checksum
        from mri2qmap_bids.dataset.derivatives import MapDocument, relative_path, write_maps
        from mri2qmap_bids.dataset.figures import Conditions, versions_in_use, write_diagnostics
        from mri2qmap_bids.dataset.provenance import describe_contrast, describe_maps
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
        document = MapDocument(
            entities=self.inputs.entities,
            maps=maps,
            sources=tuple(uri for uri in uris if uri),
            metadata=describe_maps(
                self.inputs.metadata, self.inputs.header, self.inputs.options, maps.resolution
            )
            | verdict(checks).metadata
            | {"QualityMeasures": measures(checks), "QualityWarnings": list(self.inputs.warnings)},
            every={
                KEY: inputs_checksum(
                    Path(self.inputs.raw_file),
                    self.inputs.metadata,
                    self.inputs.options,
                    b1_file,
                    b0_file,
                )
            },
            synthetic=synthesise_all(maps),
            synthetic_metadata={k: describe_contrast(v) for k, v in ROUTINE_CONTRASTS.items()},
        )
        output_dir = Path(self.inputs.output_dir)
        # Before the maps: a run whose maps are there is not done again.
        write_diagnostics(diagnostics_file, conditions, self.inputs.entities, output_dir)
        written = write_maps(document, output_dir)
        place = partial(relative_path, self.inputs.entities)
        main = {
            "t1_map": place("T1map"),
            "t2_map": place("T2map"),
            "m0_map": place("M0map"),
            "mask": place("mask", desc="brain"),
        }
        self._results["out_files"] = [str(path) for path in written]
        self._results |= {name: str(output_dir / path) for name, path in main.items()}
        return runtime


def _transmit_field(inputs: Any, lines: Any) -> Any:
    """The B1 map on the grid of a run's maps; None if there is none."""
    from mri2qmap_bids.dataset.fieldmap import read_transmit_field

    if not isdefined(inputs.b1_file):
        return None
    return read_transmit_field(Path(inputs.b1_file), _grid_of_maps(inputs, lines))


def _off_resonance(inputs: Any, lines: Any) -> Any:
    """The B0 map on the grid of a run's maps [Hz]; None if there is none."""
    from mri2qmap_bids.dataset.fieldmap import read_off_resonance

    if not isdefined(inputs.b0_file):
        return None
    return read_off_resonance(Path(inputs.b0_file), _grid_of_maps(inputs, lines))


def _grid_of_maps(inputs: Any, lines: Any) -> Any:
    from mri2qmap_bids.recon.acquisition.placement import place
    from mri2qmap_bids.recon.grid import resize

    return resize(place(lines)[0], inputs.options.matrix, lines.is_3d)


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

        path = write_report(Path(self.inputs.output_dir), self.inputs.page)
        self._results["report_file"] = str(path)
        return runtime


def _described(inputs: Any) -> tuple[Any, Any]:
    """Sequence and image lines of a run; sets the threads that the step may use."""
    import torch

    from mri2qmap_bids.dataset.sidecar import read_scan

    torch.set_num_threads(inputs.n_threads)
    return read_scan(inputs.metadata, Path(inputs.raw_file))
