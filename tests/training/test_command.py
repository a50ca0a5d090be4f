"""Training as a user calls it."""

import json

import pytest
import torch

from mri2qmap_bids import tools
from mri2qmap_bids.recon.denoisers.registry import load_denoiser
from mri2qmap_bids.training import command


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
