"""Heads on the training device, and patches of them."""

import nibabel as nib
import numpy as np
import pytest
import torch
from helpers.training import DAMAGES, damage, write_labels, write_volume

from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.simulate.tissue import CSF, GREY, WHITE
from mri2qmap_bids.training.heads import (
    Heads,
    anatomy_maps,
    load_heads,
    load_weighted,
    texture_maps,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    return load_heads([write_labels(tmp_path_factory.mktemp("labels") / "one.nii.gz")], CPU, 0)[0]


def test_fractions_of_every_level_fill_each_voxel_of_the_head(head):
    for voxel, fractions in head.levels:
        total = fractions.float().sum(1)
        assert total.max() <= 1.001
        middle = tuple(size // 2 for size in total.shape[1:])
        assert total[0, middle[0], middle[1], middle[2]] == pytest.approx(1, abs=1e-3)
        volume = float(total.sum()) * voxel**3
        assert volume == pytest.approx(4 / 3 * np.pi * (0.95 * 28) ** 3, rel=0.03)


def test_structures_have_their_tissues(head):
    fractions, values = head.levels[0][1].float(), head.values
    middle = fractions.shape[2] // 2
    expected = {0: WHITE, 14: GREY, 18: CSF}
    for away, tissue in expected.items():
        shares = fractions[0, :, middle, middle, middle + away]
        assert values[shares.argmax()].tolist() == pytest.approx([tissue.t1, tissue.t2, tissue.m0])


def test_patches_hold_tissue_values_within_their_spread(head):
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    maps = anatomy_maps(Heads([head], [], CPU), 4, 24, rng, generator)
    inside = maps.m0 > 0
    assert maps.t1.shape == (4, 24, 24, 24) and 0.2 < inside.float().mean() < 1
    assert (maps.t1[inside] >= maps.t2[inside]).all()
    # Between half of white matter's and twice fluid's values.
    assert 0.4 < maps.t1[inside].median() < 4.0
    assert (maps.t1[~inside] == 0).all()


def test_weighted_volumes_become_maps_of_their_edges(tmp_path):
    write_volume(tmp_path / "a_T1w.nii.gz", 0, (50, 52, 54), (1.0, 1.0, 1.0))
    write_volume(tmp_path / "thick_T1w.nii.gz", 0, (50, 52, 54), (1.0, 1.0, 4.0))
    write_volume(tmp_path / "b_T2w.nii.gz", 0, (50, 52, 54), (1.0, 1.0, 1.0))
    empty = nib.Nifti1Image(np.zeros((50, 52, 54), np.float32), np.eye(4))
    nib.save(empty, tmp_path / "empty_T1w.nii.gz")
    volumes = load_weighted(tmp_path, CPU)
    assert [volume.group for volume in volumes] == ["a_T1w"]
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    maps = texture_maps(Heads([], volumes, CPU), 2, 24, rng, generator)
    assert torch.isfinite(maps.t1).all() and (maps.m0 > 0).any()


def test_labels_that_are_none_are_refused(tmp_path):
    write_volume(tmp_path / "x.nii.gz", 0, (20, 20, 20), (1.0, 1.0, 1.0))
    with pytest.raises(UsageError, match=r"x.nii.gz: must be a 3D label volume .* got float"):
        load_heads([tmp_path / "x.nii.gz"], CPU, 0)
    (tmp_path / "y.nii.gz").write_bytes(b"nothing")
    with pytest.raises(UsageError, match=r"y.nii.gz: must be a complete image file"):
        load_heads([tmp_path / "y.nii.gz"], CPU, 0)
    unknown = nib.Nifti1Image(np.full((20, 20, 20), np.nan, np.float32), np.eye(4))
    nib.save(unknown, tmp_path / "n.nii.gz")
    with pytest.raises(UsageError, match=r"n.nii.gz: must be a 3D label volume of whole numbers"):
        load_heads([tmp_path / "n.nii.gz"], CPU, 0)
    write_labels(tmp_path / "z.nii.gz", numbers=(0, 0, 0, 0))
    with pytest.raises(UsageError, match=r"z.nii.gz: must have labels above 0, got none"):
        load_heads([tmp_path / "z.nii.gz"], CPU, 0)


def test_unknown_labels_are_named(tmp_path, caplog):
    load_heads([write_labels(tmp_path / "known.nii.gz")], CPU, 0)
    load_heads([write_labels(tmp_path / "other.nii.gz", numbers=(2, 77, 24, 200))], CPU, 0)
    (record,) = (each for each in caplog.records if each.levelname == "WARNING")
    assert "other.nii.gz: labels that are none of the known structures" in record.getMessage()
    assert "air: 77, 200 (" in record.getMessage()


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_file_is_named(tmp_path, how):
    labels = write_labels(tmp_path / "labels" / "y.nii.gz")
    write_volume(tmp_path / "images" / "a_T1w.nii.gz", 0, (50, 52, 54), (1.0, 1.0, 1.0))
    for path in (labels, tmp_path / "images" / "a_T1w.nii.gz"):
        damage(path, how)
    with pytest.raises(UsageError, match=r"y.nii.gz: must be a complete image file, got: "):
        load_heads([labels], CPU, 0)
    with pytest.raises(UsageError, match=r"a_T1w.nii.gz: must be a complete image file, got: "):
        load_weighted(tmp_path / "images", CPU)
