"""The error of the prior: detail it cannot infer, and the correction that the data made."""

from dataclasses import asdict, replace

import pytest
import torch

from mri2qmap_bids.recon.methods.mri2qmap import MRI2QMAP, Mri2qmapSettings, blur_error, prior_error
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


def step_maps():
    """Two tissues side by side, and a dark third."""
    t1 = torch.full((8, 9), 0.8)
    t1[:, 3:], t1[:, 6:] = 1.4, 4.0
    m0 = torch.ones(8, 9, dtype=torch.complex64)
    m0[:, 6:] = 0
    return TissueMaps(t1, t1 / 10, m0, torch.ones(8, 9))


def test_blur_is_an_error_at_edges_and_grows_with_the_lost_part_of_k_space():
    maps, settings = step_maps(), Mri2qmapSettings(blur=(0.5, 1.0))
    assert all((e == 0).all() for e in blur_error(maps, torch.ones(8, 9), settings))
    half, whole = (blur_error(maps, torch.full((8, 9), h), settings) for h in (0.5, 0.0))
    for part, full, values, factor in zip(half, whole, (maps.t1, maps.t2), (0.5, 1.0), strict=True):
        assert torch.allclose(4 * part, full)
        relative = full / values
        # One of three columns around the edge is of the other tissue.
        spread = factor * 2**0.5 / 3 * float(torch.log(torch.tensor(1.4 / 0.8)))
        assert torch.allclose(relative[:, 2:4], torch.tensor(spread), rtol=1e-4)
        # Away from the edge, and beside the dark voxels, there is none.
        assert relative[:, [0, 5]].abs().max() < 1e-3


def test_the_text_says_blur_only_of_runs_that_have_it():
    options = {"n_iterations": 1, "regularisation": None, "denoiser": None}
    earlier = MRI2QMAP.text({**options, "settings": {"detail": [0.04, 0.06, 0.04]}})
    now = MRI2QMAP.text({**options, "settings": {"blur": [0.5, 1.0]}})
    assert "blur of the initial image" in now.error
    assert now.error.startswith(earlier.error)


def test_the_text_says_two_rounds_only_of_runs_that_had_them():
    options = {"n_iterations": 1, "regularisation": None, "denoiser": None}
    one_round = {"start": {"tolerance": 0.01}, "detail": [0.04, 0.06, 0.04]}
    two_rounds = {**one_round, "start": {"tolerance": 0.01, "first_tolerance": 0.03}}
    before, now = (
        MRI2QMAP.text({**options, "settings": settings}).image
        for settings in (one_round, two_rounds)
    )
    assert "at least 20 %, this was done in two rounds" in now and "@candes2008" in now
    assert "two rounds" not in before
    # The settings of a run are recorded as they are.
    assert "two rounds" in MRI2QMAP.text({**options, "settings": asdict(MRI2QMAP.settings)}).image
