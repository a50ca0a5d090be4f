import numpy as np
import pytest
import torch

from mri2qmap_bids.recon.physics.masking import head_mask

SIZE = (3e-3, 1.5e-3, 1.5e-3)


def head(noise=0.05, shape=(4, 80, 80)):
    """A brain with a dark ventricle, a dark skull and a ring of scalp, in noise."""
    z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]
    radius = np.hypot(y - 40, x - 40)
    brain, scalp = radius < 24, (radius > 28) & (radius < 33)
    magnitude = brain * (1 + 0.3 * np.sin(x / 9)) + 0.6 * scalp
    magnitude[:, 34:46, 34:46] = 0
    rng = np.random.default_rng(0)
    noisy = magnitude + noise * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
    return torch.from_numpy(noisy.astype(np.complex64)), brain, scalp, radius


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.15])
def test_head_is_found_and_the_background_is_not(noise):
    m0, brain, scalp, radius = head(noise)
    mask = head_mask(m0, SIZE)
    assert mask[brain].mean() > 0.99
    assert mask[:, 34:46, 34:46].all()  # the ventricle too
    assert mask[scalp].mean() > 0.95
    assert mask[radius > 36].mean() < 0.01
    if noise == 0:  # and no voxel beyond the edge that smoothing makes
        assert not mask[radius > 33.8].any()


def test_a_few_voxels_of_huge_scale_do_not_set_the_threshold():
    m0, brain, _, _ = head()
    m0[:, 0, :5] = 1000
    assert head_mask(m0, SIZE)[brain].mean() > 0.99


def test_the_unit_does_not_matter():
    m0, *_ = head()
    assert np.array_equal(head_mask(m0, SIZE), head_mask(1e6 * m0, SIZE))


def test_an_empty_scale_map_keeps_all():
    assert head_mask(torch.zeros(2, 8, 8), SIZE).all()
