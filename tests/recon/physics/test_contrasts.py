"""Weighted images against the pulse sequences that they stand for."""

import numpy as np
import pytest
import torch
from helpers.bloch import bloch_fingerprint
from helpers.trains import train

from mri2qmap_bids.recon.physics.contrasts import ROUTINE_CONTRASTS, Contrast, synthesise

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
