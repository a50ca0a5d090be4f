"""Scores of subjects that are not trained on."""

import numpy as np
import pytest
import torch
from helpers.training import CONTRASTS

from mri2qmap_bids.recon.denoisers.unet import UNet, UNetShape
from mri2qmap_bids.training.data import Slice, contrasts_of
from mri2qmap_bids.training.draw import Batch
from mri2qmap_bids.training.map_errors import contrast_inverse
from mri2qmap_bids.training.maps import RandomMaps
from mri2qmap_bids.training.validation import score_slices, score_volumes


class Identity(UNet):
    """Takes no noise away."""

    def forward(self, noisy, sigma):  # noqa: ARG002
        return noisy


def test_noise_that_is_left_has_the_psnr_of_its_level():
    present = np.array([True, True, False, True, False, False])
    slices = [Slice(np.full((6, 67, 66), 0.5, np.float16), present, "a")]
    scores = score_slices(Identity(UNetShape(width=4)), slices, torch.device("cpu"))
    for level in (0.02, 0.05, 0.1, 0.2):
        assert scores[f"psnr_{level}"] == pytest.approx(-20 * np.log10(level), abs=0.2)


def test_errors_of_volumes_are_those_of_the_noise_and_of_the_maps_it_means():
    """Noise as of a T1 that is four percent too long, nothing taken away."""
    shape = (1, 4, 4, 4)
    maps = RandomMaps(torch.full(shape, 1.2), torch.full(shape, 0.08), torch.full(shape, 0.8))
    clean = contrasts_of(maps, CONTRASTS)
    noisy = contrasts_of(RandomMaps(maps.t1 * 1.04, maps.t2, maps.m0), CONTRASTS)
    white = torch.ones(1, len(CONTRASTS), 1, 1, 1)
    batch = Batch(
        clean,
        noisy,
        torch.ones_like(clean),
        torch.ones_like(clean),
        white,
        maps.t1,
        maps.t2,
        maps.m0,
    )
    inverse = contrast_inverse(CONTRASTS, torch.device("cpu"))
    scores = score_volumes(Identity(UNetShape(width=4)), [batch], inverse)
    assert scores["error_t1"] == pytest.approx(0.04, rel=0.15)
    assert scores["error_t2"] < 0.004 and scores["error_m0"] < 0.004
    left = (noisy - clean).square().flatten(2).mean(2).sqrt().mean()
    assert scores["error_noisy"] == scores["error_denoised"] == pytest.approx(float(left), rel=0.02)
