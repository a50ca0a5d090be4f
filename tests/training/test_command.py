"""Training as a user calls it."""

import json
import shutil

import pytest
import torch
from helpers.training import write_volume

from mri2qmap_bids import tools
from mri2qmap_bids.errors import OutputError
from mri2qmap_bids.recon.denoisers.registry import load_denoiser, save_denoiser
from mri2qmap_bids.recon.denoisers.unet import UNet, UNetShape
from mri2qmap_bids.training import command

NO_LICENCE = "--source: must be NAME=LICENCE, or NAME=unknown without a known licence, got"


@pytest.mark.slow
def test_command_writes_weights_card_and_curve(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "_N_TRAINS", 2)  # each takes a second
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
    words[1] = str(tmp_path / "separate.safetensors")
    assert tools.main([*words, "--batch", "2", "--width", "4", "--levels", "3", "--separate"]) == 0
    shape = load_denoiser(tmp_path / "separate.safetensors", torch.device("cpu")).shape
    assert shape.separate and shape.n_levels == 3


def test_nothing_to_train_on_is_said(tmp_path, capsys):
    words = ["train", str(tmp_path / "w.safetensors"), "--images", str(tmp_path), "--hold-out", "x"]
    assert tools.main(words) == 64
    assert "must give slices to train on" in capsys.readouterr().err


@pytest.fixture
def call(folder, tmp_path, monkeypatch):
    """Calls of training, short where it succeeds."""
    monkeypatch.setattr(command, "_N_TRAINS", 1)
    output = tmp_path / "w.safetensors"

    def run(*words, hold_out="sub-02", images=folder):
        end = ["--steps", "1", "--batch", "1", "--width", "4", "--levels", "1", "--patch", "8"]
        train = ["train", str(output), "--images", str(images), "--hold-out", hold_out]
        return tools.main([*train, *end, *words])

    run.output, run.checkpoint = output, output.with_suffix(".checkpoint")
    return run


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("--steps 0", "--steps: must be a whole number of at least 1, got 0"),
        ("--batch 0", "--batch: must be a whole number of at least 1, got 0"),
        ("--patch 0", "--patch: must be a whole number of at least 1, got 0"),
        ("--patch 9", "--patch: must be a multiple of 2 for a network of 1 levels (--levels), got 9"),
        ("--validate-every 0", "--validate-every: must be a whole number of at least 1, got 0"),
        ("--slices-per-label -1", "--slices-per-label: must be a whole number of at least 1, got -1"),
        ("--width 0", "--width: must be a whole number from 1 to 4096, got 0"),
        ("--levels 9", "--levels: must be a whole number from 1 to 8, got 9"),
        ("--seed -1", f"--seed: must be a whole number from 0 to {2**62}, got -1"),
        ("--seconds 0", "--seconds: must be a number above 0, got 0"),
        ("--rate nan", "--rate: must be a number above 0, got nan"),
        ("--source A=CC0 Mine", f"{NO_LICENCE} Mine"),
        ("--source Mine=", f"{NO_LICENCE} Mine="),
        ("--source =CC0", f"{NO_LICENCE} =CC0"),
        ("--shares 1 -1 1", "--shares: must be numbers of at least 0, got 1 -1 1"),
    ],
)  # fmt: skip
def test_words_are_checked_at_the_start(call, capsys, monkeypatch, words, rule):
    monkeypatch.setattr(command, "load_folder", None)  # nothing is read
    assert call(*words.split()) == 64
    assert capsys.readouterr().err == f"mri2qmap-tools train: error: {rule}\n"


@pytest.mark.parametrize(
    ("words", "code", "rule"),
    [
        ("--device cuda:99", 1, "--device: must be cpu or a GPU that is there, got cuda:99"),
        ("--images /absent", 66, "--images: must be a folder, got /absent"),
        ("--labels /absent", 66, "--labels: must be files, got /absent"),
    ],
)
def test_what_is_not_there_is_named(call, capsys, words, code, rule):
    assert call(*words.split()) == code
    assert capsys.readouterr().err == f"mri2qmap-tools train: error: {rule}\n"


@pytest.mark.parametrize("name", ["w.json", "w.png", "w.checkpoint", "w"])
def test_an_output_that_the_other_files_would_overwrite_is_refused(folder, tmp_path, capsys, name):
    words = ["train", str(tmp_path / name), "--images", str(folder), "--hold-out", "sub-02"]
    assert tools.main([*words, "--steps", "1", "--width", "4"]) == 64
    assert f"output: must be a .safetensors file, got {tmp_path / name}" in capsys.readouterr().err


def test_every_subject_to_hold_out_must_be_there(call, capsys):
    assert call("--hold-out", "sub-02", "sub-O1") == 64
    assert (
        "--hold-out: must name subjects that are there, got ['sub-O1']" in capsys.readouterr().err
    )


def test_the_beginning_of_a_file_name_is_held_out(folder, tmp_path, call):
    for contrast in ("T1w", "FLAIR"):
        write_volume(folder / f"sub-03_ses-1_{contrast}.nii.gz", 3)
    assert call("--hold-out", "sub-03_ses-1") == 0
    data = json.loads(call.output.with_suffix(".json").read_text())["data"]
    assert data["held_out_subjects"] == ["sub-03 ses-1"]
    assert "sub-03 ses-1" not in data["real_subjects"]


def test_what_does_not_fit_the_images_is_said_before_training(call, capsys):
    assert call("--shares", "1", "0", "0") == 64
    rule = "--shares: must be above 0 for a kind of patches that training has (TURNED, IMAGES), got 1 0 0"
    assert rule in capsys.readouterr().err
    assert call("--levels", "7", "--patch", "128") == 64
    assert "--levels: must be so few that held-out slices of" in capsys.readouterr().err
    assert not call.checkpoint.exists()


@pytest.mark.slow
def test_only_the_same_call_takes_up_a_checkpoint(
    call, capsys, monkeypatch, folder, tmp_path_factory
):
    def full(*_):
        raise OutputError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(command, "save_denoiser", full)
        assert call() == 73
    assert call.checkpoint.exists()
    other = shutil.copytree(folder, tmp_path_factory.mktemp("other"), dirs_exist_ok=True)
    initial = other / "initial.safetensors"
    save_denoiser(UNet(UNetShape(width=4, n_levels=1)), {}, initial)
    write_volume(other / "sub-03/anat/sub-03_T2w.nii.gz", 4)
    capsys.readouterr()
    for change in ({"hold_out": "sub-01"}, {"images": other}):
        assert call(**change) == 64
        assert f"{call.checkpoint}: must be of the same training" in capsys.readouterr().err
    assert call("--slices-per-label", "3") == 64
    assert call("--initial", str(initial)) == 64
    capsys.readouterr()
    monkeypatch.setattr("mri2qmap_bids.training.loop.training_loss", None)  # no step is left
    assert call() == 0
    assert call.output.exists()
    assert not call.checkpoint.exists()
