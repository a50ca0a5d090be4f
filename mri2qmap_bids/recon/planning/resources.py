"""Cores and memory available to this process: the least of machine, control groups and Slurm job."""

import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

_MEBIBYTE = 1 << 20


def available_cores(system: Path = Path("/"), variables: Mapping[str, str] = os.environ) -> int:
    """Cores that this process may use: its affinity (cpusets included), quotas, and those of a Slurm job.

    Parameters
    ----------
    system
        Where ``proc`` and ``sys`` lie.
    variables
        Environment, for those that Slurm sets.
    """
    cores: list[float] = [
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ]
    for folder in _control_groups(system, "cpu"):
        quota, period = [*_words(folder / "cpu.max"), "max", "0"][:2]
        if quota == "max":
            quota = "".join(_words(folder / "cpu.cfs_quota_us"))
            period = "".join(_words(folder / "cpu.cfs_period_us"))
        if quota.isdigit() and period.isdigit() and int(period) > 0:
            cores.append(int(quota) / int(period))
    cores += _numbers(variables, "SLURM_CPUS_PER_TASK") or _numbers(variables, "SLURM_CPUS_ON_NODE")
    return max(1, round(min(cores)))


def available_memory_gb(
    system: Path = Path("/"), variables: Mapping[str, str] = os.environ
) -> float:
    """Memory that this process may use [GB]: that of the machine, of control groups, and of a Slurm job.

    Parameters
    ----------
    system
        Where ``proc`` and ``sys`` lie.
    variables
        Environment, for those that Slurm sets.
    """
    sizes: list[float] = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for folder in _control_groups(system, "memory"):
        # memory.high kills nothing, but beyond it a process waits for memory more than it works.
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
            sizes += [int(word) for word in _words(folder / name) if word.isdigit()]
    sizes += [_MEBIBYTE * size for size in _numbers(variables, "SLURM_MEM_PER_NODE")]
    cores = _numbers(variables, "SLURM_CPUS_ON_NODE") or _numbers(variables, "SLURM_CPUS_PER_TASK")
    for size in _numbers(variables, "SLURM_MEM_PER_CPU"):
        sizes += [_MEBIBYTE * size * n for n in cores]
    return min(sizes) / 1e9


def usable_memory_gb() -> float:
    """Default memory to use: nine tenths of the available memory [GB]."""
    return 0.9 * available_memory_gb()


def peak_memory_gb() -> float:
    """Peak memory of this process so far [GB]."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e9 if sys.platform == "darwin" else peak * 1024 / 1e9


def process_seconds(system: Path = Path("/")) -> float:
    """Time since this process began [s]; its processor time where the system does not tell.

    Parameters
    ----------
    system
        Where ``proc`` lies.
    """
    try:
        # The name of the program, in parentheses, may hold spaces; the start is the 22nd field of the file.
        stat = (system / "proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        uptime = float((system / "proc/uptime").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return time.process_time()
    return max(uptime - int(stat[19]) / os.sysconf("SC_CLK_TCK"), 0.0)


def _control_groups(system: Path, controller: str) -> Iterator[Path]:
    """Folders of this process's control group and of those that it is nested in, of versions 2 and 1.

    ``/proc/self/cgroup`` has a line ``0::/path`` for version 2 and ``id:controllers:/path`` for version 1.
    In a container the path may be that on the host; the folder of the container is then the mount's own.
    """
    mount = system / "sys/fs/cgroup"
    try:
        lines = (system / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = ["0::/", f"1:{controller}:/"]
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        inside = PurePosixPath(path.lstrip("/"))
        roots = (
            (mount / controllers, mount / controller) if controllers else (mount, mount / "unified")
        )
        for root in dict.fromkeys(roots):
            yield from (root / parent for parent in (inside, *inside.parents))


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []


def _numbers(variables: Mapping[str, str], name: str) -> list[int]:
    """An environment variable as a number; empty if it is not set, is no number, or is 0, which stands for no limit."""
    value = variables.get(name, "")
    return [int(value)] if value.isdigit() and int(value) > 0 else []
