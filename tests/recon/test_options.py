"""Options of a reconstruction."""

import pytest
import torch

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.bound import check
from mri2qmap_bids.recon.bounds import LEAST_MATRIX
from mri2qmap_bids.recon.encoding.density import density_compensation
from mri2qmap_bids.recon.options import _BOUNDS, LARGEST_SEED, ReconOptions


@pytest.mark.parametrize(
    "changes",
    [{"rank": 0}, {"n_iterations": 0}, {"matrix": (0, 8, 8)}, {"regularisation": -1.0}, {"device": "tpu"},
     {"random_seed": -1}, {"random_seed": 2**64}, {"energy": 1.5}, {"matrix": (1, 4, 8)},
     {"t2_range": (3.0, 4.0), "t1_range": (0.1, 2.0)}],
)  # fmt: skip
def test_options_that_no_scan_has_are_refused_by_name(changes):
    with pytest.raises(ArgumentError, match=next(iter(changes))):
        ReconOptions(**changes)


def test_limits_are_those_that_can_be_computed():
    omega = 2 * torch.pi * (torch.rand(40, 2) - 0.5)
    assert len(density_compensation(omega, (LEAST_MATRIX, LEAST_MATRIX))) == 40
    with pytest.raises(RuntimeError, match="too small"):
        density_compensation(omega, (LEAST_MATRIX - 1, LEAST_MATRIX))
    torch.Generator().manual_seed(LARGEST_SEED)


def test_defaults_are_within_the_bounds():
    for name, bound in _BOUNDS.items():
        value = getattr(ReconOptions(), name)
        if value is not None:
            check(bound, value, name)
