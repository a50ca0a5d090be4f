"""Weighted images against the pulse sequences that they stand for."""

import numpy as np
import pytest
import torch
from helpers.bloch import bloch_fingerprint
from helpers.trains import train

from mri2qmap_bids.recon.physics.contrasts import (
    DENOISED_CONTRASTS,
    ROUTINE_CONTRASTS,
    Contrast,
    log_slopes,
    synthesise,
    t1_of_ratio,
    t2_of_ratio,
    white_of,
)

TISSUES = [(0.85, 0.065), (1.4, 0.095), (4.0, 1.5), (0.37, 0.12)]


def signal(contrast, t1, t2, m0=1.0):
    values = (torch.tensor([v], dtype=torch.float32) for v in (m0, t1, t2))
    return float(synthesise(contrast, *values)[0])


@pytest.mark.parametrize(("t1", "t2"), TISSUES)
def test_spin_echo_is_saturation_recovery_and_decay(t1, t2):
    """A 90 degree pulse again and again, with all transverse magnetisation gone in between."""
    contrast = ROUTINE_CONTRASTS["T2w"]
    longitudinal = 1.0
    for _ in range(30):
        echo = longitudinal * np.exp(-contrast.echo_time / t2)
        longitudinal = 1 - np.exp(-contrast.repetition_time / t1)
    assert signal(contrast, t1, t2) == pytest.approx(echo, rel=1e-5)


@pytest.mark.parametrize("t1", [0.3, 0.85, 1.4, 4.0])
def test_spoiled_gradient_echo_is_the_steady_state_of_its_train(t1):
    contrast = Contrast("spoiled_gradient_echo", 0.05, 0.002, flip_angle=0.4)
    n, t2 = 600, 0.004  # a T2 far below TR leaves no coherence to spoil
    sequence = train(
        n_frames=n,
        flip_angle=np.full(n, 0.4),
        repetition_time=np.full(n, 0.05),
        inversion_time=None,
    )
    steady = abs(bloch_fingerprint(sequence, t1, t2, n_isochromats=64)[-1])
    assert signal(contrast, t1, t2) == pytest.approx(steady, rel=1e-3)


@pytest.mark.parametrize(("t1", "t2"), TISSUES)
def test_inversion_spin_echo_is_the_repeated_inversion_recovery(t1, t2):
    contrast = ROUTINE_CONTRASTS["FLAIR"]
    rest = contrast.repetition_time - contrast.inversion_time
    before = 1.0
    for _ in range(30):
        at_pulse = 1 - (1 + before) * np.exp(-contrast.inversion_time / t1)
        before = 1 - np.exp(-rest / t1)  # a 90 degree pulse leaves nothing along the field
    expected = abs(at_pulse) * np.exp(-contrast.echo_time / t2)
    assert signal(contrast, t1, t2) == pytest.approx(expected, rel=1e-4)


def test_flair_darkens_fluid_and_t2w_brightens_it():
    fluid, white = (4.0, 1.5), (0.85, 0.065)
    assert signal(ROUTINE_CONTRASTS["T2w"], *fluid) > 2 * signal(ROUTINE_CONTRASTS["T2w"], *white)
    assert signal(ROUTINE_CONTRASTS["T1w"], *fluid) < 0.5 * signal(ROUTINE_CONTRASTS["T1w"], *white)


@pytest.mark.parametrize("contrast", ROUTINE_CONTRASTS.values(), ids=ROUTINE_CONTRASTS)
def test_images_grow_with_m0_and_are_empty_where_maps_are(contrast):
    assert signal(contrast, 1.0, 0.1, m0=3.0) == pytest.approx(3 * signal(contrast, 1.0, 0.1))
    assert signal(contrast, 0.0, 0.0) == 0


def test_ratios_give_their_relaxation_times_back():
    t1, t2 = torch.logspace(-1, 0.69, 40), torch.logspace(-2, 0.3, 40)
    one = torch.ones(40)
    ratio1 = synthesise(DENOISED_CONTRASTS["T1ratio"], one, t1, t2)
    ratio2 = synthesise(DENOISED_CONTRASTS["T2ratio"], one, t1, t2)
    assert torch.allclose(t1_of_ratio(ratio1), t1, rtol=1e-3)
    assert torch.allclose(t2_of_ratio(ratio2), t2, rtol=1e-3)
    beyond = torch.tensor([-1.0, 0.0, 1.0, 5.0])
    assert (t1_of_ratio(beyond) >= 0).all() and t1_of_ratio(beyond).isfinite().all()
    assert (t2_of_ratio(beyond) > 0).all() and t2_of_ratio(beyond).isfinite().all()


def test_ratios_are_what_is_left_of_two_images_without_m0():
    t1, t2 = torch.tensor([0.85, 1.4]), torch.tensor([0.065, 0.095])
    m0 = torch.tensor([0.3, 20.0])
    images = {name: synthesise(c, m0, t1, t2) for name, c in DENOISED_CONTRASTS.items()}
    ratio = images["T2w"] / images["PDw"]
    assert torch.allclose(images["T2ratio"], ratio, rtol=1e-3)


@pytest.mark.parametrize("name", DENOISED_CONTRASTS)
def test_slopes_are_those_of_the_signal_equation(name):
    contrast = DENOISED_CONTRASTS[name]
    values = torch.tensor([[0.9, 1.2, 0.07], [1.1, 2.5, 0.3]], dtype=torch.float64)
    logs = values.log().requires_grad_()
    m0, t1, t2 = logs.exp().unbind(1)
    synthesise(contrast, m0, t1, t2).sum().backward()
    expected = logs.grad[:, [1, 2, 0]]
    if not contrast.normalised:
        expected = expected / values[:, :1]
    slopes = log_slopes(contrast, values[:, 1], values[:, 2])
    assert torch.allclose(slopes, expected, rtol=1e-2, atol=1e-4)


def test_white_is_that_of_bright_tissue_and_follows_the_unit():
    torch.manual_seed(0)
    images = torch.rand(2, 2, 40, 40)
    images[:, :, :10] = 0
    white = white_of(images, ("T1w", "T2ratio"))
    assert white.shape == (2, 2, 1, 1)
    assert ((white[:, 0] > 0.9) & (white[:, 0] <= 1)).all()
    scaled = white_of(50 * images, ("T1w", "T2ratio"))
    assert torch.allclose(scaled[:, 0], 50 * white[:, 0])
    assert torch.equal(scaled[:, 1], white[:, 1])
