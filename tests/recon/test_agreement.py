"""Mistakes through Python: wrong units, shapes and kinds are refused by name, before anything is computed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.scans import FOV, N_FRAMES, N_VOXELS, grid_arrays, grid_geometry, grid_scan
from helpers.trains import train

from mri2qmap_bids.errors import ArgumentError, Mri2QmapError
from mri2qmap_bids.recon import reconstruct as reconstruct_module
from mri2qmap_bids.recon.acquisition.counters import FrameCounter
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.scan import SliceSamples
from mri2qmap_bids.recon.acquisition.trajectory import TrajectoryUnits
from mri2qmap_bids.recon.agreement import check_agreement
from mri2qmap_bids.recon.grid import field_of_slices
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary
from mri2qmap_bids.recon.physics.pulse_sequence import SequenceKind
from mri2qmap_bids.recon.reconstruct import reconstruct

pytestmark = pytest.mark.usefixtures("types_unchecked")

SEQUENCE = train(n_frames=N_FRAMES)
OPTIONS = ReconOptions(method="subspace", device="cpu")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"voxel_size": (5.0, 13.75, 13.75)}, r"voxel_size along z must be .*, got 5 \(is it in mm\?\)"),
        ({"position": np.array([10.0, -20.0, 30.0])}, r"position must .* 0 to 2 m, got 30 \(is it in mm\?\)"),
        ({"matrix": (0, 0, 0)}, "matrix must be a whole number of at least 1"),
        ({"matrix": (1, 1, 20000)}, "matrix along y, x must be 4 to 4096"),
        ({"read_dir": np.array([2.0, 0, 0])}, "must be orthogonal unit vectors"),
        ({"position": np.zeros(2)}, "position must have 3 components"),
    ],
)  # fmt: skip
def test_a_geometry_in_other_units_is_refused(changes, words):
    with pytest.raises(ArgumentError, match=words):
        grid_geometry(**changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"flip_angle": np.full(N_FRAMES, 35.0)}, r"flip_angle must .* rad, got 35 \(is it in deg\?\)"),
        ({"repetition_time": np.full(N_FRAMES, 12.0)}, r"repetition_time must .* s, got 12 \(is it in ms\?\)"),
        ({"echo_time": np.full(N_FRAMES, 2.0)}, r"echo_time must .* s, got 2 \(is it in ms\?\)"),
        ({"inversion_time": 20.0}, r"inversion_time must .* s, got 20 \(is it in ms\?\)"),
        ({"preparation_time": 4000.0}, r"preparation_time must be at least .*\(is it in ms\?\)"),
        ({"preparation_time": 0.01}, "preparation_time must be at least"),
        ({"rf_phase": 180.0 * (np.arange(N_FRAMES) % 2)}, r"rf_phase must be in rad.*\(is it in deg\?\)"),
        ({"inversion_efficiency": 96.0}, r"inversion_efficiency must be 0 to 1, got 96 \(is it in %\?\)"),
        ({"slice_profile": (50.0, 100.0)}, r"slice_profile must be .*\(is it in %\?\)"),
        ({"flip_angle": np.full(N_FRAMES, np.nan)}, "flip_angle must be finite"),
        ({"flip_angle": ["a"] * N_FRAMES}, "flip_angle must be real numbers"),
        ({"kind": "GRE"}, "kind must be one of FISP, bSSFP, .*QTI, got 'GRE'"),
    ],
)  # fmt: skip
def test_a_sequence_in_other_units_is_refused(changes, words):
    with pytest.raises(ArgumentError, match=words):
        train(n_frames=N_FRAMES, **changes)


def test_names_in_any_case_are_members():
    assert train("fisp", N_FRAMES, echo_time=np.full(N_FRAMES, 0.001)).kind == SequenceKind.FISP
    assert train("bssfp", N_FRAMES).kind == SequenceKind.BSSFP
    layout = ReadLayout(N_FRAMES, "Contrast", "1/M")
    assert layout.frame_counter is FrameCounter.CONTRAST
    assert layout.trajectory_units is TrajectoryUnits.PER_METRE
    with pytest.raises(ArgumentError, match="trajectory_units must be one of cycles/pixel.*'1/km'"):
        ReadLayout(N_FRAMES, trajectory_units="1/km")
    unwrapped = train(n_frames=N_FRAMES, rf_phase=np.deg2rad(20.0) * np.arange(N_FRAMES) ** 2)
    assert unwrapped.rf_phase.max() > 2 * np.pi


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rank": 0}, "rank must be a whole number of at least 1"),
        ({"n_iterations": 0}, "n_iterations must be"),
        ({"n_iterations": 2.5}, "n_iterations must be a whole number"),
        ({"regularisation": -1.0}, "regularisation must be 0 to"),
        ({"regularisation": np.nan}, "regularisation must be finite"),
        ({"energy": 99.99}, r"energy must be 0.5 to 1, got 99.99 \(is it in %\?\)"),
        (
            {"t1_range": (100.0, 5000.0)},
            r"t1_range must be .* s, got 100 to 5000 \(is it in ms\?\)",
        ),
        ({"t2_range": (0.2, 0.1)}, "t2_range must be"),
        ({"matrix": (0, 0, 0)}, "matrix must be a whole number"),
        ({"matrix": (1, 2, 2)}, "matrix along y, x must be 4 to 4096"),
        ({"grid_step": 5.0}, "grid_step must be"),
        ({"n_virtual_coils": 0}, "n_virtual_coils must be"),
        ({"random_seed": -1}, "random_seed must be"),
        ({"device": "gpu"}, "device must be auto, cpu, cuda or cuda:N"),
    ],
)
def test_impossible_options_are_refused(changes, words):
    with pytest.raises(ArgumentError, match=words):
        ReconOptions(**changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "gridding", "n_iterations": 9}, "n_iterations must be None for the method gridding, got 9"),
        ({"method": "mri2qmap", "regularisation": 0.5}, "regularisation must be None for the method mri2qmap"),
        ({"method": "subspace", "denoiser": "a.safetensors"}, "denoiser must be None for the method subspace"),
        ({"method": "magic"}, "method must be one of"),
    ],
)  # fmt: skip
def test_options_that_the_method_does_not_have_are_refused(monkeypatch, changes, words):
    monkeypatch.setattr(reconstruct_module, "build_dictionary", None)  # nothing is computed
    with pytest.raises(ArgumentError, match=words):
        reconstruct(grid_scan(), SEQUENCE, ReconOptions(device="cpu", **changes))


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (FOV / N_VOXELS, "cycles/pixel would fit"),
        (FOV, "cycles/fov would fit"),
        (2 * np.pi * FOV / N_VOXELS, "rad/pixel would fit"),
        (1e-2, "1/cm would fit"),
        (1e-3, "1/mm would fit"),
        (2 * np.pi, "no unit fits"),
        (np.array([1.0, FOV / N_VOXELS]), "1/m along x, cycles/pixel along y would fit"),
    ],
)
def test_positions_that_are_not_in_cycles_per_metre_are_refused(monkeypatch, factor, words):
    given = grid_arrays()
    other = grid_scan(SliceSamples(**{**given, "trajectory": given["trajectory"] * factor}))
    monkeypatch.setattr(reconstruct_module, "build_dictionary", None)  # nothing is computed
    with pytest.raises(ArgumentError, match=words) as caught:
        reconstruct(other, SEQUENCE, OPTIONS)
    assert str(caught.value).startswith("slices[0].trajectory must")
    assert isinstance(caught.value, Mri2QmapError)


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(
        ArgumentError, match=r"sequence.n_frames must be scan.n_frames = 12, got 13"
    ):
        check_agreement(grid_scan(), train(n_frames=13), OPTIONS, None)
    with pytest.raises(
        ArgumentError, match="rank must be at most the number of frames, 12, got 13"
    ):
        check_agreement(grid_scan(), SEQUENCE, replace(OPTIONS, rank=13), None)


@pytest.mark.parametrize(
    ("b1", "words"),
    [
        (
            np.full((1, N_VOXELS, N_VOXELS), 100.0),
            r"b1 .*median of 0.3 to 2, got 100 \(is it in %\?\)",
        ),
        (np.ones((N_VOXELS, N_VOXELS)), "b1 must be positive and finite of shape"),
        (np.zeros((1, N_VOXELS, N_VOXELS)), "b1 must be positive and finite"),
    ],
)
def test_a_transmit_field_is_relative_and_on_the_grid(b1, words):
    with pytest.raises(ArgumentError, match=words):
        field_of_slices(b1, grid_geometry(), False, torch.device("cpu"))


def test_a_slice_without_signal_is_refused():
    scan = grid_scan()
    empty = replace(scan.slices[0], kspace=torch.zeros_like(scan.slices[0].kspace))
    with pytest.raises(ArgumentError, match=r"slices\[0\].kspace must not be zero everywhere"):
        reconstruct(replace(scan, slices=(empty, *scan.slices[1:])), SEQUENCE, OPTIONS)


def test_a_dictionary_must_cover_the_transmit_field():
    scan = grid_scan()
    b1 = np.full(scan.geometry.matrix, 0.8, np.float32)
    grid = TissueGrid((0.5, 2.0), (0.05, 0.2), 0.5, (0.8, 0.85, 0.9))
    covering = build_dictionary(SEQUENCE, grid, 3)
    check_agreement(scan, SEQUENCE, OPTIONS, covering, b1)
    for fields in ((1.0,), (0.85, 0.9, 0.95)):
        other = build_dictionary(SEQUENCE, replace(grid, b1=fields), 3)
        with pytest.raises(
            ArgumentError, match=r"dictionary must cover the transmit field b1, 0.8 to 0.9 "
        ):
            check_agreement(scan, SEQUENCE, OPTIONS, other, b1)
