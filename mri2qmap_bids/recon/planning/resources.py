"""Cores and memory available to this process."""

import os
import resource
import sys
from pathlib import Path


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


def usable_memory_gb() -> float:
    """Default memory to use: nine tenths of the available memory [GB]."""
    return 0.9 * available_memory_gb()


def peak_memory_gb() -> float:
    """Peak memory of this process so far [GB]."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e9 if sys.platform == "darwin" else peak * 1024 / 1e9


def _cgroup_value(name: str) -> list[str]:
    file = Path("/sys/fs/cgroup") / name
    try:
        return file.read_text(encoding="ascii").split()
    except OSError:
        return []
