"""Options of a reconstruction."""

import pytest

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.bound import check
from mri2qmap_bids.recon.options import _BOUNDS, ReconOptions


@pytest.mark.parametrize(
    "changes",
    [{"rank": 0}, {"n_iterations": 0}, {"matrix": (0, 8, 8)}, {"regularisation": -1.0}, {"device": "tpu"},
     {"random_seed": -1}, {"energy": 1.5}, {"t2_range": (3.0, 4.0), "t1_range": (0.1, 2.0)}],
)  # fmt: skip
def test_options_that_no_scan_has_are_refused_by_name(changes):
    with pytest.raises(ArgumentError, match=next(iter(changes))):
        ReconOptions(**changes)


def test_defaults_are_within_the_bounds():
    for name, bound in _BOUNDS.items():
        value = getattr(ReconOptions(), name)
        if value is not None:
            check(bound, value, name)
