"""Diagnostics in a file: everything comes back, also what is None."""

import json
from dataclasses import asdict, fields, is_dataclass, replace

import numpy as np
import pytest
from helpers.diagnostics import some_diagnostics

from mri2qmap_bids.recon.diagnostics.model import (
    Convergence,
    load_diagnostics,
    save_diagnostics,
    slices_with_signal,
)
from mri2qmap_bids.recon.planning.plan import Plan, Stage


def assert_same(one, other, where=""):
    if is_dataclass(one):
        assert type(one) is type(other), where
        for field in fields(one):
            assert_same(
                getattr(one, field.name), getattr(other, field.name), f"{where}.{field.name}"
            )
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype and np.array_equal(one, other, equal_nan=True), where
    elif isinstance(one, tuple):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{where}[{number}]")
    else:
        assert one == other, where


def with_everything():
    plain = some_diagnostics(steps={"subspace": [{"residual": 0.5}]})
    plan = Plan("transforms", "half", True, stages=(Stage("a", 1.0, 2.0, 3.0),))
    (plane,) = plain.part.planes
    started = replace(plane, start_t1=plane.misfit, start_t2=2 * plane.misfit)
    part = replace(plain.part, planes=(plane, started))
    sequence = replace(plain.sequence, preparation_time=9.0, slice_profile=(0.5, 1.0))
    return replace(plain, plan=plan, part=part, sequence=sequence)


@pytest.mark.parametrize(
    "diagnostics",
    [
        some_diagnostics(),
        some_diagnostics(energy_left=None, white=False),
        with_everything(),
        replace(some_diagnostics(), basis=some_diagnostics().basis.astype(np.complex64)),
    ],
    ids=["plain", "gridding without noise scan", "everything", "complex basis"],
)
def test_all_fields_come_back(tmp_path, diagnostics):
    save_diagnostics(diagnostics, tmp_path / "x.npz")
    assert_same(diagnostics, load_diagnostics(tmp_path / "x.npz"))


def test_the_worst_shell_is_that_of_all_components_together():
    energy = np.array([[0.1, 0.2, 0.3], [0.9, 0.9, 0.9]], np.float32)
    assert Convergence(energy, True).worst == pytest.approx(0.3)
    broken = np.array([[0.1, np.nan, 0.3], [0.9, 0.9, 0.9]], np.float32)
    assert np.isnan(Convergence(broken, True).worst)  # not good: the rules take no number as bad
    assert Convergence(-energy, True).worst == 0


@pytest.mark.parametrize("energy_left", [0.02, None])
def test_files_of_earlier_versions_have_the_middle_slice(tmp_path, energy_left):
    diagnostics = some_diagnostics(energy_left=energy_left, noise=1.5)
    save_diagnostics(diagnostics, tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as file:
        arrays = dict(file)
    facts = json.loads(str(arrays.pop("facts")))
    del facts["slices"]
    (own,) = diagnostics.slices
    for figures, expected in ((asdict(own.figures), (own,)), (None, ())):
        text = json.dumps(facts | {"figures": figures})
        np.savez(tmp_path / "old.npz", facts=text, **arrays)
        read = load_diagnostics(tmp_path / "old.npz").slices
        assert len(read) == len(expected)
        for one, other in zip(read, expected, strict=True):
            assert (one.figures, one.noise) == (other.figures, other.noise)
            assert one.energy_left == (None if energy_left is None else pytest.approx(energy_left))


def test_slices_of_little_signal_are_left_out():
    (own,) = some_diagnostics().slices
    slices = [replace(own, signal=signal) for signal in (0.1, 2.0, 0.5, 0.7)]
    assert slices_with_signal(slices) == [1, 3]
    assert slices_with_signal([]) == []
    assert slices_with_signal([replace(own, signal=0.0)]) == [0]
