"""Batches of volume patches."""

import numpy as np
import pytest
import torch
from helpers.training import CONTRASTS, write_labels

from mri2qmap_bids.training.heads import Heads, load_heads
from mri2qmap_bids.training.scans import random_dictionaries
from mri2qmap_bids.training.volume_draw import VolumeSources, draw_volume_batch

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def volume_sources(tmp_path_factory):
    path = write_labels(tmp_path_factory.mktemp("labels") / "one.nii.gz")
    heads = Heads(load_heads([path], CPU, 0), [], CPU)
    return VolumeSources(CONTRASTS, heads, random_dictionaries(1, 0, CPU))


def test_a_batch_has_the_networks_scale_and_is_repeatable(volume_sources):
    def draw(seed):
        rng = np.random.default_rng(seed)
        return draw_volume_batch(volume_sources, 2, 12, (0.01, 0.1), (1, 1), rng)

    batch, again, other = draw(0), draw(0), draw(1)
    shape = (2, 6, 12, 12, 12)
    for part in (batch.clean, batch.noisy, batch.sigma, batch.counted):
        assert part.shape == shape and torch.isfinite(part).all()
    assert torch.equal(batch.noisy, again.noisy) and not torch.equal(batch.noisy, other.noisy)
    assert batch.sigma.min() > 0 and batch.noisy.abs().max() <= 4
    # The brightest tissue is about 1.
    assert 0.5 < batch.clean[:, :4].flatten(2).quantile(0.95) < 2
    # The true maps are those of the clean contrasts.
    assert ((batch.m0 > 0) == (batch.clean[:, 2] > 0)).all()
