"""Batches."""

import numpy as np
import pytest
import torch
from helpers.training import CONTRASTS, some_slices

from mri2qmap_bids.training.draw import Sources, draw_batch


def test_batches_are_repeatable_and_whole(sources):
    def draw(seed):
        shares = (0.4, 0.3, 0.3)
        return draw_batch(sources, 12, 32, (0.01, 0.3), shares, np.random.default_rng(seed))

    first, again, other = draw(1), draw(1), draw(2)
    for name in ("clean", "noisy", "sigma", "counted"):
        values = getattr(first, name)
        assert values.shape == (12, len(CONTRASTS), 32, 32)
        assert values.isfinite().all()
        assert torch.equal(values, getattr(again, name))
    assert not torch.equal(first.noisy, other.noisy)


def test_missing_contrasts_are_empty_and_do_not_count(tables):
    only_real = Sources(CONTRASTS, some_slices(), [], tables)
    shares = (0.0, 0.0, 1.0)
    batch = draw_batch(only_real, 12, 32, (0.01, 0.3), shares, np.random.default_rng(0))
    missing = batch.counted == 0
    assert missing.any()
    for values in (batch.clean, batch.noisy, batch.sigma):
        assert (values[missing] == 0).all()
    assert (batch.sigma[~missing] > 0).all()


def test_batches_of_separate_contrasts_hold_what_is_there(sources):
    def draw(seed):
        shares = (0.4, 0.3, 0.3)
        rng = np.random.default_rng(seed)
        return draw_batch(sources, 24, 32, (0.01, 0.3), shares, rng, separate=True)

    first, again, other = draw(1), draw(1), draw(2)
    for name in ("clean", "noisy", "sigma", "counted"):
        values = getattr(first, name)
        assert values.shape == (24, 1, 32, 32)
        assert values.isfinite().all()
        assert torch.equal(values, getattr(again, name))
    assert not torch.equal(first.noisy, other.noisy)
    assert (first.counted.amax((1, 2, 3)) == 1).all()
    even = first.sigma.amin((1, 2, 3)) == first.sigma.amax((1, 2, 3))
    assert 4 < int(even.sum()) < 24
    error = (first.noisy - first.clean) / first.sigma
    assert float(error.square().mean().sqrt()) == pytest.approx(1, rel=0.1)
