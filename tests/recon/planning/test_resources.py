"""Cores and memory: the least of machine, nested control groups and Slurm job, on made-up file trees."""

import os
from pathlib import Path

import pytest

from mri2qmap_bids.recon.planning.resources import (
    available_cores,
    available_memory_gb,
    process_seconds,
)

GB = 1_000_000_000
JOB = "system.slice/slurmstepd.scope/job_1/step_0"


def tree(root: Path, groups: str, files: dict[str, object]) -> Path:
    """A file system with these control groups of the process, and these files below /sys/fs/cgroup."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, content in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


@pytest.mark.parametrize(
    ("groups", "files"),
    [
        (f"0::/{JOB}\n", {f"{JOB}/memory.max": GB}),
        (f"0::/{JOB}\n", {f"{JOB}/memory.max": "max", "system.slice/memory.max": GB}),
        (f"0::/{JOB}\n", {f"{JOB}/memory.max": GB, "system.slice/memory.max": 2 * GB}),
        (f"0::/{JOB}\n", {f"{JOB}/memory.max": 2 * GB, f"{JOB}/memory.high": GB}),
        (f"0::/{JOB}\n", {f"unified/{JOB}/memory.max": GB}),
        ("4:memory:/slurm/job_1\n0::/\n", {"memory/slurm/job_1/memory.limit_in_bytes": GB}),
        ("4:memory:/slurm/job_1\n0::/\n", {"memory/slurm/memory.limit_in_bytes": GB}),
        # In a container: the path is the host's, the mount the container's own.
        ("4:memory:/docker/abc\n", {"memory/memory.limit_in_bytes": GB}),
        ("0::/../../elsewhere\n", {"memory.max": GB}),
    ],
)
def test_the_least_memory_of_nested_groups_counts(tmp_path, groups, files):
    assert available_memory_gb(tree(tmp_path, groups, files), {}) == 1.0


@pytest.mark.parametrize(
    ("groups", "files"),
    [
        (f"0::/{JOB}\n", {f"{JOB}/cpu.max": "100000 100000", "cpu.max": "800000 100000"}),
        (f"0::/{JOB}\n", {f"{JOB}/cpu.max": "max 100000", "system.slice/cpu.max": "50000 100000"}),
        (
            "1:cpu,cpuacct:/job\n",
            {
                "cpu,cpuacct/job/cpu.cfs_quota_us": 100000,
                "cpu,cpuacct/job/cpu.cfs_period_us": 100000,
            },
        ),
    ],
)
def test_the_smallest_quota_of_nested_groups_counts(tmp_path, monkeypatch, groups, files):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    assert available_cores(tree(tmp_path, groups, files), {}) == 1


def test_without_limits_all_of_the_machine_counts(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    unlimited = {
        "cpu.max": "max 100000",
        "memory.max": "max",
        "cpu/cpu.cfs_quota_us": -1,
        "cpu/cpu.cfs_period_us": 100000,
        "memory/memory.limit_in_bytes": 9223372036854771712,
    }
    root = tree(tmp_path, "4:memory:/\n3:cpu:/\n0::/\n", unlimited)
    nowhere = tmp_path / "nowhere"
    assert available_cores(root, {}) == available_cores(nowhere, {}) == 64
    assert available_memory_gb(root, {}) == available_memory_gb(nowhere, {}) > 0.1


def test_a_slurm_job_has_what_it_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    whole = available_memory_gb(tmp_path, {})

    def memory(**variables: str) -> float:
        return available_memory_gb(tmp_path, variables)

    assert available_cores(tmp_path, {"SLURM_CPUS_PER_TASK": "4", "SLURM_CPUS_ON_NODE": "8"}) == 4
    assert available_cores(tmp_path, {"SLURM_CPUS_ON_NODE": "8"}) == 8
    assert memory(SLURM_MEM_PER_NODE="100") == pytest.approx(100 * 2**20 / 1e9)
    per_core = {"SLURM_MEM_PER_CPU": "50", "SLURM_CPUS_PER_TASK": "2"}
    assert memory(**per_core) == pytest.approx(100 * 2**20 / 1e9)
    assert memory(**per_core, SLURM_CPUS_ON_NODE="3") == pytest.approx(150 * 2**20 / 1e9)
    # --mem=0 asks for all that the node has.
    assert memory(SLURM_MEM_PER_NODE="0") == memory(SLURM_MEM_PER_NODE="x") == whole


def test_the_age_of_a_process_is_the_systems_less_its_start(tmp_path):
    root = tree(tmp_path, "", {})
    fields = ["S", *["0"] * 18, str(100 * os.sysconf("SC_CLK_TCK")), "0"]
    (root / "proc/self/stat").write_text(f"4711 (a) name) {' '.join(fields)}\n")
    (root / "proc/uptime").write_text("107.25 300.00\n")
    assert process_seconds(root) == pytest.approx(7.25)
    assert process_seconds(tmp_path / "nowhere") > 0
