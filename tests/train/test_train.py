"""Training data from disk, noise, checkpoints, and the command as a user calls it."""

import json

import nibabel as nib
import numpy as np
import pytest
import torch

from mri2qmap_bids import tools
from mri2qmap_bids.recon.pnp.denoiser import load_denoiser
from mri2qmap_bids.recon.pnp.network import NetworkShape
from mri2qmap_bids.train import loop
from mri2qmap_bids.train.data import Slice, load_folder
from mri2qmap_bids.train.loop import TrainingOptions, add_noise, draw_patches, train, validate

CONTRASTS = NetworkShape().contrasts


def write_volume(path, seed=0, shape=(64, 60, 20), sizes=(1.0, 1.0, 4.0)):
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    volume = 100 * (grid[0] ** 2 + grid[1] ** 2 < 0.9) * (1 + 0.3 * np.sin(5 * grid[0] + seed))
    volume += rng.random(shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(volume.astype(np.float32), np.diag([*sizes, 1.0])), path)


@pytest.fixture
def folder(tmp_path):
    for subject in ("01", "02"):
        for contrast in ("T1w", "FLAIR"):
            write_volume(
                tmp_path / f"sub-{subject}/anat/sub-{subject}_{contrast}.nii.gz", int(subject)
            )
    write_volume(tmp_path / "other/IXI001-HH_T2.nii.gz", 3)
    return tmp_path


def test_volumes_of_a_subject_are_paired_and_missing_contrasts_known(folder):
    slices = load_folder(folder, CONTRASTS)
    kinds = {tuple(item.present.tolist()) for item in slices}
    assert kinds == {(True, False, False, True), (False, True, False, False)}
    for item in slices:
        assert item.images.shape[0] == 4
        assert (item.images[~item.present] == 0).all()
        assert 0.9 < item.images[item.present].max() < 2
    assert {item.group for item in slices} == {"sub-01", "sub-02", "IXI001-HH"}


def test_bad_volumes_are_skipped_by_name(folder, caplog):
    (folder / "sub-03_T1w.nii.gz").write_bytes(b"no NIfTI")
    write_volume(folder / "sub-04_bold.nii.gz")
    nan = np.full((64, 60, 20), np.nan, np.float32)
    nib.save(nib.Nifti1Image(nan, np.eye(4)), folder / "sub-05_T2w.nii.gz")
    n_good = len(load_folder(folder / "sub-01", CONTRASTS))
    slices = load_folder(folder, CONTRASTS)
    assert len(slices) > n_good
    for name in ("sub-03_T1w", "sub-04_bold", "sub-05_T2w"):
        assert any(
            name in record.getMessage() and "skipped" in record.getMessage()
            for record in caplog.records
        )


def some_slices(n=6):
    rng = np.random.default_rng(0)
    return [
        Slice(
            rng.random((4, 70, 80)).astype(np.float16),
            np.array([True, True, number % 2 == 0, True]),
            f"s{number}",
        )
        for number in range(n)
    ]


def test_noise_has_the_level_that_is_told():
    clean = np.zeros((8, 4, 64, 64), np.float32)
    present = np.ones((8, 4), bool)
    noisy, sigma = add_noise(clean, present, (0.01, 0.3), np.random.default_rng(0))
    measured = noisy.std(axis=(2, 3))
    np.testing.assert_allclose(measured, sigma, rtol=0.15)
    assert sigma.min() >= 0.0099 and sigma.max() <= 0.301


def test_missing_contrasts_are_noise_of_level_one():
    clean = np.ones((2, 4, 64, 64), np.float32)
    present = np.array([[True, False, True, True]] * 2)
    noisy, sigma = add_noise(clean, present, (0.01, 0.3), np.random.default_rng(0))
    assert (sigma[:, 1] == 1).all()
    assert abs(noisy[:, 1].mean()) < 0.1


def test_patches_are_repeatable_and_of_one_size():
    options = TrainingOptions(batch=5, patch=32)
    first, _ = draw_patches(some_slices(), [], options, np.random.default_rng(1))
    again, _ = draw_patches(some_slices(), [], options, np.random.default_rng(1))
    assert first.shape == (5, 4, 32, 32)
    np.testing.assert_array_equal(first, again)


def test_training_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    slices, shape = some_slices(), NetworkShape(width=4)
    options = TrainingOptions(n_steps=6, batch=2, patch=32, validate_every=3)

    def run(name):
        return train(slices, [], slices[:2], shape, options, tmp_path / name)

    whole, history = run("whole")
    calls = []

    def killed_at_the_second(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return validate(*arguments)

    monkeypatch.setattr(loop, "validate", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run("killed")
    monkeypatch.undo()
    again, resumed = run("killed")
    assert [row["step"] for row in resumed] == [row["step"] for row in history] == [3, 6]
    for name, value in whole.state_dict().items():
        assert torch.allclose(value, again.state_dict()[name], atol=1e-5)


@pytest.mark.slow
def test_command_writes_weights_card_and_curve(folder, tmp_path, capsys):
    output = tmp_path / "weights" / "w.safetensors"
    output.parent.mkdir()
    words = ["train", str(output), "--images", str(folder), "--hold-out", "sub-02", "--steps", "2"]
    assert tools.main([*words, "--batch", "2", "--width", "4", "--source", "Mine=CC0"]) == 0
    assert str(output) in capsys.readouterr().out
    card = json.loads(output.with_suffix(".json").read_text())
    assert card["data"]["held_out_subjects"] == ["sub-02"]
    assert "sub-02" not in card["data"]["real_subjects"]
    assert card["data"]["sources"] == [{"name": "Mine", "licence": "CC0"}]
    assert set(card["validation"]) >= {"step", "psnr_0.02", "psnr_0.2"}
    assert output.with_suffix(".png").exists()
    assert load_denoiser(output, torch.device("cpu")).shape.width == 4


def test_nothing_to_train_on_is_said(tmp_path, capsys):
    words = ["train", str(tmp_path / "w.safetensors"), "--images", str(tmp_path), "--hold-out", "x"]
    assert tools.main(words) == 64
    assert "must give slices to train on" in capsys.readouterr().err
