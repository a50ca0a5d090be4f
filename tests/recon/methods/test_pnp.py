"""pnp: a denoiser of the subspace image in the place of a regulariser."""

import numpy as np
from helpers.scans import disc_brain, raw_scan
from helpers.trains import train

from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.methods.pnp import PNP
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.planning.size import ProblemSize
from mri2qmap_bids.recon.reconstruct import reconstruct
from mri2qmap_bids.simulate.acquire import acquire
from mri2qmap_bids.simulate.coils import coil_maps
from mri2qmap_bids.simulate.trajectory import make_trajectory

N, FOV = 24, 0.2
OPTIONS = ReconOptions(method="pnp", n_iterations=3, device="cpu", grid_step=0.2, rank=4)


class Identity:
    """Gives images back as they are, and counts its calls."""

    contrasts, multiple = ("any",), 1

    def __init__(self):
        self.calls = []

    def operations(self, shape):
        return 0

    def forward(self, images, sigma):
        self.calls.append((tuple(images.shape), bool((sigma > 0).all())))
        return images


def test_a_denoiser_that_changes_nothing_leaves_maps_as_they_are():
    sequence, brain = train(n_frames=60), disc_brain(N, FOV, 9)
    trajectory = make_trajectory("spiral", (N, N), 60, 2.0, None)
    acquired = acquire(brain, sequence, trajectory, coil_maps((1, N, N), False, 3, 0), 0.02, 0)
    geometry = Geometry((1, N, N), (5e-3, FOV / N, FOV / N), np.zeros(3), *np.eye(3))
    denoiser = Identity()
    maps = reconstruct(raw_scan(acquired, geometry), sequence, OPTIONS, denoiser=denoiser)
    inside = (brain.labels > 0) & maps.mask
    assert np.median(np.abs(maps.t1 / np.where(inside, brain.t1, 1) - 1)[inside]) < 0.05
    assert all(positive for _, positive in denoiser.calls)
    # The real and the imaginary part of every component, in eight flips and rotations.
    n_images = sum(shape[0] * shape[1] for shape, _ in denoiser.calls)
    iterations, rest = divmod(n_images, 2 * OPTIONS.rank * 8)
    # It stops before the third, since what is denoised no longer changes.
    assert (iterations, rest) == (2, 0)
    assert iterations <= PNP.work(OPTIONS).n_denoise


def test_its_work_grows_by_the_same_with_every_iteration():
    one, two, three = (PNP.work(ReconOptions(method="pnp", n_iterations=n)) for n in (1, 2, 3))
    assert (one.n_denoise, three.n_denoise) == (1, 3)
    assert three.n_normal - two.n_normal == two.n_normal - one.n_normal > 0
    size = ProblemSize((N, N), 1, 4, 3, 3, 1000, 100)
    assert one.n_images(size) == 2 * size.rank


def test_its_sentence_names_iterations_and_noise_level():
    options = {"n_iterations": 3, "regularisation": 2.0, "denoiser": "x.safetensors"}
    words = PNP.text(options).image
    assert "noise level 2 times that of the image" in words
    assert "@fatania2022]" in words
