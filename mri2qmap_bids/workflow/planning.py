"""What a run will cost, told from its header before anything is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mri2qmap_bids.dataset.query import MRFRun
from mri2qmap_bids.recon.cost import Plan
from mri2qmap_bids.settings import Settings

# Without a dictionary of the train the rank is not known; that of usual trains.
_USUAL_RANK = 6


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
    return plans_of_file(
        run.path,
        run.metadata,
        settings.recon,
        (settings.memory_gb, settings.gpu_memory_gb),
        settings.omp_threads,
        settings.work_dir / "dictionaries",
    )


def plans_of_file(
    path: Path,
    metadata: Mapping[str, Any],
    options: Any,
    memory_gb: tuple[float | None, float | None],
    n_threads: int,
    cache_dir: Path,
) -> list[Plan]:
    """:func:`plans_of` by its parts.

    Parameters
    ----------
    path
        ISMRMRD file.
    metadata
        Its sidecar, inheritance applied.
    options
        The method, ReconOptions.
    memory_gb
        The host's and the GPU's memory that may be used [GB].
    n_threads
        Threads to use.
    cache_dir
        Where dictionaries are kept.
    """
    import torch

    from mri2qmap_bids.dataset.sidecar import read_layout, read_sequence
    from mri2qmap_bids.recon.acquisition.extent import read_extent
    from mri2qmap_bids.recon.acquisition.header import read_header
    from mri2qmap_bids.recon.physics.dictionary import dictionary_path, load_dictionary
    from mri2qmap_bids.recon.plan import MemoryLimits
    from mri2qmap_bids.recon.reconstruct import plan_for, problem_size, tissue_grid

    torch.set_num_threads(n_threads)
    sequence = read_sequence(metadata, read_header(path), path)
    extent = read_extent(path, read_layout(metadata, sequence.n_frames, path))
    grid = tissue_grid(options)
    rank, real = options.rank or _USUAL_RANK, True
    known = dictionary_path(sequence, grid, options.rank, options.energy, cache_dir)
    if known.exists():
        basis = load_dictionary(known).basis
        rank, real = basis.shape[1], not basis.is_complex()
    size = problem_size(extent, options, rank, len(grid.t1) * len(grid.t2), real)
    return plan_for(size, options, MemoryLimits(*memory_gb))
