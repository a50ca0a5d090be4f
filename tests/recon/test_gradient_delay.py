"""The delay of the gradients of simulated scans is found again."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.scans import disc_brain, raw_scan
from helpers.trains import train

from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.diagnostics.model import Figures
from mri2qmap_bids.recon.gradient_delay import delayed, gradient_delay, with_searched_delay
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary
from mri2qmap_bids.recon.shared_data import SharedData
from mri2qmap_bids.simulate.acquire import acquire
from mri2qmap_bids.simulate.coils import coil_maps
from mri2qmap_bids.simulate.trajectory import Readout, make_trajectory

N, FOV, N_FRAMES = 24, 0.2, 40
OPTIONS = ReconOptions("subspace", device="cpu")
SEQUENCE = train(n_frames=N_FRAMES)
FIGURES = Figures(snr=10.0, acceleration=1.0, condition=1.0, displacement=0.0, delay=0.1)


@pytest.fixture(scope="module")
def dictionary():
    return build_dictionary(SEQUENCE, TissueGrid((0.3, 3.0), (0.02, 0.4), 0.3), rank=3)


def scan_with(delay):
    """A spiral scan by gradients that come late, as a file has it."""
    brain = disc_brain(N, FOV, 9)
    trajectory = make_trajectory("spiral", (N, N), N_FRAMES, 1.0, None, Readout())
    nominal = torch.from_numpy(trajectory.positions)
    frames = torch.arange(nominal[..., 0, 0].numel()).repeat_interleave(nominal.shape[2])
    played = delayed(nominal.reshape(-1, 2), frames, delay).reshape(nominal.shape).numpy()
    coils = coil_maps((1, N, N), False, 4, 0)
    late = acquire(brain, SEQUENCE, replace(trajectory, positions=played), coils, 0.05, 0)
    geometry = Geometry((1, N, N), brain.voxel_size, np.zeros(3), *np.eye(3))
    return raw_scan(replace(late, trajectory=trajectory), geometry)


def shared_by(scan, dictionary):
    return SharedData(scan, scan.geometry, dictionary, OPTIONS)


@pytest.mark.parametrize("delay", [-1.3, 0.0])
def test_a_delay_is_found_in_its_true_size(delay, dictionary):
    scan = scan_with(delay)
    assert gradient_delay(shared_by(scan, dictionary), 0) == pytest.approx(delay, abs=0.15)


def test_a_delay_is_told_from_off_resonance(dictionary):
    scan = scan_with(0.6)
    (samples,) = scan.slices
    n_samples = int((samples.frame == 0).sum())
    time = (torch.arange(len(samples.frame)) % n_samples) * (4e-3 / n_samples)
    turned = samples.kspace * torch.exp(-2j * torch.pi * 600.0 * time)
    scan = replace(scan, slices=(replace(samples, kspace=turned, time=time),))
    b0 = torch.full((N, N), 600.0)
    assert gradient_delay(shared_by(scan, dictionary), 0, b0) == pytest.approx(0.6, abs=0.15)


def test_a_delay_is_searched_for_where_the_residual_tells_of_one(dictionary, caplog):
    scan = scan_with(0.6)
    shared, untold = shared_by(scan, dictionary), replace(FIGURES, delay=0.01)
    assert with_searched_delay(untold, shared, 0) is untold
    assert not caplog.text
    found = with_searched_delay(FIGURES, shared, 0)
    assert found.delay == pytest.approx(0.6, abs=0.15)
    assert "MRFGradientDelay" in caplog.text


def test_late_positions_are_earlier_ones_of_the_same_readout():
    trajectory = torch.stack([torch.arange(12.0) % 6, torch.arange(12.0) % 6 * 2], 1)
    frame = torch.arange(12) // 6
    assert torch.equal(delayed(trajectory, frame, 0.0), trajectory)
    assert delayed(trajectory, frame, 1.5)[:, 0].tolist() == [
        *(0, 0, 0.5, 1.5, 2.5, 3.5),
        *(0, 0, 0.5, 1.5, 2.5, 3.5),
    ]
    assert delayed(trajectory, frame, -1.0)[:, 1].tolist() == [2, 4, 6, 8, 10, 10] * 2
    # Two arms of one frame: the jump ends the first.
    assert torch.equal(delayed(trajectory, frame * 0, -1.0), delayed(trajectory, frame, -1.0))
