"""The steps that compute: pulse sequence to dictionary, raw k-space to maps.

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
    TraitedSpec,
    isdefined,
    traits,
)

from mri2qmap_bids.workflow.step import PROGRAM, StepOfRun, run_of

logger = logging.getLogger(__name__)


class _BuildDictionaryInput(BaseInterfaceInputSpec):  # type: ignore[misc]
    raw_file = File(exists=True, mandatory=True, desc="ISMRMRD file, for its header")
    metadata = traits.Dict(mandatory=True, desc="sidecar, inheritance applied")
    entities = traits.Dict(nohash=True, desc="BIDS entities of the run, for its name in the log")
    b1_file = File(exists=True, desc="B1 map in per cent")
    # The same raw file and sidecar give the same, which count already.
    scan_file = File(nohash=True, desc="scan whose headers have been read, pickle")
    options = traits.Any(mandatory=True, desc="ReconOptions")
    checksum = traits.Str(
        "",
        usedefault=True,
        desc="of all that the maps depend on, so that a change is seen that size and time of a file hide",
    )
    program = traits.Str(PROGRAM, usedefault=True, desc="version of this program")
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


class BuildDictionary(StepOfRun):
    """Pulse sequence of a run to its dictionary; one that is in the cache is not built again."""

    input_spec = _BuildDictionaryInput
    output_spec = _BuildDictionaryOutput

    def _step(self, runtime: Any) -> Any:
        import torch

        from mri2qmap_bids.logs import no_warnings
        from mri2qmap_bids.recon.device import find_device
        from mri2qmap_bids.recon.grid import tissue_grid
        from mri2qmap_bids.recon.physics.dictionary import cached_dictionary
        from mri2qmap_bids.recon.physics.inversion_efficiency import check_inverted
        from mri2qmap_bids.workflow.scan import describe_scan, save_scan

        options = self.inputs.options
        logger.info("The run begins with its dictionary")
        torch.set_num_threads(self.inputs.n_threads)
        scan_file = Path(self.inputs.scan_file) if isdefined(self.inputs.scan_file) else None
        scan = describe_scan(self.inputs.metadata, Path(self.inputs.raw_file), scan_file)
        if options.inversion_efficiency != "given":
            check_inverted(scan.sequence)
        with no_warnings():  # the reconstruction reads it again
            b1 = _fields(self.inputs, scan.lines, "b1_file").b1
        path = cached_dictionary(
            scan.sequence,
            tissue_grid(options, b1),
            options.rank,
            options.energy,
            Path(self.inputs.cache_dir),
            find_device(options.device),
        )
        own = Path(runtime.cwd) / "scan.pickle"
        save_scan(scan, own)
        self._results = {"dictionary_file": str(path), "scan_file": str(own)}
        return runtime


class _ReconstructInput(BaseInterfaceInputSpec):  # type: ignore[misc]
    raw_file = File(exists=True, mandatory=True, desc="ISMRMRD file, for its samples")
    metadata = traits.Dict(mandatory=True, desc="sidecar, so that a change is seen")
    entities = traits.Dict(nohash=True, desc="BIDS entities of the run, for its name in the log")
    b1_file = File(exists=True, desc="B1 map in per cent")
    b0_file = File(exists=True, desc="B0 map")
    dictionary_file = File(exists=True, mandatory=True, desc="fingerprints and subspace")
    # The same raw file and sidecar give the same, which count already.
    scan_file = File(
        exists=True, mandatory=True, nohash=True, desc="pulse sequence and image lines, pickle"
    )
    options = traits.Any(mandatory=True, desc="ReconOptions")
    checksum = traits.Str(
        "",
        usedefault=True,
        desc="of all that the maps depend on, so that a change is seen that size and time of a file hide",
    )
    weights_file = File(
        exists=True, desc="weights of the denoiser that the options name, so that a change is seen"
    )
    program = traits.Str(
        PROGRAM,
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


class Reconstruct(StepOfRun):
    """Raw k-space to quantitative maps."""

    input_spec = _ReconstructInput
    output_spec = _ReconstructOutput

    def _step(self, runtime: Any) -> Any:
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
        from mri2qmap_bids.recon.planning.machine import MemoryLimits
        from mri2qmap_bids.recon.planning.resources import peak_memory_gb
        from mri2qmap_bids.recon.planning.schedule import schedule_of
        from mri2qmap_bids.recon.reconstruct import reconstruct_and_diagnose
        from mri2qmap_bids.recon.record import Record
        from mri2qmap_bids.workflow.progress import Progress
        from mri2qmap_bids.workflow.scan import describe_scan

        options = self.inputs.options
        memory, gpu_memory = (
            value if isdefined(value) else None
            for value in (self.inputs.memory_gb, self.inputs.gpu_memory_gb)
        )
        limits = MemoryLimits(memory, gpu_memory, self.inputs.low_memory)
        dictionary, cwd = load_dictionary(Path(self.inputs.dictionary_file)), Path(runtime.cwd)
        torch.set_num_threads(self.inputs.n_threads)
        scan = describe_scan(
            self.inputs.metadata, Path(self.inputs.raw_file), Path(self.inputs.scan_file)
        )
        lines = scan.lines
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
                samples = read_samples(lines, timed=fields.b0 is not None)
            maps, diagnostics = reconstruct_and_diagnose(
                samples,
                scan.sequence,
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
            "warnings": list(dict.fromkeys(on_fields + late)),
            "seconds": dict(record.seconds),
            "peak_memory_gb": peak_memory_gb(),
        }
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
    folder, run = Path(inputs.bar_dir), run_of(inputs)
    try:
        with watched(progress, lambda: write_state(folder, RunState(run, *progress.state))):
            yield
    finally:
        (folder / run).unlink(missing_ok=True)
