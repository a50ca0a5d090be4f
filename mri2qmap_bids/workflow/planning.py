"""What a run will cost, told from its header before anything is read."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mri2qmap_bids.dataset.integrity import guard
from mri2qmap_bids.dataset.query import MRFRun
from mri2qmap_bids.errors import Mri2QmapError
from mri2qmap_bids.recon.planning.cost import Plan
from mri2qmap_bids.settings import Settings

if TYPE_CHECKING:
    from mri2qmap_bids.recon.acquisition.extent import ScanExtent
    from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence

# Without a dictionary of the train the rank is not known; that of usual trains.
_USUAL_RANK = 6
_USUAL_RANK_WITH_B1 = 16
# Range of frequencies of a B0 map that has not been read [Hz].
_USUAL_SPAN = 400.0


def survey(
    runs: Iterable[MRFRun], settings: Settings
) -> tuple[dict[str, float], dict[str, Mri2QmapError]]:
    """Which runs can be done, told from their headers.

    Parameters
    ----------
    runs
        What to reconstruct.
    settings
        Directories, resources and method.

    Returns
    -------
    The host's memory that a run will take [GB], and why a run cannot be done, both by its name.
    """
    memory, problems = {}, {}
    for run in runs:
        try:
            memory[run.name] = _memory_of(run, settings)
        except Mri2QmapError as error:
            problems[run.name] = error
    return memory, problems


def _memory_of(run: MRFRun, settings: Settings) -> float:
    """The host's memory that a run will take [GB]."""
    if settings.plugin == "SLURM":
        # The plan is made on the node, which may be quite another machine than this one.
        with guard(run.path):
            _read(run)
        return settings.memory_gb
    plan = plans_of(run, settings)[0]
    return (plan.host or plan.device) / 1e9


def _read(run: MRFRun) -> "tuple[PulseSequence, ScanExtent]":
    """What a run's sidecar and headers say."""
    from mri2qmap_bids.dataset.sidecar import read_scan
    from mri2qmap_bids.recon.acquisition.extent import extent_of_lines

    sequence, lines = read_scan(run.metadata, run.path)
    return sequence, extent_of_lines(lines)


def plans_of(run: MRFRun, settings: Settings) -> list[Plan]:
    """Ways to reconstruct a run that fit the machine, the best first.

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
        return _plans(run, settings)


def _plans(run: MRFRun, settings: Settings) -> list[Plan]:
    import torch

    from mri2qmap_bids.recon.forecast import plan_for, plans_with, problem_size
    from mri2qmap_bids.recon.grid import tissue_grid
    from mri2qmap_bids.recon.physics.dictionary import dictionary_path, load_dictionary
    from mri2qmap_bids.recon.planning.plan import MemoryLimits

    torch.set_num_threads(settings.omp_threads)
    options = settings.recon
    sequence, extent = _read(run)
    limits = MemoryLimits(settings.memory_gb, settings.gpu_memory_gb, settings.low_memory)
    grid = tissue_grid(options)
    cache_dir = settings.work_dir / "dictionaries"
    cached = dictionary_path(sequence, grid, options.rank, options.energy, cache_dir)
    span = _USUAL_SPAN if run.b0 is not None else 0.0
    if cached.exists() and run.b1 is None:
        return plans_with(load_dictionary(cached), extent, options, limits, span)
    usual = _USUAL_RANK if run.b1 is None else _USUAL_RANK_WITH_B1
    rank, n_atoms = options.rank or usual, len(grid.t1) * len(grid.t2)
    size = problem_size(extent, options, rank, n_atoms, True, span)
    return plan_for(size, options, limits)
