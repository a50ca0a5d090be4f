"""The inversion efficiency of simulated scans is found again."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.scans import disc_brain, raw_scan
from helpers.trains import train

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.logs import heard_warnings
from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.grid import tissue_grid
from mri2qmap_bids.recon.inversion import estimated_efficiency
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import build_dictionary
from mri2qmap_bids.recon.physics.sequences.spin_echo import spin_echo
from mri2qmap_bids.recon.problem import whitening_of
from mri2qmap_bids.recon.reconstruct import reconstruct, reconstruct_and_diagnose
from mri2qmap_bids.recon.shared_data import SharedData
from mri2qmap_bids.simulate.acquire import acquire
from mri2qmap_bids.simulate.arms import SpiralDensity
from mri2qmap_bids.simulate.coils import coil_maps
from mri2qmap_bids.simulate.trajectory import Readout, make_trajectory

N, FOV = 32, 0.2
OPTIONS = ReconOptions(
    device="cpu",
    grid_step=0.1,
    t1_range=(0.3, 3.0),
    t2_range=(0.02, 0.4),
    method="subspace",
    inversion_efficiency="estimate",
)
COILS = coil_maps((1, N, N), False, 4, 0)
BRAIN = disc_brain(N, FOV, 13)
TIMES = [0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 2.5, 4.0]


def scan_of(sequence, columns=None, noise=0.1):
    """A scan of the brain, or of some of its columns."""
    brain = BRAIN if columns is None else replace(BRAIN, m0=BRAIN.m0 * columns)
    acceleration = max(1.0, sequence.n_frames / 40)
    trajectory = make_trajectory(
        "spiral", (N, N), sequence.n_frames, acceleration, None, Readout(SpiralDensity(0.2, 3, 4))
    )
    acquired = acquire(brain, sequence, trajectory, COILS, noise=noise, seed=0)
    return raw_scan(acquired, Geometry((1, N, N), BRAIN.voxel_size, np.zeros(3), *np.eye(3)))


@pytest.mark.parametrize(
    ("sequence", "efficiency"),
    [
        (train(n_frames=200), 0.83),
        (spin_echo(0.012, 5.0, TIMES, number_dummies=1), 0.62),
        (spin_echo(0.012, 5.0, TIMES, number_dummies=1), 1.0),
    ],
    ids=["FISP", "inversion recovery", "whole inversion"],
)
def test_a_scans_efficiency_is_estimated_and_its_t1_has_no_bias(sequence, efficiency):
    scan = scan_of(replace(sequence, inversion_efficiency=efficiency))
    with heard_warnings() as warnings:
        maps, diagnostics = reconstruct_and_diagnose(scan, sequence, OPTIONS)
    assert not any("inversion efficiency" in text for text in warnings)
    assert diagnostics.sequence.inversion_efficiency == pytest.approx(efficiency, abs=0.01)
    true = replace(sequence, inversion_efficiency=efficiency)
    truth = reconstruct(scan, true, replace(OPTIONS, inversion_efficiency="given"))
    for label in (1, 2):
        tissue = BRAIN.labels == label
        assert np.median(maps.t1[tissue]) == pytest.approx(np.median(truth.t1[tissue]), rel=0.02)
    assert "inversion efficiency" in diagnostics.seconds


def test_the_estimate_knows_off_resonance():
    """A uniform field turns the phase along the readouts: without its map the image is blurred."""
    sequence = replace(train(n_frames=200), inversion_efficiency=0.83)
    scan, frequency = scan_of(sequence), 600.0
    (samples,) = scan.slices
    n_samples = int((samples.frame == 0).sum())
    time = (torch.arange(len(samples.frame)) % n_samples) * (4e-3 / n_samples)
    phase = torch.exp(-2j * np.pi * frequency * time)
    turned = replace(samples, kspace=samples.kspace * phase, time=time)
    b0 = np.full((1, N, N), frequency, np.float32)
    estimates = [
        reconstruct_and_diagnose(
            replace(scan, slices=(part,)), train(n_frames=200), OPTIONS, b0=field
        )[1].sequence.inversion_efficiency
        for part, field in ((samples, None), (turned, b0))
    ]
    assert estimates[0] == pytest.approx(0.83, abs=0.01)
    assert estimates[1] == pytest.approx(estimates[0], abs=0.002)


def test_a_map_of_the_efficiency_finds_two_and_t1_of_both():
    sequence = train(n_frames=200)
    x = np.arange(N)
    halves = [
        scan_of(replace(sequence, inversion_efficiency=e), side, 0.03)
        for e, side in zip((0.7, 0.9), (x < N // 2, x >= N // 2), strict=True)
    ]
    kspace = halves[0].slices[0].kspace + halves[1].slices[0].kspace
    scan = replace(halves[0], slices=(replace(halves[0].slices[0], kspace=kspace),))
    options = replace(OPTIONS, inversion_efficiency="map")
    maps, diagnostics = reconstruct_and_diagnose(scan, sequence, options)
    left, right = (BRAIN.labels > 0) & (x < 10), (BRAIN.labels > 0) & (x > 22)
    assert np.median(maps.inversion_efficiency[left]) == pytest.approx(0.7, abs=0.03)
    assert np.median(maps.inversion_efficiency[right]) == pytest.approx(0.9, abs=0.03)
    assert diagnostics.sequence.inversion_efficiency == pytest.approx(0.8, abs=0.1)
    for side in (left, right):
        tissue = side & (BRAIN.labels == 1)
        assert np.median(maps.t1[tissue]) == pytest.approx(1.4, rel=0.03)


def test_a_map_of_the_efficiency_and_one_of_the_field_are_refused():
    sequence = train(n_frames=60)
    with pytest.raises(ArgumentError, match="b1 must be None.*inversion_efficiency map"):
        reconstruct(
            scan_of(sequence),
            sequence,
            replace(OPTIONS, inversion_efficiency="map"),
            b1=np.ones((1, N, N), np.float32),
        )


def test_too_few_samples_for_an_estimate_are_warned_of():
    sequence = spin_echo(0.012, 5.0, TIMES, number_dummies=1)
    scan = scan_of(sequence)
    (samples,) = scan.slices
    part = torch.arange(len(samples.frame)) // 16 % 16 == 0
    samples = replace(
        samples,
        kspace=samples.kspace[:, part],
        trajectory=samples.trajectory[part],
        frame=samples.frame[part],
    )
    with heard_warnings() as warnings:
        options = replace(OPTIONS, grid_step=0.3)
        dictionary = build_dictionary(sequence, tissue_grid(options), options.rank, options.energy)
        shared = SharedData(
            replace(scan, slices=(samples,)), scan.geometry, dictionary, options, whitening_of(scan)
        )
        estimated_efficiency(shared, None, None, 0.0, None)
    assert any("inversion efficiency" in text and "may be wrong" in text for text in warnings)


def test_a_wrong_efficiency_does_bias_t1():
    """The law above is not met by chance."""
    sequence = spin_echo(0.012, 5.0, TIMES, number_dummies=1)
    scan = scan_of(replace(sequence, inversion_efficiency=0.62))
    maps = reconstruct(scan, sequence, replace(OPTIONS, inversion_efficiency="given"))
    assert np.median(maps.t1[BRAIN.labels == 1]) < 0.9 * 1.4


def test_a_sequence_without_inversion_is_refused():
    sequence = replace(train(n_frames=60), inversion_time=None)
    with pytest.raises(ArgumentError, match="inversion_efficiency must be given.*got estimate"):
        reconstruct(scan_of(sequence), sequence, OPTIONS)


def test_a_dictionary_of_one_efficiency_is_refused():
    sequence = train(n_frames=60)
    given = build_dictionary(
        sequence, tissue_grid(replace(OPTIONS, inversion_efficiency="given")), rank=4
    )
    with pytest.raises(ArgumentError, match="several inversion efficiencies.*got 1"):
        reconstruct(scan_of(sequence), sequence, OPTIONS, dictionary=given)
