"""Training data from disk, noise, checkpoints, and the command as a user calls it."""

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch

from mri2qmap_bids import tools
from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.recon.denoisers.base import ANY_CONTRAST
from mri2qmap_bids.recon.denoisers.registry import load_denoiser
from mri2qmap_bids.recon.denoisers.unet import UNetShape
from mri2qmap_bids.recon.physics.contrasts import DENOISED_CONTRASTS
from mri2qmap_bids.training import loop
from mri2qmap_bids.training.data import Slice, TissueSlice, contrasts_of, load_folder
from mri2qmap_bids.training.draw import Sources, draw_batch
from mri2qmap_bids.training.loop import TrainingOptions, train, validate
from mri2qmap_bids.training.maps import RandomMaps, maps_of_fractions, maps_of_t1w
from mri2qmap_bids.training.noise import (
    coloured,
    directly,
    errors_of_maps,
    noise_tables,
    through_maps,
)

CONTRASTS = UNetShape().contrasts


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
    none = (False, False)
    assert kinds == {(True, False, False, True, *none), (False, True, False, False, *none)}
    for item in slices:
        assert item.images.shape[0] == 6
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
            rng.random((6, 70, 80)).astype(np.float16),
            np.array([True, True, number % 2 == 0, True, False, False]),
            f"s{number}",
        )
        for number in range(n)
    ]


def some_tissues(n=4):
    """Rings of grey and white matter with fluid around them, in air."""
    y, x = np.mgrid[:80, :72]
    tissues = []
    for number in range(n):
        radius = np.hypot(y - 40, x - 36) + number
        which = np.select([radius < 12, radius < 22, radius < 30], [3, 2, 1], 0)
        parts = 255 * (which == np.arange(12)[:, None, None])
        tissues.append(TissueSlice(parts.astype(np.uint8), f"b{number}"))
    return tissues


@pytest.fixture(scope="module")
def tables():
    return noise_tables(CONTRASTS, 3, 0)


@pytest.fixture(scope="module")
def sources(tables):
    return Sources(CONTRASTS, some_slices(), some_tissues(), tables)


def test_added_noise_has_the_level_that_is_told():
    clean, level = torch.zeros(40, 4, 64, 64), torch.rand(40, 4) * 0.3 + 0.01
    noisy, sigma = directly(clean, level, torch.Generator().manual_seed(0))
    ratio = noisy.flatten(2).std(2) / sigma.flatten(2).square().mean(2).sqrt()
    assert 0.95 < float(ratio.log().mean().exp()) < 1.05
    assert float(ratio.log().std()) < 0.25


def test_coloured_noise_is_normal_with_variance_one():
    noise = coloured((30, 3, 64, 64), torch.Generator().manual_seed(0))
    assert float(noise.std()) == pytest.approx(1, rel=0.02)
    assert float(noise.mean()) == pytest.approx(0, abs=0.05)
    assert float(noise.square().square().mean()) == pytest.approx(3, rel=0.1)


def test_noise_through_maps_has_the_level_that_is_told(tables):
    """Small noise, so that its way through the maps is straight."""
    generator = torch.Generator().manual_seed(0)
    shape = (40, 64, 64)
    maps = RandomMaps(torch.full(shape, 1.2), torch.full(shape, 0.08), torch.full(shape, 0.8))
    level = torch.full((40,), 0.004)
    noisy, sigma = through_maps(maps, tables, level, generator)
    error = noisy - contrasts_of(maps, CONTRASTS)
    ratio = error.flatten(2).std(2) / sigma.flatten(2).square().mean(2).sqrt()
    assert 0.9 < float(ratio.log().mean().exp()) < 1.1
    plain = [not DENOISED_CONTRASTS[name].normalised for name in CONTRASTS]
    assert float(sigma[:, plain].mean()) == pytest.approx(0.004, rel=0.15)


def test_small_errors_of_contrasts_mean_the_right_errors_of_maps(tables):
    shape = (1, 4, 4)
    maps = RandomMaps(torch.full(shape, 1.2), torch.full(shape, 0.08), torch.full(shape, 0.8))
    moved = RandomMaps(maps.t1 * 1.01, maps.t2 * 0.98, maps.m0 * 1.005)
    errors = contrasts_of(moved, CONTRASTS) - contrasts_of(maps, CONTRASTS)
    relative = errors_of_maps(errors, maps, tables)[0].mean((1, 2))
    expected = torch.tensor([0.01, -0.02, 0.005])
    assert torch.allclose(relative, expected, rtol=0.15, atol=5e-4)


def test_random_maps_are_tissue_where_there_is_tissue():
    generator = torch.Generator().manual_seed(1)
    parts = torch.from_numpy(np.stack([t.fractions for t in some_tissues()])) / 255
    of_labels = maps_of_fractions(parts, generator)
    texture = torch.rand(3, 40, 40)
    for maps, signal in (
        (of_labels, parts[:, 0] < 0.5),
        (maps_of_t1w(texture, generator), texture > 0.1),
    ):
        assert (maps.m0[signal] > 0).all()
        assert (maps.t2 <= maps.t1).all()
        assert ((maps.t1 > 0) == (maps.m0 > 0)).all()
    inside = of_labels.t1[parts[:, 3] > 0.9]
    assert 0.4 < float(inside.median()) < 1.6
    assert (of_labels.m0[parts[:, 0] > 0.99] == 0).all()


def test_batches_are_repeatable_and_whole(sources):
    def draw(seed):
        shares = (0.4, 0.3, 0.3)
        return draw_batch(sources, 12, 32, (0.01, 0.3), shares, np.random.default_rng(seed))

    first, again, other = draw(1), draw(1), draw(2)
    for name in ("clean", "noisy", "sigma", "counted"):
        values = getattr(first, name)
        assert values.shape == (12, len(CONTRASTS), 32, 32)
        assert values.isfinite().all()
        assert torch.equal(values, getattr(again, name))
    assert not torch.equal(first.noisy, other.noisy)


def test_missing_contrasts_are_empty_and_do_not_count(tables):
    only_real = Sources(CONTRASTS, some_slices(), [], tables)
    shares = (0.0, 0.0, 1.0)
    batch = draw_batch(only_real, 12, 32, (0.01, 0.3), shares, np.random.default_rng(0))
    missing = batch.counted == 0
    assert missing.any()
    for values in (batch.clean, batch.noisy, batch.sigma):
        assert (values[missing] == 0).all()
    assert (batch.sigma[~missing] > 0).all()


def test_batches_of_separate_contrasts_hold_what_is_there(sources):
    def draw(seed):
        shares = (0.4, 0.3, 0.3)
        rng = np.random.default_rng(seed)
        return draw_batch(sources, 24, 32, (0.01, 0.3), shares, rng, separate=True)

    first, again, other = draw(1), draw(1), draw(2)
    for name in ("clean", "noisy", "sigma", "counted"):
        values = getattr(first, name)
        assert values.shape == (24, 1, 32, 32)
        assert values.isfinite().all()
        assert torch.equal(values, getattr(again, name))
    assert not torch.equal(first.noisy, other.noisy)
    assert (first.counted.amax((1, 2, 3)) == 1).all()
    even = first.sigma.amin((1, 2, 3)) == first.sigma.amax((1, 2, 3))
    assert 4 < int(even.sum()) < 24
    error = (first.noisy - first.clean) / first.sigma
    assert float(error.square().mean().sqrt()) == pytest.approx(1, rel=0.1)


def test_separate_training_learns_to_take_noise_away(tmp_path, tables):
    """Images of one brightness: what is left of the noise falls with every step."""
    plain = [
        Slice(np.full((6, 64, 64), 0.5, np.float16), np.array([True] * 4 + [False] * 2), f"s{n}")
        for n in range(2)
    ]
    only_real = Sources(CONTRASTS, plain, [], tables)
    options = TrainingOptions(n_steps=60, batch=4, patch=32, rate=1e-2, validate_every=30)
    shape = UNetShape(ANY_CONTRAST, width=8)
    network, history = train(only_real, plain[:1], shape, options, tmp_path / "checkpoint")
    assert network.shape.separate
    for key in ("psnr_0.02", "psnr_0.05", "psnr_0.1", "psnr_0.2"):
        assert history[-1][key] > history[0][key] + 0.5


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
    words[1] = str(tmp_path / "separate.safetensors")
    assert tools.main([*words, "--batch", "2", "--width", "4", "--levels", "3", "--separate"]) == 0
    shape = load_denoiser(tmp_path / "separate.safetensors", torch.device("cpu")).shape
    assert shape.separate and shape.n_levels == 3


def test_nothing_to_train_on_is_said(tmp_path, capsys):
    words = ["train", str(tmp_path / "w.safetensors"), "--images", str(tmp_path), "--hold-out", "x"]
    assert tools.main(words) == 64
    assert "must give slices to train on" in capsys.readouterr().err
