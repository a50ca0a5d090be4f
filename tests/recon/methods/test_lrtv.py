"""The weight of total variation follows from noise and image."""

from dataclasses import replace

import pytest
import torch

from mri2qmap_bids.recon.methods.lrtv import LrtvSettings, component_weights, with_edge_weights
from mri2qmap_bids.recon.priors.total_variation import (
    TotalVariation,
    edge_weights,
    mean_difference,
    mean_joint_difference,
)
from mri2qmap_bids.recon.solvers.alternating_directions import SplitTerm

SETTINGS = LrtvSettings()
DEVIATION = torch.tensor([0.3, 0.5, 0.2])


@pytest.fixture
def image():
    """Components of decreasing size."""
    torch.manual_seed(0)
    size = torch.tensor([4.0, 2.0, 1.0])[:, None, None]
    return size * torch.randn((3, 9, 8), dtype=torch.complex64)


def test_the_weight_is_the_variance_of_the_noisiest_component_over_the_mean_difference(image):
    weights, penalty = component_weights(image, DEVIATION, 3.0, SETTINGS)
    relative = weights / weights.min()
    expected = SETTINGS.strength * 3.0 * 0.5**2 / mean_joint_difference(image, relative)
    assert float(weights.min()) == pytest.approx(expected, rel=1e-5)
    assert (relative.diff() > 0).all(), "weaker components have the larger weights"
    assert torch.allclose(penalty / penalty[0], relative**2)


@pytest.mark.parametrize(
    ("unit", "noise", "density"), [(10.0, 1.0, 1.0), (1.0, 0.5, 1.0), (1.0, 1.0, 4.0)]
)
def test_the_weight_follows_units_noise_and_sampling(image, unit, noise, density):
    """Half the noise needs a quarter of the weight; thresholds, weight over penalty, are in units of the image."""
    before = component_weights(image, DEVIATION, 3.0, SETTINGS)
    after = component_weights(unit * image, unit * noise * DEVIATION, 3.0 * density, SETTINGS)
    assert torch.allclose(after[0], before[0] * unit * noise**2 * density)
    assert torch.allclose(after[0] / after[1], unit * before[0] / before[1])


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_weak_components_weigh_more_by_the_power_that_is_set(image, power):
    settings = replace(SETTINGS, difference_power=power)
    weights, _ = component_weights(image, DEVIATION, 3.0, settings)
    differences = mean_difference(image)
    assert torch.allclose(weights / weights.min(), (differences.max() / differences) ** power)


@pytest.mark.parametrize("number", [0.5, 1.4])
def test_the_threshold_is_the_set_number_of_mean_differences(image, number):
    settings = replace(SETTINGS, mean_differences=number)
    weights, penalty = component_weights(image, DEVIATION, 3.0, settings)
    relative = weights / weights.min()
    expected = number * mean_joint_difference(image, relative)
    assert torch.allclose(relative * weights / penalty, torch.full((3,), expected))


def test_with_edge_weights_a_voxel_of_the_mean_difference_weighs_the_same(image):
    weights, penalty = component_weights(image, DEVIATION, 3.0, SETTINGS)
    term = with_edge_weights(SplitTerm(TotalVariation(), weights, penalty), image)
    voxels = edge_weights(image, weights / weights.min())
    assert torch.equal(term.regulariser.voxels, voxels)
    # At the mean difference, where the weight of a voxel is a half.
    assert torch.allclose(0.5 * term.weight, weights)
    # Flat areas are shrunk by as much as before, relative to their penalty.
    assert torch.allclose(term.weight / term.penalty, weights / penalty)
