"""The brain in a head of spheres: brain, fluid, skull, muscle and fat."""

import numpy as np
import pytest

from mri2qmap_bids.dataset.brain import brain_mask

SIZE = (2e-3, 2e-3, 2e-3)


def head(noise=0.0, size=SIZE, bridge=0.0):
    """T1, T2, M0, mask of the head and of the brain; a bridge of muscle [m] crosses the skull."""
    axes = [np.arange(-0.1 + 0.5 * step, 0.1, step) for step in size]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    radius = np.sqrt(z**2 + y**2 + x**2)
    #        white, grey, fluid, skull, muscle, fat
    edges = (0.045, 0.055, 0.062, 0.070, 0.080, 0.085)
    kind = np.searchsorted(edges, radius)
    kind[(np.hypot(y, x) < bridge) & (z > 0) & (kind == 3)] = 4
    t1 = np.array([0.85, 1.4, 3.9, 1.0, 1.41, 0.37, 1.0])[kind]
    t2 = np.array([0.062, 0.092, 1.4, 0.05, 0.035, 0.13, 0.05])[kind]
    m0 = np.array([0.7, 0.82, 1.0, 0.02, 0.75, 0.9, 0.0])[kind] * (1 + 3 * x)
    rng = np.random.default_rng(0)
    t1, t2 = (v * np.exp(noise * k * rng.standard_normal(v.shape)) for v, k in ((t1, 1), (t2, 2)))
    return t1, t2, m0, radius < 0.085, radius < 0.062


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("size", [SIZE, (5e-3, 2e-3, 2e-3)])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_brain_and_fluid_are_the_mask_and_scalp_is_not(size, noise):
    t1, t2, m0, inside, brain = head(noise, size)
    assert dice(brain_mask(t1, t2, m0, inside, size, 3.0), brain) > 0.97


def test_a_bridge_to_the_scalp_is_cut():
    t1, t2, m0, inside, brain = head(bridge=6e-3)
    t2 = np.where(t2 == 0.035, 0.055, t2)  # muscle that T2 does not tell from brain
    mask = brain_mask(t1, t2, m0, inside, SIZE, 3.0)
    assert (mask & ~brain).sum() < 0.03 * brain.sum()


def test_the_middle_slice_alone_has_its_brain():
    t1, t2, m0, inside, brain = (volume[50:51] for volume in head())
    assert dice(brain_mask(t1, t2, m0, inside, SIZE, 3.0), brain) > 0.95


def test_the_unit_of_m0_does_not_count():
    t1, t2, m0, inside, _ = head()
    masks = [brain_mask(t1, t2, scale * m0, inside, SIZE, 3.0) for scale in (1, 1e6)]
    assert np.array_equal(*masks)


def test_nothing_like_a_brain_is_an_empty_mask():
    t1, t2, m0, inside, _ = head()
    assert not brain_mask(0.2 + 0 * t1, t2, m0, inside, SIZE, 3.0).any()
    assert not brain_mask(t1, t2, m0, inside & False, SIZE, 3.0).any()
