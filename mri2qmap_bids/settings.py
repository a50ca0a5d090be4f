"""What one run of the program is asked to do."""

import logging
import os
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
    log_level: int = logging.INFO
    """As of the logging module."""
    recon: ReconOptions = field(default_factory=ReconOptions)
    """The method and its knobs."""


def available_cores() -> int:
    """Cores that this process may use (affinity and container limits included)."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota = _cgroup_value("cpu.max")
    if quota and quota[0] != "max":
        cores = min(cores, max(1, round(int(quota[0]) / int(quota[1]))))
    return cores


def available_memory_gb() -> float:
    """Memory that this process may use [GB] (container limits included)."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    limit = _cgroup_value("memory.max")
    if limit and limit[0] != "max":
        total = min(total, int(limit[0]) / 1e9)
    return total


def _cgroup_value(name: str) -> list[str]:
    file = Path("/sys/fs/cgroup") / name
    try:
        return file.read_text(encoding="ascii").split()
    except OSError:
        return []
