"""The loop of training, and its checkpoints."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from helpers.training import CONTRASTS, some_slices

from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.recon.denoisers.base import ANY_CONTRAST
from mri2qmap_bids.recon.denoisers.unet import UNetShape
from mri2qmap_bids.training.data import Slice
from mri2qmap_bids.training.draw import Sources, draw_batch
from mri2qmap_bids.training.loop import TrainingOptions, train
from mri2qmap_bids.training.validation import score_slices

CPU = torch.device("cpu")


def drawing(sources, options, separate=False):
    def draw(rng):
        limits, shares = options.sigma_range, options.shares
        return draw_batch(sources, options.batch, options.patch, limits, shares, rng, separate)

    return draw


def test_separate_training_learns_to_take_noise_away(tmp_path, tables):
    """Images of one brightness: less noise remains than was added."""
    plain = [
        Slice(np.full((6, 64, 64), 0.5, np.float16), np.array([True] * 4 + [False] * 2), f"s{n}")
        for n in range(2)
    ]
    options = TrainingOptions(n_steps=60, batch=4, patch=32, rate=1e-2, validate_every=30)
    draw = drawing(Sources(CONTRASTS, plain, [], tables), options, separate=True)
    score = partial(score_slices, slices=plain[:1], device=CPU)
    shape = UNetShape(ANY_CONTRAST, width=8)
    network, history = train(draw, score, shape, options, tmp_path / "checkpoint")
    assert network.shape.separate
    for level in (0.02, 0.05, 0.1, 0.2):
        assert history[-1][f"psnr_{level}"] > -20 * np.log10(level) + 0.5


def test_training_goes_on_where_it_was_killed(tmp_path, sources):
    options = TrainingOptions(n_steps=6, batch=2, patch=32, validate_every=3)
    score = partial(score_slices, slices=some_slices()[:2], device=CPU)

    def run(name, judge=score):
        return train(drawing(sources, options), judge, UNetShape(width=4), options, tmp_path / name)

    whole, history = run("whole")
    calls = []

    def killed_at_the_second(network):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return score(network)

    with pytest.raises(KeyboardInterrupt):
        run("killed", killed_at_the_second)
    again, resumed = run("killed")
    assert [row["step"] for row in resumed] == [row["step"] for row in history] == [3, 6]
    for name, value in whole.state_dict().items():
        assert torch.allclose(value, again.state_dict()[name], atol=1e-5)


@pytest.mark.parametrize("rate", [1e30, 1e6])
def test_a_training_that_diverges_leaves_no_weights(tmp_path, sources, rate):
    options = TrainingOptions(n_steps=4, batch=1, patch=32, validate_every=2, rate=rate)
    score = partial(score_slices, slices=some_slices()[:1], device=CPU)
    rule = r"--rate: must be so low that training does not diverge, got 1e\+"
    with pytest.raises(UsageError, match=rule):
        train(drawing(sources, options), score, UNetShape(width=4), options, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_checkpoint_of_another_training_is_refused(tmp_path, sources):
    options = TrainingOptions(n_steps=1, batch=2, patch=32)
    path, draw = tmp_path / "c.checkpoint", drawing(sources, options)
    score = partial(score_slices, slices=some_slices()[:2], device=CPU)
    train(draw, score, UNetShape(width=4), options, path)
    for shape, other in (
        (UNetShape(width=8), options),
        (UNetShape(width=4), replace(options, n_steps=2)),
    ):
        with pytest.raises(UsageError, match=f"{path}: must be of the same training"):
            train(draw, score, shape, other, path)


def test_a_checkpoint_of_other_inputs_is_refused(tmp_path, sources):
    options = TrainingOptions(n_steps=1, batch=2, patch=32)
    path, draw = tmp_path / "c.checkpoint", drawing(sources, options)
    score = partial(score_slices, slices=some_slices()[:2], device=CPU)

    def run(inputs):
        return train(draw, score, UNetShape(width=4), options, path, inputs=inputs)

    run({"labels": ["a"]})
    run({"labels": ["a"]})
    with pytest.raises(UsageError, match=f"{path}: must be of the same training"):
        run({"labels": ["b"]})
