"""The loss of training."""

import pytest
import torch

from mri2qmap_bids.training.loss import mean_error


def test_the_error_is_a_root_mean_square_of_what_counts():
    error, counted = torch.zeros(2, 2, 4, 4), torch.ones(2, 2, 4, 4)
    error[0, 0], error[0, 1], error[1, 0] = 3, 1, 2
    counted[1, 1] = 0  # a missing contrast is not a perfect one
    assert float(mean_error(error, counted)) == pytest.approx((3 + 1 + 2) / 3, rel=1e-4)
    counted[0, 0, :2] = 0  # half of a patch, of the same error
    assert float(mean_error(error, counted)) == pytest.approx((3 + 1 + 2) / 3, rel=1e-4)


def test_the_logarithm_weighs_noisy_and_clean_patches_alike():
    error, counted = torch.full((2, 1, 4, 4), 0.01), torch.ones(2, 1, 4, 4)
    error[1] = 1
    both = mean_error(error, counted, logarithm=True)
    error[0] /= 2
    less_of_the_first = both - mean_error(error, counted, logarithm=True)
    error[0] *= 2
    error[1] /= 2
    less_of_the_second = both - mean_error(error, counted, logarithm=True)
    assert float(less_of_the_first) == pytest.approx(float(less_of_the_second), rel=1e-2)
