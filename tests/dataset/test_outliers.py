"""Robust z: invariant to unit and shift, unmoved by the one that stands out."""

import numpy as np
import pandas as pd
import pytest

from mri2qmap_bids.dataset.outliers import FEWEST_RUNS, flags, robust_z


@pytest.fixture
def values():
    return pd.Series(np.random.default_rng(0).normal(5.0, 0.5, 4001))


def test_of_normal_values_it_is_their_distance_in_standard_deviations(values):
    z = robust_z(values)
    assert z.std() == pytest.approx(1, rel=0.05)
    assert z.median() == pytest.approx(0, abs=1e-12)
    assert (flags(z) == "true").mean() < 0.002


def test_unit_shift_and_sign_pass_through(values):
    z = robust_z(values)
    assert np.allclose(robust_z(3 * values + 7), z)
    assert np.allclose(robust_z(-values), -z)


def test_a_wild_value_is_flagged_and_does_not_hide_another(values):
    spoilt = pd.concat([values[:50], pd.Series([1e6, 9.0])], ignore_index=True)
    marks = flags(robust_z(spoilt))
    assert marks.iloc[-1] == marks.iloc[-2] == "true"
    assert (marks[:50] == "true").sum() <= 1


def test_what_cannot_be_judged_is_missing():
    few = pd.Series(np.arange(FEWEST_RUNS - 1.0))
    for unknown in (few, pd.Series([1.0] * 20 + [2.0]), few.reindex(range(30))):
        assert robust_z(unknown).isna().all() and flags(robust_z(unknown)).isna().all()
    assert robust_z(pd.Series(np.arange(float(FEWEST_RUNS)))).notna().all()
