"""What one run of the program is asked to do."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from mri2qmap_bids.recon.options import ReconOptions


@dataclass(frozen=True)
class Settings:
    """Everything from the command line, checked; made once and passed on."""

    bids_dir: Path
    """Root of the raw dataset."""
    output_dir: Path
    """Root of the derivative dataset."""
    work_dir: Path
    """Intermediate files and caches."""
    participants: tuple[str, ...] = ()
    """Labels without ``sub-``; empty is all."""
    sessions: tuple[str, ...] = ()
    """Labels without ``ses-``; empty is all."""
    n_procs: int = 1
    """Cores to use at the same time."""
    omp_threads: int = 1
    """Cores one step may use."""
    memory_gb: float = 1.0
    """Memory to use at the same time [GB]."""
    gpu_memory_gb: float | None = None
    """Memory of the GPU to use [GB]; None: what is free."""
    log_level: int = logging.INFO
    """As of the logging module."""
    recon: ReconOptions = field(default_factory=ReconOptions)
    """The method and its knobs."""
