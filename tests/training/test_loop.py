"""The loop of training, and its checkpoints."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.training import CONTRASTS, some_slices

from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.recon.denoisers.base import ANY_CONTRAST
from mri2qmap_bids.recon.denoisers.unet import UNetShape
from mri2qmap_bids.training import loop
from mri2qmap_bids.training.data import Slice
from mri2qmap_bids.training.draw import Sources
from mri2qmap_bids.training.loop import TrainingOptions, train, validate


def test_separate_training_learns_to_take_noise_away(tmp_path, tables):
    """Images of one brightness: less noise remains than was added."""
    plain = [
        Slice(np.full((6, 64, 64), 0.5, np.float16), np.array([True] * 4 + [False] * 2), f"s{n}")
        for n in range(2)
    ]
    only_real = Sources(CONTRASTS, plain, [], tables)
    options = TrainingOptions(n_steps=60, batch=4, patch=32, rate=1e-2, validate_every=30)
    shape = UNetShape(ANY_CONTRAST, width=8)
    network, history = train(only_real, plain[:1], shape, options, tmp_path / "checkpoint")
    assert network.shape.separate
    for level in (0.02, 0.05, 0.1, 0.2):
        assert history[-1][f"psnr_{level}"] > -20 * np.log10(level) + 0.5


def test_training_goes_on_where_it_was_killed(tmp_path, monkeypatch, sources):
    slices, shape = some_slices(), UNetShape(width=4)
    options = TrainingOptions(n_steps=6, batch=2, patch=32, validate_every=3)

    def run(name):
        return train(sources, slices[:2], shape, options, tmp_path / name)

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


def test_a_checkpoint_of_another_training_is_refused(tmp_path, sources):
    slices = some_slices()[:2]
    options = TrainingOptions(n_steps=1, batch=2, patch=32)
    path = tmp_path / "c.checkpoint"
    train(sources, slices, UNetShape(width=4), options, path)
    for shape, other in (
        (UNetShape(width=8), options),
        (UNetShape(width=4), replace(options, n_steps=2)),
    ):
        with pytest.raises(UsageError, match=f"{path}: must be of the same training"):
            train(sources, slices, shape, other, path)
