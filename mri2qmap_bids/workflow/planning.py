"""Memory and time of a run, predicted from its headers before its samples are read."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mri2qmap_bids.dataset.integrity import guard
from mri2qmap_bids.dataset.query import MRFRun
from mri2qmap_bids.errors import Mri2QmapError, OutputError
from mri2qmap_bids.logs import no_warnings
from mri2qmap_bids.recon.planning.plan import Plan
from mri2qmap_bids.settings import Settings
from mri2qmap_bids.workflow.folders import WorkFolder
from mri2qmap_bids.workflow.scan import DescribedScan, describe_scan, save_scan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mri2qmap_bids.recon.acquisition.extent import ScanExtent
    from mri2qmap_bids.recon.physics.dictionary import TissueGrid

# Without a dictionary of the train the rank is not known; that of usual trains.
_USUAL_RANK = 6
_USUAL_RANK_WITH_B1 = 16


@dataclass(frozen=True)
class Survey:
    """Memory and scan of a run, from its headers, before it begins."""

    memory_gb: float
    """The host's memory that it will take [GB]."""
    scan_file: Path
    """Its scan (see :class:`DescribedScan`), for the steps of the run."""


def survey(
    runs: Iterable[MRFRun], settings: Settings
) -> tuple[dict[str, Survey], dict[str, Mri2QmapError]]:
    """Which runs can be reconstructed, by their headers and field maps.

    Parameters
    ----------
    runs
        What to reconstruct.
    settings
        Directories, resources and method.

    Returns
    -------
    What is known of a run that can be done, and why another cannot, both by its name. The scans are written
    into the work directory.

    Raises
    ------
    OutputError
        If the work directory cannot be written.
    """
    surveys, problems = {}, {}
    for run in runs:
        try:
            with no_warnings():  # of field maps, which the reconstruction reads again
                surveys[run.name] = _survey(run, settings)
        except OutputError:
            raise  # of the work directory, which all runs share
        except Mri2QmapError as error:
            problems[run.name] = error
    return surveys, problems


def _survey(run: MRFRun, settings: Settings) -> Survey:
    if settings.plugin == "SLURM":
        # The plan is made on the node, which may be quite another machine than this one.
        with guard(run.path):
            scan = _read(run, settings)[0]
        memory_gb = settings.memory_gb
    else:
        forecast = forecast_of(run, settings)
        scan, plan = forecast.scan, forecast.ways[0]
        memory_gb = (plan.host or plan.device) / 1e9
    scan_file = settings.work_dir / WorkFolder.SCANS / f"{run.name}.pickle"
    save_scan(scan, scan_file)
    return Survey(memory_gb, scan_file)


def _read(
    run: MRFRun, settings: Settings
) -> "tuple[DescribedScan, ScanExtent, NDArray[np.float32] | None, float]":
    """Scan, its size, transmit field and range of frequencies [Hz]; all faults are found here."""
    from mri2qmap_bids.dataset.anatomical import read_t1w
    from mri2qmap_bids.dataset.fieldmap import fields_of_scan
    from mri2qmap_bids.dataset.transform import T1W
    from mri2qmap_bids.recon.acquisition.extent import extent_of_lines
    from mri2qmap_bids.recon.off_resonance import span_of

    if run.t1w is not None and T1W in settings.output_spaces:
        read_t1w(run.t1w.path)
    scan = describe_scan(run.metadata, run.path)
    files = (None if field is None else field.path for field in (run.b1, run.b0))
    fields = fields_of_scan(scan.lines, settings.recon.matrix, *files)
    return scan, extent_of_lines(scan.lines), fields.b1, span_of(fields.b0)


@dataclass(frozen=True)
class Forecast:
    """What is predicted of a run."""

    ways: list[Plan]
    """To reconstruct it, those that fit the machine, the best first."""
    scan: DescribedScan
    """Its pulse sequence and image lines."""
    grid: "TissueGrid"
    """Tissues of its dictionary."""
    dictionary_file: Path
    """Where its dictionary is, or will be kept."""


def forecast_of(run: MRFRun, settings: Settings) -> Forecast:
    """Ways to reconstruct a run, and the dictionary that it needs.

    Parameters
    ----------
    run
        What to reconstruct.
    settings
        Directories, resources and method.

    Raises
    ------
    Mri2QmapError
        If the run's files are unusable, or no way fits the memory.
    """
    with guard(run.path):
        return _forecast(run, settings)


def _forecast(run: MRFRun, settings: Settings) -> Forecast:
    import torch

    from mri2qmap_bids.recon.forecast import plan_for, plans_with, problem_size
    from mri2qmap_bids.recon.grid import tissue_grid
    from mri2qmap_bids.recon.physics.dictionary import dictionary_path, load_dictionary
    from mri2qmap_bids.recon.planning.machine import MemoryLimits

    torch.set_num_threads(settings.omp_threads)
    options = settings.recon
    scan, extent, b1, span = _read(run, settings)
    limits = MemoryLimits(settings.memory_gb, settings.gpu_memory_gb, settings.low_memory)
    grid = tissue_grid(options, b1)
    cache_dir = settings.work_dir / WorkFolder.DICTIONARIES
    cached = dictionary_path(scan.sequence, grid, options.rank, options.energy, cache_dir)
    if cached.exists():
        ways = plans_with(load_dictionary(cached), extent, options, limits, span)
        return Forecast(ways, scan, grid, cached)
    usual = _USUAL_RANK if b1 is None else _USUAL_RANK_WITH_B1
    rank, n_atoms = options.rank or usual, grid.n_fields * len(grid.t1) * len(grid.t2)
    size = problem_size(extent, options, rank, n_atoms, True, grid.n_fields, span)
    return Forecast(plan_for(size, options, limits), scan, grid, cached)
