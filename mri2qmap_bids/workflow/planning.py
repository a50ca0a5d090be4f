"""Memory and time of a run, predicted from its headers before its samples are read."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mri2qmap_bids.dataset.integrity import guard
from mri2qmap_bids.dataset.query import MRFRun
from mri2qmap_bids.errors import Mri2QmapError
from mri2qmap_bids.logs import no_warnings
from mri2qmap_bids.recon.planning.cost import Plan
from mri2qmap_bids.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mri2qmap_bids.recon.acquisition.extent import ScanExtent
    from mri2qmap_bids.recon.physics.dictionary import TissueGrid
    from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence

# Without a dictionary of the train the rank is not known; that of usual trains.
_USUAL_RANK = 6
_USUAL_RANK_WITH_B1 = 16


def survey(
    runs: Iterable[MRFRun], settings: Settings
) -> tuple[dict[str, float], dict[str, Mri2QmapError]]:
    """Which runs can be reconstructed, by their headers and B1 maps.

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
            with no_warnings():  # the reconstruction reads the same again
                memory[run.name] = _memory_of(run, settings)
        except Mri2QmapError as error:
            problems[run.name] = error
    return memory, problems


def _memory_of(run: MRFRun, settings: Settings) -> float:
    """The host's memory that a run will take [GB]."""
    if settings.plugin == "SLURM":
        # The plan is made on the node, which may be quite another machine than this one.
        with guard(run.path):
            _read(run, settings)
        return settings.memory_gb
    plan = forecast_of(run, settings).ways[0]
    return (plan.host or plan.device) / 1e9


def _read(
    run: MRFRun, settings: Settings
) -> "tuple[PulseSequence, ScanExtent, NDArray[np.float32] | None, float]":
    """Pulse sequence, size, transmit field and range of frequencies [Hz]; all faults are found here."""
    from mri2qmap_bids.dataset.fieldmap import fields_of_scan
    from mri2qmap_bids.dataset.sidecar import read_scan
    from mri2qmap_bids.recon.acquisition.extent import extent_of_lines
    from mri2qmap_bids.recon.off_resonance import span_of

    sequence, lines = read_scan(run.metadata, run.path)
    files = (None if field is None else field.path for field in (run.b1, run.b0))
    fields = fields_of_scan(lines, settings.recon.matrix, *files)
    return sequence, extent_of_lines(lines), fields.b1, span_of(fields.b0)


@dataclass(frozen=True)
class Forecast:
    """What is predicted of a run."""

    ways: list[Plan]
    """To reconstruct it, those that fit the machine, the best first."""
    sequence: "PulseSequence"
    """Its pulse sequence."""
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
    from mri2qmap_bids.recon.planning.plan import MemoryLimits

    torch.set_num_threads(settings.omp_threads)
    options = settings.recon
    sequence, extent, b1, span = _read(run, settings)
    limits = MemoryLimits(settings.memory_gb, settings.gpu_memory_gb, settings.low_memory)
    grid = tissue_grid(options, b1)
    cache_dir = settings.work_dir / "dictionaries"
    cached = dictionary_path(sequence, grid, options.rank, options.energy, cache_dir)
    if cached.exists():
        ways = plans_with(load_dictionary(cached), extent, options, limits, span)
        return Forecast(ways, sequence, grid, cached)
    usual = _USUAL_RANK if b1 is None else _USUAL_RANK_WITH_B1
    rank, n_atoms = options.rank or usual, grid.n_fields * len(grid.t1) * len(grid.t2)
    size = problem_size(extent, options, rank, n_atoms, True, grid.n_fields, span)
    return Forecast(plan_for(size, options, limits), sequence, grid, cached)
