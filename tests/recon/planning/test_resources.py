"""Cores and memory of a container are those that it is allowed."""

import os

import pytest

from mri2qmap_bids.recon.planning import resources


@pytest.fixture
def limits(monkeypatch):
    """Contents of the files of the control group, by name."""
    values = {}
    monkeypatch.setattr(resources, "_cgroup_value", lambda name: values.get(name, "").split())
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return values


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("", 8), ("max 100000", 8), ("200000 100000", 2), ("50000 100000", 1), ("9900000 100000", 8)],
)
def test_cores_are_the_fewest_of_affinity_and_quota(limits, quota, cores):
    limits["cpu.max"] = quota
    assert resources.available_cores() == cores


def test_memory_is_the_less_of_machine_and_container(limits):
    whole = resources.available_memory_gb()
    assert whole == pytest.approx(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)
    for text, expected in (("max", whole), (str(10**30), whole), (str(10**8), 0.1)):
        limits["memory.max"] = text
        assert resources.available_memory_gb() == pytest.approx(expected)
    assert resources.usable_memory_gb() == pytest.approx(0.09)


def test_the_peak_is_at_least_what_is_held():
    before = resources.peak_memory_gb()
    block = bytearray(300_000_000)
    block[::4096] = b"x" * len(block[::4096])
    assert resources.peak_memory_gb() >= max(before, 0.3)
    del block
    assert resources.peak_memory_gb() >= 0.3
