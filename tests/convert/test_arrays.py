"""Arrays in files to a run: what is read back is what went in, and nothing is written of what does not fit."""

import json

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from mri2qmap_bids import RawScan, tools
from mri2qmap_bids.recon.acquisition.geometry import affine
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.raw import read_raw

RNG = np.random.default_rng(0)
N_FRAMES = 4
WORLD = np.diag([0.015, 0.015, 0.005, 1.0])
WORLD[:3, 3] = 0.01, -0.02, 0.03
ARRAYS = {
    "kspace": RNG.standard_normal((3, N_FRAMES, 2, 6))
    + 1j * RNG.standard_normal((3, N_FRAMES, 2, 6)),
    "trajectory": RNG.uniform(-8, 8, (N_FRAMES, 2, 6, 2)),
    "fov": np.array([0.24, 0.24, 0.005]),
    "matrix": np.array([16, 16]),
    "trajectory_units": "cycles/fov",
    "noise": RNG.standard_normal((3, 70)) + 1j * RNG.standard_normal((3, 70)),
    "affine": WORLD,
    "dwell_time": 4e-6,
}
TRAIN = {
    "PulseSequenceType": "FISP",
    "FlipAngle": [10, 20, 30, 40],
    "RepetitionTimeExcitation": 0.012,
    "EchoTime": 0.002,
}


def convert(inputs, dataset, *words):
    names = [inputs] if not isinstance(inputs, list) else inputs
    return tools.main(
        ["convert", "arrays", *map(str, names), str(dataset), "--participant-label", "01", *words]
    )


def write(path, **changes):
    arrays = {name: value for name, value in (ARRAYS | changes).items() if value is not None}
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.stem == "v73":
        with h5py.File(path, "w") as file:
            for name, value in arrays.items():
                if isinstance(value, str):
                    node = file.create_dataset(name, data=np.array([[ord(c)] for c in value], "u2"))
                    node.attrs["MATLAB_class"] = np.bytes_("char")
                    continue
                array = np.asarray(value).T
                if np.iscomplexobj(array):
                    array = np.rec.fromarrays([array.real, array.imag], names="real,imag")
                file.create_dataset(name, data=array)
    else:
        scipy.io.savemat(path, arrays)
    return path


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory):
    path = tmp_path_factory.mktemp("sidecar") / "train.json"
    path.write_text(json.dumps(TRAIN))
    return path


@pytest.mark.parametrize("name", ["scan.npz", "v5.mat", "v73.mat"])
def test_what_is_read_back_went_in(tmp_path, sidecar, name):
    assert convert(write(tmp_path / name), tmp_path / "bids", "--sidecar", str(sidecar)) == 0
    read = read_raw(tmp_path / "bids/sub-01/anat/sub-01_MRF.h5", ReadLayout(n_frames=N_FRAMES))
    values = {key: ARRAYS[key] for key in ("noise", "affine", "trajectory_units")}
    known = RawScan.from_arrays(
        ARRAYS["kspace"], ARRAYS["trajectory"], N_FRAMES, (0.24, 0.24, 0.005), 16, **values
    )
    assert torch.allclose(read.slices[0].kspace, known.slices[0].kspace)
    assert torch.allclose(read.slices[0].trajectory, known.slices[0].trajectory, rtol=1e-5)
    assert torch.equal(read.slices[0].frame, known.slices[0].frame)
    assert torch.allclose(read.noise, known.noise)
    assert np.allclose(affine(read.geometry), WORLD, atol=1e-7)
    assert read.encoded_fov == pytest.approx((0.005, 0.24, 0.24))
    written = json.loads((tmp_path / "bids/sub-01/anat/sub-01_MRF.json").read_text())
    assert written["FlipAngle"] == TRAIN["FlipAngle"]
    assert written["DwellTime"] == 4e-6


@pytest.mark.parametrize("name", ["scan.npz", "v5.mat", "v73.mat"])
def test_flat_samples_keep_their_frames(tmp_path, sidecar, name):
    flat = {
        "kspace": ARRAYS["kspace"].reshape(3, -1),
        "trajectory": ARRAYS["trajectory"].reshape(-1, 2),
        "frames": np.repeat(np.arange(N_FRAMES), 12),
    }
    rows = flat if name == "scan.npz" else flat | {"frames": flat["frames"][None]}  # as of MATLAB
    source = write(tmp_path / name, **rows)
    assert convert(source, tmp_path / "bids", "--sidecar", str(sidecar)) == 0
    read = read_raw(tmp_path / "bids/sub-01/anat/sub-01_MRF.h5", ReadLayout(n_frames=N_FRAMES))
    assert np.array_equal(read.slices[0].frame, flat["frames"])
    assert np.allclose(read.slices[0].kspace, flat["kspace"].astype(np.complex64))


def test_the_dataset_is_valid_and_grows(tmp_path, sidecar, validator):
    source = write(tmp_path / "scan.npz")
    words = ("--sidecar", str(sidecar))
    assert convert(source, tmp_path / "bids", *words) == 0
    assert convert(source, tmp_path / "bids", *words, "--session-label", "a", "--run", "2") == 0
    assert (tmp_path / "bids/sub-01/ses-a/anat/sub-01_ses-a_run-2_MRF.h5").exists()
    assert (tmp_path / "bids/participants.tsv").read_text() == "participant_id\nsub-01\n"
    code, findings = validator(tmp_path / "bids")
    assert code == 0, findings


@pytest.mark.parametrize(
    ("changes", "words", "message"),
    [
        ({"kspace": None}, (), "must have an array named kspace, got affine"),
        ({"matrix": None}, (), "must have an array named matrix (or --matrix)"),
        ({"frames": 5}, (), "frames must be the number of frames in kspace, 4"),
        ({"trajectory_units": "rad/pixel"}, (), "cycles/fov would fit"),
        ({"fov": [240, 240, 5]}, (), "is it in mm"),
        ({"fov": [np.nan, 0.24, 0.005]}, (), "fov must be finite, got 1 NaN"),
        ({"matrix": [16.5, 16]}, (), "matrix must be whole numbers, got 16.5"),
        ({"matrix": [np.nan, 16]}, (), "matrix must be finite, got 1 NaN"),
        ({"frames": 4.4}, (), "frames must be whole numbers, got 4.4"),
        ({"kspace": abs(ARRAYS["kspace"])}, (), "kspace must be complex numbers, got float64"),
        ({"noise": ARRAYS["noise"] * np.nan}, (), "noise must be finite, got 210 NaN"),
        ({"noise": ARRAYS["noise"].real}, (), "noise must be complex numbers, got float64"),
        ({"affine": np.full((4, 4), np.nan)}, (), "affine must be finite, got 16 NaN"),
        ({"trajectory_units": []}, (), "trajectory_units must be a text, got float64"),
        ({"dwell_time": []}, (), "dwell_time must be real numbers, got float64 of shape (0,)"),
        ({"dwell_time": np.nan}, (), "dwell_time must be finite"),
        ({"dwell_time": -4e-6}, (), "dwell_time must be one number from 0 to 0.001 s, got -4e-06"),
        ({"dwell_time": 4.0}, (), "dwell_time must be one number from 0 to 0.001 s, got 4.0"),
        ({"dwell_time": [4e-6] * 2}, (), "dwell_time must be one number from 0 to 0.001 s, got 2"),
        ({}, ("--run", "x"), "--run must be digits, got 'x'"),
        ({}, ("--sidecar", "absent.json"), "absent.json: must be a file"),
    ],
)
def test_what_does_not_fit_leaves_nothing_behind(tmp_path, capsys, changes, words, message):
    source = write(tmp_path / "scan.npz", **changes)
    assert convert(source, tmp_path / "bids", *words) > 0
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "bids").exists()


def test_an_array_that_is_not_used_is_named(tmp_path, sidecar, caplog):
    source = write(tmp_path / "scan.npz", noise=None, Noise=ARRAYS["noise"])
    assert convert(source, tmp_path / "bids", "--sidecar", str(sidecar)) == 0
    (record,) = caplog.records
    assert "dwell_time are not used: Noise" in record.getMessage()


@pytest.mark.parametrize("name", ["scan.npz", "v5.mat", "v73.mat"])
def test_a_truncated_file_is_named(tmp_path, capsys, name):
    path = write(tmp_path / name)
    path.write_bytes(path.read_bytes()[:400])
    assert convert(path, tmp_path / "bids") == 1
    assert f"{name}: must be a complete" in capsys.readouterr().err
    assert not (tmp_path / "bids").exists()


def test_a_run_is_not_replaced_unasked(tmp_path, sidecar, capsys):
    source, words = write(tmp_path / "scan.npz"), ("--sidecar", str(sidecar))
    assert convert(source, tmp_path / "bids", *words) == 0
    assert convert(source, tmp_path / "bids", *words) == 73
    assert "must not exist yet" in capsys.readouterr().err
    assert convert(source, tmp_path / "bids", *words, "--overwrite") == 0
