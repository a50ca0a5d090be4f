"""Any object with the members of a denoiser is one."""

from dataclasses import dataclass

import pytest
import torch

from mri2qmap_bids.recon.denoisers.base import (
    ANY_CONTRAST,
    Denoiser,
    DenoiserShape,
    dimensions,
    fits,
    is_separate,
    working_memory,
)
from mri2qmap_bids.recon.denoisers.unet import UNet, UNetShape


@dataclass(frozen=True)
class Shape:
    contrasts: tuple[str, ...] = ("T1w",)
    multiple: int = 2

    def operations(self, shape):
        return float(shape[0] * shape[1])


class Own(Shape):
    def forward(self, images, sigma):
        return images


def test_members_make_a_denoiser():
    assert isinstance(Own(), Denoiser) and isinstance(Shape(), DenoiserShape)
    assert not isinstance(Shape(), Denoiser) and not isinstance(torch.nn.Identity(), Denoiser)
    assert isinstance(UNet(UNetShape(width=4)), Denoiser)


def test_a_denoiser_of_any_contrast_takes_one_at_a_time():
    assert is_separate(Shape(ANY_CONTRAST)) and not is_separate(Shape(("T1w", "T2w")))


def test_memory_is_the_denoisers_own_or_grows_with_the_image():
    assert working_memory(Shape(), (20, 30)) == 6 * working_memory(Shape(), (10, 10)) > 0

    class Told(Shape):
        def memory(self, shape):
            return 7

    assert working_memory(Told(), (10, 10)) == 7
    # Twice the features, twice the memory.
    small, large = (working_memory(UNetShape(width=w), (32, 32)) for w in (8, 16))
    assert large == 2 * small


@pytest.mark.parametrize(
    ("n_dims", "shape", "sizes", "expected"),
    [
        (2, (4, 4), (1.0, 9.0), True),
        (3, (8, 8, 8), (1.0, 1.0, 2.0), True),
        (3, (8, 8, 7), (1.0, 1.0, 1.0), False),
        (3, (8, 8, 8), (1.0, 1.0, 2.1), False),
        (3, (8, 8), (1.0, 1.0), False),
    ],
)
def test_networks_of_volumes_fit_volumes_of_about_isotropic_voxels(n_dims, shape, sizes, expected):
    network = UNetShape(n_dims=n_dims)
    assert dimensions(network) == n_dims
    assert fits(network, shape, sizes) is expected
