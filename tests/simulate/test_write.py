"""Datasets on disk: raw files, sidecars, known maps, several calls."""

import json
from dataclasses import replace

import ismrmrd
import nibabel as nib
import numpy as np
import pytest

from mri2qmap_bids import tools
from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.raw import read_raw
from mri2qmap_bids.recon.physics.slice_profile import RFPulse, slice_profile
from mri2qmap_bids.simulate.arm_order import ARM_ORDERS
from mri2qmap_bids.simulate.arms import SpiralDensity
from mri2qmap_bids.simulate.command import scan_options
from mri2qmap_bids.simulate.phantom import POINT_SPREAD
from mri2qmap_bids.simulate.rawfile import RawFileOptions
from mri2qmap_bids.simulate.scan import simulate_scan
from mri2qmap_bids.simulate.sequences import from_sidecar, make_sequence
from mri2qmap_bids.simulate.sidecar import make_sidecar
from mri2qmap_bids.simulate.trajectory import TRAJECTORY_KINDS, Readout, make_trajectory

FLAT = ["--matrix", "24", "--slices", "3", "--slice-gap", "1", "--frames", "12", "--coils", "2"]
SOLID = ["--dimension", "3D", "--matrix", "12", "--frames", "9", "--coils", "2", "--acq", "3d"]
TRUTH = "derivatives/mri2qmap-simulate"


def _simulate(root, *words):
    return tools.main(["simulate", str(root), *words])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("simulated") / "dataset"
    flat = [*FLAT, "--acq", "2d", "--oblique", "10", "0", "20", "--acceleration", "2"]
    assert _simulate(root, *flat, "--discard-pre", "3", "--discard-post", "2") == 0
    assert _simulate(root, *SOLID, "--sub", "02", "--ses", "a", "--prep-time", "2") == 0
    return root


def _raw(root, name):
    path = next(root.glob(f"sub-*/**/{name}"))
    with ismrmrd.File(str(path), "r") as file:
        return file["dataset"].header, list(file["dataset"].acquisitions[:])


def test_dataset_and_truth_are_valid_bids(dataset, validator):
    for root in (dataset, dataset / TRUTH):
        code, findings = validator(root)
        assert code == 0, findings
        assert "[ERROR]" not in findings


def test_raw_file_holds_every_frame_once(dataset):
    header, acquisitions = _raw(dataset, "*acq-2d_MRF.h5")
    noise, *images = acquisitions
    assert noise.is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    counters = [(a.idx.slice, a.idx.kspace_encode_step_1, a.idx.contrast) for a in images]
    n_arms = len(images) // 36
    assert sorted(counters) == [
        (s, a, t) for s in range(3) for a in range(n_arms) for t in range(12)
    ]
    assert all(a.data.shape[1] == len(a.traj) and a.traj.shape[1] == 2 for a in images)
    assert (images[0].discard_pre, images[0].discard_post) == (3, 2)
    inside = images[0].data[:, 3:-2]
    assert np.abs(images[0].data[:, :3]).min() > 5 * np.abs(inside).max()
    matrix, fov = (
        header.encoding[0].reconSpace.matrixSize,
        header.encoding[0].reconSpace.fieldOfView_mm,
    )
    assert (matrix.x, matrix.y, matrix.z) == (24, 24, 1)
    assert fov.z == 5.0 and header.encoding[0].trajectory.value == "spiral"


def test_solid_file_has_a_three_dimensional_trajectory(dataset):
    header, acquisitions = _raw(dataset, "*acq-3d_MRF.h5")
    assert acquisitions[1].traj.shape[1] == 3
    assert header.encoding[0].encodedSpace.matrixSize.z == 12
    assert 5.5 < max(np.abs(a.traj).max() for a in acquisitions[1:]) <= 6.0


@pytest.mark.parametrize(("name", "n_frames"), [("*acq-2d_MRF.json", 12), ("*acq-3d_MRF.json", 9)])
def test_sidecar_has_one_value_per_frame(dataset, name, n_frames):
    keys = json.loads(next(dataset.glob(f"sub-*/**/{name}")).read_text())
    assert keys["PulseSequenceType"] == "FISP"
    assert len(keys["FlipAngle"]) == n_frames
    assert keys["RepetitionTimeExcitation"] == 0.012 and keys["EchoTime"] == 0.002
    assert keys["InversionTime"] == 0.02 and keys["MRFTrajectoryUnits"] == "cycles/fov"
    assert keys.get("RepetitionTimePreparation") == (2.0 if n_frames == 9 else None)


def test_sidecar_describes_the_train_that_was_played(dataset):
    path = next(dataset.glob("sub-*/**/*acq-2d_MRF.json"))
    stored, played = from_sidecar(path), make_sequence("FISP", 12)
    np.testing.assert_allclose(stored.flip_angle, played.flip_angle, atol=1e-7)
    np.testing.assert_allclose(stored.repetition_time, played.repetition_time)


@pytest.mark.parametrize("n_frames", [None, 7])
def test_every_field_of_a_sequence_survives_the_sidecar(tmp_path, n_frames):
    played = replace(
        make_sequence("bSSFP", 12, preparation_time=3.0),
        rf_phase=np.deg2rad(117.0 * np.arange(12) ** 2 / 2 % 360),
        inversion_efficiency=0.93,
        slice_profile=(0.2, 0.9, 1.0),
    )
    arms = make_trajectory("spiral", (16, 16), 12, 1)
    path = tmp_path / "sub-01_MRF.json"
    path.write_text(json.dumps(make_sidecar(played, arms, 2, RawFileOptions())))
    stored = from_sidecar(path, n_frames)
    for name, value in vars(played).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_allclose(getattr(stored, name), value[:n_frames], atol=1e-7)
        else:
            assert getattr(stored, name) == value


@pytest.mark.parametrize(
    "text", ["[1]", "{", '{"PulseSequenceType": "FISP", "FlipAngle": [1, "x"]}']
)
def test_what_is_no_sidecar_is_refused(tmp_path, text):
    path = tmp_path / "sub-01_MRF.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="must be .*sub-01_MRF.json|sub-01_MRF.json: must be"):
        from_sidecar(path)


def test_known_maps_lie_where_the_acquisitions_do(dataset):
    _, acquisitions = _raw(dataset, "*acq-2d_MRF.h5")
    image = nib.load(next((dataset / TRUTH).glob("sub-01/**/*_T1map.nii.gz")))
    assert image.shape == (24, 24, 3)
    to_ras = np.diag([-1.0, -1.0, 1.0])
    places = {a.idx.slice: np.array(a.position) for a in acquisitions[1:]}
    for index, position in places.items():
        world = image.affine @ [12, 12, index, 1]
        np.testing.assert_allclose(world[:3], to_ras @ position, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(places[1] - places[0]), 6.0, atol=1e-3)
    step = image.affine[:3, 0] / np.linalg.norm(image.affine[:3, 0])
    np.testing.assert_allclose(step, to_ras @ np.array(acquisitions[1].read_dir), atol=1e-5)


def test_known_maps_are_complete(dataset):
    folder = dataset / TRUTH / "sub-02/ses-a/anat"
    stem = "sub-02_ses-a_acq-3d"
    ends = ("T1map", "T2map", "M0map", "dseg", "desc-head_mask", "desc-brain_mask")
    t1, t2, m0, labels, mask, brain = (
        np.asarray(nib.load(folder / f"{stem}_{end}.nii.gz").dataobj) for end in ends
    )
    assert set(np.unique(labels)) <= {0, 1, 2, 3}
    assert (brain[labels > 0] == 1).all() and (mask[brain > 0] == 1).all()
    for values in (t1, t2, m0):
        assert (values[mask > 0] > 0).all() and (values[mask == 0] == 0).all()
    assert 0.5 < np.median(t1[mask > 0]) < 2.0
    description = json.loads((dataset / TRUTH / "dataset_description.json").read_text())
    assert description["GeneratedBy"][0]["Name"] == "mri2qmap-simulate"


def test_second_call_adds_to_the_dataset(dataset):
    rows = (dataset / "participants.tsv").read_text().splitlines()
    assert [row.split("\t")[0] for row in rows] == ["participant_id", "sub-01", "sub-02"]
    assert (dataset / ".bidsignore").read_text().splitlines() == ["*_MRF.*", "MRF.json"]


def test_existing_run_is_not_replaced(dataset, capsys):
    before = next(dataset.glob("sub-01/**/*.h5")).stat().st_mtime_ns
    assert _simulate(dataset, *FLAT, "--acq", "2d") == 73
    assert "--overwrite" in capsys.readouterr().err
    assert next(dataset.glob("sub-01/**/*.h5")).stat().st_mtime_ns == before


def test_overwritten_scan_leaves_no_field_maps(tmp_path):
    tiny = ["--matrix", "8", "--frames", "2", "--coils", "1", "--noise", "0"]
    fields = ["--b1", "0.3", "--off-resonance", "50"]
    for label in ("01", "02"):
        assert _simulate(tmp_path, *tiny, *fields, "--sub", label) == 0
    assert len(list(tmp_path.glob("sub-01/fmap/*"))) == 4
    assert _simulate(tmp_path, *tiny, "--sub", "01", "--overwrite") == 0
    assert not list(tmp_path.glob("sub-01/fmap/*"))
    assert len(list(tmp_path.glob("sub-02/fmap/*"))) == 4


def test_foreign_files_are_kept(tmp_path):
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-zz\t40\n")
    (tmp_path / "README").write_text("mine")
    (tmp_path / ".bidsignore").write_text("notes/\n")
    assert (
        _simulate(tmp_path, "--matrix", "8", "--frames", "2", "--coils", "1", "--noise", "0") == 0
    )
    rows = [r.split("\t") for r in (tmp_path / "participants.tsv").read_text().splitlines()]
    assert rows[0][:2] == ["participant_id", "age"]
    assert rows[1][:2] == ["sub-01", "n/a"] and rows[2][:2] == ["sub-zz", "40"]
    assert (tmp_path / "README").read_text() == "mine" and not (tmp_path / "README.md").exists()
    assert "notes/" in (tmp_path / ".bidsignore").read_text()


def test_same_seed_writes_the_same_samples(tmp_path):
    words = ["--matrix", "8", "--frames", "2", "--coils", "2", "--seed", "5"]
    for name in ("a", "b"):
        assert _simulate(tmp_path / name, *words) == 0
    assert _simulate(tmp_path / "c", *words[:-1], "6") == 0
    a, b, c = (_raw(tmp_path / name, "*_MRF.h5")[1][1].data for name in "abc")
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).max() > 0


def test_slice_profile_is_in_the_samples_and_in_the_sidecar(tmp_path):
    words = ["--matrix", "8", "--frames", "12", "--coils", "1", "--noise", "0"]
    assert _simulate(tmp_path / "none", *words) == 0
    assert _simulate(tmp_path / "sinc", *words, "--slice-profile", "sinc:4") == 0
    sidecar = next((tmp_path / "sinc").glob("sub-*/**/*_MRF.json"))
    expected = slice_profile(
        RFPulse("sinc", 4.0), float(make_sequence("FISP", 12).flip_angle.mean())
    )
    assert from_sidecar(sidecar).slice_profile == expected
    # The sidecar is all that another simulation needs.
    assert _simulate(tmp_path / "again", *words, "--sidecar", str(sidecar)) == 0
    none, sinc, again = (
        np.stack([a.data for a in _raw(tmp_path / name, "*_MRF.h5")[1]])
        for name in ("none", "sinc", "again")
    )
    np.testing.assert_allclose(sinc, again, atol=1e-5 * np.abs(sinc).max())
    assert np.linalg.norm(sinc - none) > 0.05 * np.linalg.norm(none)


def test_trajectory_units_and_frame_counter_are_as_asked(tmp_path):
    words = ["--matrix", "16", "--frames", "3", "--coils", "1", "--noise", "0"]
    assert _simulate(tmp_path / "fov", *words) == 0
    pixel = ["--trajectory-units", "cycles/pixel", "--frame-counter", "repetition"]
    assert _simulate(tmp_path / "pixel", *words, *pixel) == 0
    fov, px = (_raw(tmp_path / name, "*_MRF.h5")[1] for name in ("fov", "pixel"))
    np.testing.assert_allclose(fov[1].traj / 16, px[1].traj, rtol=1e-6)
    assert [a.idx.repetition for a in px[:3]] == [0, 1, 2]


WAYS = [
    ("spiral", ["--spiral-density", "0.4", "2", "3"]),
    ("spiral", ["--in-out", "--arm-order", "tiny-golden"]),
    ("radial", ["--arm-order", "random"]),
    ("cartesian", ["--arm-order", "random"]),
    ("spiral", ["--dimension", "3D", "--in-out"]),
    ("radial", ["--dimension", "3D", "--acceleration", "100"]),
    ("cartesian", ["--dimension", "3D"]),
    ("stack-of-spirals", ["--dimension", "3D", "--spiral-density", "0.4", "2", "3", "--in-out"]),
    ("stack-of-stars", ["--dimension", "3D"]),
]
# ISMRMRD has no word for stacks.
WORDS = {"stack-of-spirals": "spiral", "stack-of-stars": "radial"}


@pytest.mark.parametrize(("kind", "words"), WAYS)
def test_every_trajectory_is_written_and_read(tmp_path, kind, words):
    tiny = ["--matrix", "12", "--frames", "3", "--coils", "2", "--noise", "0"]
    assert _simulate(tmp_path / "dataset", *tiny, "--trajectory", kind, *words) == 0
    path = next((tmp_path / "dataset").glob("sub-*/**/*_MRF.h5"))
    header, acquisitions = _raw(tmp_path / "dataset", path.name)
    assert header.encoding[0].trajectory.value == WORDS.get(kind, kind)
    for acquisition in acquisitions:
        # The stated centre is where the arm comes nearest to that of k-space.
        nearest = np.linalg.norm(acquisition.traj, axis=1).argmin()
        assert acquisition.center_sample == nearest
    part = read_raw(path, ReadLayout(n_frames=3)).slices[0]
    n_dims = 3 if "3D" in words else 2
    assert part.trajectory.shape == (sum(len(a.traj) for a in acquisitions), n_dims)
    assert json.loads(path.with_suffix(".json").read_text())["MRFTrajectory"] == kind


def _options(*words):
    return scan_options(tools.build_parser().parse_args(["simulate", "nowhere", *words]))


def test_words_become_options():
    words = ["--spiral-density", "0.4", "2", "3", "--in-out", "--arm-order", "random"]
    words += ["--sample-spacing", "0.5", "--point-spread", "0", "--coil-radius", "2"]
    options = _options(*words)
    assert options.readout == Readout(SpiralDensity(0.4, 2, 3), True, "random", 0.5)
    assert (options.point_spread, options.coil_radius) == (0.0, 2.0)
    default = _options()
    # As the documentation has them.
    spelt = _options("--point-spread", "0.6", "--coil-radius", "1.25", "--sample-spacing", "0.75")
    for name in ("point_spread", "coil_radius", "readout"):
        assert getattr(default, name) == getattr(spelt, name)


@pytest.mark.parametrize(
    ("option", "choices"), [("--trajectory", TRAJECTORY_KINDS), ("--arm-order", ARM_ORDERS)]
)
def test_every_choice_is_a_word(option, choices):
    for choice in choices:
        arguments = tools.build_parser().parse_args(["simulate", "nowhere", option, choice])
        assert choice in vars(arguments).values()


def test_what_help_says_of_defaults_is_so(capsys):
    with pytest.raises(SystemExit):
        tools.main(["simulate", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"default {POINT_SPREAD:g}; 0: no blur" in text
    assert f"default {Readout().sample_spacing:g}" in text


def test_scans_obey_point_spread_coil_radius_and_order():
    tiny = ["--matrix", "24", "--frames", "2", "--coils", "4", "--noise", "0"]
    plain = simulate_scan(_options(*tiny), 1, 2)
    sharp = simulate_scan(_options(*tiny, "--point-spread", "0"), 1, 2)
    wide = simulate_scan(_options(*tiny, "--coil-radius", "3"), 1, 2)
    assert np.isin(sharp.brain.labels, (1, 2)).sum() > np.isin(plain.brain.labels, (1, 2)).sum()
    spread = [np.abs(scan.coil_maps).std() for scan in (plain, wide)]
    assert spread[1] < spread[0] / 2
    random = [*tiny, "--arm-order", "random"]
    a, b, c = (
        simulate_scan(_options(*random), 1, seed).acquired.trajectory.positions
        for seed in (2, 2, 3)
    )
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).max() > 0


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--acceleration", "0"], 64, "--acceleration"),
        (["--frames", "0"], 64, "--frames"),
        (["--flip-angles", "/nowhere.txt"], 64, "/nowhere.txt"),
        (["--sub", "a_b"], 64, "--sub"),
        (["--maps", "one.nii"], 64, "--maps"),
        (["--phantom", "brainweb"], 64, "--labels"),
        (["--prep-time", "0.1"], 64, "--prep-time"),
        (["--noise", "-1"], 64, "--noise"),
        (["--trajectory", "stack-of-stars"], 64, "--trajectory"),
        (["--trajectory", "radial", "--spiral-density", "0.5", "2", "4"], 64, "--spiral-density"),
        (["--spiral-density", "1.5", "2", "4"], 64, "--spiral-density"),
        (["--trajectory", "cartesian", "--in-out"], 64, "--in-out"),
        (["--trajectory", "cartesian", "--arm-order", "tiny-golden"], 64, "--arm-order"),
        (["--sample-spacing", "0"], 64, "--sample-spacing"),
        (["--point-spread", "-0.1"], 64, "--point-spread"),
        (["--point-spread", "nan"], 64, "--point-spread"),
        (["--maps", "a.nii", "b.nii", "--point-spread", "0"], 64, "--point-spread"),
        (["--coil-radius", "1"], 64, "--coil-radius"),
        (["--coil-radius", "inf"], 64, "--coil-radius"),
        (["--slice-profile", "sinc"], 64, "--slice-profile"),
        (["--slice-profile", "gauss:4"], 64, "--slice-profile"),
        (["--slice-profile", "sinc:1"], 64, "--slice-profile"),
        (["--slice-profile", "sinc:nan"], 64, "--slice-profile"),
        (["--dimension", "3D", "--slice-profile", "sinc:4"], 64, "--slice-profile"),
    ],
)
def test_bad_words_leave_one_line_and_nothing_on_disk(tmp_path, capsys, words, code, text):
    root = tmp_path / "dataset"
    assert _simulate(root, "--matrix", "8", *words) == code
    error = capsys.readouterr().err
    assert text in error and error.count("\n") == 1
    assert not root.exists()


def test_short_train_is_refused():
    with pytest.raises(UsageError, match="flip angles: must be at least 9"):
        make_sequence("FISP", 9, flip_angle=np.ones(4))
