"""The error of the prior: detail it cannot infer, and the correction that the data made."""

from dataclasses import replace

import pytest
import torch

from mri2qmap_bids.recon.methods.mri2qmap import Mri2qmapSettings, prior_error
from mri2qmap_bids.recon.physics.matching import TissueMaps

SETTINGS = Mri2qmapSettings(detail=(0.03, 0.05, 0.5), correction_error=3.0)
ONES = torch.ones(4)
BEFORE = TissueMaps(ONES * 1.2, ONES * 0.08, ONES.to(torch.complex64), ONES)


def test_without_a_correction_it_is_the_detail():
    t1, t2 = prior_error(BEFORE, BEFORE, SETTINGS)
    assert torch.allclose(t1, 0.036 * ONES) and torch.allclose(t2, 0.004 * ONES)


@pytest.mark.parametrize("factor", [0.8, 1.3])
def test_a_correction_adds_in_squares_whatever_its_sign(factor):
    after = replace(BEFORE, t2=BEFORE.t2 * factor)
    t1, t2 = prior_error(after, BEFORE, SETTINGS)
    assert torch.allclose(t1, 0.036 * ONES)
    relative = t2 / after.t2
    log = torch.tensor(factor).log()
    assert torch.allclose(relative**2, 0.05**2 + 3 * log**2 * ONES)
    inverse = prior_error(replace(BEFORE, t2=BEFORE.t2 / factor), BEFORE, SETTINGS)[1]
    assert torch.allclose(inverse / (BEFORE.t2 / factor), relative)
