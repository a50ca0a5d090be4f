"""Image files that cannot be read are named by everyone who reads one."""

import nibabel as nib
import numpy as np
import pytest
import torch
from helpers.training import DAMAGES, damage, write_labels

from mri2qmap_bids.dataset.anatomical import read_t1w
from mri2qmap_bids.dataset.atlas import SegmentationFile, load_segmentation
from mri2qmap_bids.dataset.derivatives import load_image, read_values
from mri2qmap_bids.dataset.fieldmap import read_off_resonance, read_transmit_field
from mri2qmap_bids.dataset.volume_file import open_volume, read_volume, values_of
from mri2qmap_bids.errors import DatasetError, SidecarError, UsageError
from mri2qmap_bids.report.run import load_run
from mri2qmap_bids.simulate.anatomy import brainweb
from mri2qmap_bids.simulate.grid import make_geometry
from mri2qmap_bids.simulate.usermaps import MapFiles, read_maps
from mri2qmap_bids.training.data import load_folder
from mri2qmap_bids.training.heads import load_heads, load_weighted

GEOMETRY = make_geometry((4, 4, 4), (2e-3,) * 3, np.zeros(3))
REFERENCE = nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4))
CPU = torch.device("cpu")
RGB = np.dtype([(channel, np.uint8) for channel in "RGB"])
FLAT = np.diag([1.0, 1.0, 0.0, 1.0])


def of_no_table(path):
    return SegmentationFile("d", path, None)


READERS = {
    "brainweb": (brainweb, UsageError),
    "maps": (lambda path: read_maps(MapFiles(path, path)), UsageError),
    "heads": (lambda path: load_heads([path], CPU, 0), UsageError),
    "weighted": (lambda path: load_weighted(path.parent, CPU), UsageError),
    "b1": (lambda path: read_transmit_field(path, GEOMETRY), SidecarError),
    "b0": (lambda path: read_off_resonance(path, GEOMETRY), SidecarError),
    "t1w": (read_t1w, SidecarError),
    "atlas": (lambda path: load_segmentation(of_no_table(path), REFERENCE), DatasetError),
    "derivative": (lambda path: read_values(load_image(path), load_image(path)), DatasetError),
    "report": (lambda path: load_run(path.parents[2], {"sub": "01"}), DatasetError),
}
"""Everyone who reads a volume, and the error of its kind."""
SPOILT = (
    *DAMAGES,
    "missing",
    "folder",
    "link",
    "pointer",
    "rgb",
    "flat",
    "void",
    "four axes",
    "complex",
)
# Whoever reads a folder sees no file that is missing, and passes over volumes of other shapes.
CASES = [
    (name, how)
    for name in READERS
    for how in SPOILT
    if (name != "weighted" or how not in ("missing", "four axes"))
    # Their values are taken as they are, the real part of maps and whole numbers of labels.
    and (how != "complex" or name not in ("maps", "heads"))
]


def save(path, values, affine=None):
    """An image whose header is not mended on its way to disk."""
    image = nib.Nifti1Image(values, np.eye(4))
    if affine is not None:
        image.header.set_sform(affine, 1)
        image = nib.Nifti1Image(values, None, image.header)
    nib.save(image, path)
    return path


def spoil(path, how):
    """Replace a volume by something that is none, or no single one that lies in space."""
    if how in DAMAGES:
        return damage(path, how)
    path.unlink()
    if how == "folder":
        path.mkdir()
    elif how == "link":
        path.symlink_to("nowhere")
    elif how == "pointer":
        path.write_bytes(b"/annex/objects/MD5E-s1--c.nii.gz\n")
    elif how == "rgb":
        save(path, np.ones((50, 50, 50), RGB))
    elif how == "flat":
        save(path, np.ones((50, 50, 50), np.int16), FLAT)
    elif how == "void":
        save(path, np.ones((50, 0, 50), np.int16))
    elif how == "four axes":
        save(path, np.ones((50, 50, 50, 2), np.int16))
    elif how == "complex":
        save(path, np.ones((50, 50, 50), np.complex64))
    return None


def volume(folder, name):
    ending = "T1map" if name == "report" else "T1w"
    return write_labels(folder / "sub-01" / "anat" / f"sub-01_{ending}.nii.gz")


@pytest.mark.parametrize(("name", "how"), CASES)
def test_every_reader_names_a_file_that_it_cannot_use(tmp_path, name, how):
    path, (read, kind) = volume(tmp_path, name), READERS[name]
    spoil(path, how)
    with pytest.raises(kind, match=r": must .*, got") as caught:
        read(path)
    assert type(caught.value) is kind and str(caught.value).startswith(f"{path}: must ")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("how", [how for how in SPOILT if how != "missing"])
def test_a_folder_of_images_is_read_without_what_cannot_be_used(tmp_path, how, caplog):
    path = volume(tmp_path, "weighted")
    spoil(path, how)
    assert load_folder(tmp_path, ["T1w"]) == []
    assert f"skipped: {path}: must " in caplog.text


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("missing", "must be a complete image file, got: No such file"),
        ("truncated", "must be a complete image file, got: Compressed file ended"),
        ("text", "must be a complete image file, got: "),
        ("link", "must have its content, got a link"),
        ("pointer", "must have its content, got a pointer"),
        ("rgb", "must have one number in each voxel, got R, G, B"),
        ("flat", r"must place voxels in space, got affine .*\[0.0, 0.0, 0.0, 0.0\]"),
        ("void", r"must have voxels, got shape \(50, 0, 50\)"),
    ],
)
def test_the_rule_and_what_was_found_are_said(tmp_path, how, words):
    path = volume(tmp_path, "")
    spoil(path, how)
    with pytest.raises(UsageError, match=words):
        read_volume(path, UsageError)


def test_a_placement_that_is_not_finite_is_refused(tmp_path):
    affine = np.eye(4)
    affine[0, 3] = np.nan
    path = save(tmp_path / "a.nii", np.ones((3, 4, 5), np.int16), affine)
    with pytest.raises(UsageError, match="a.nii: must place voxels in space, got affine .*nan"):
        read_volume(path, UsageError)


def test_an_uncompressed_file_that_is_cut_off_is_refused(tmp_path):
    path = save(tmp_path / "a.nii", np.ones((30, 40, 50), np.float32))
    path.write_bytes(path.read_bytes()[:5000])
    image = open_volume(path, DatasetError)
    with pytest.raises(DatasetError, match="a.nii: must be a complete image file, got: "):
        values_of(image, path, DatasetError)


def test_an_image_of_a_surface_is_no_volume(tmp_path):
    surface = nib.gifti.GiftiDataArray(np.zeros((3, 3), np.float32), "pointset")
    nib.save(nib.gifti.GiftiImage(darrays=[surface]), tmp_path / "a.gii")
    with pytest.raises(UsageError, match="a.gii: must be a volume, got GiftiImage"):
        read_volume(tmp_path / "a.gii", UsageError)


@pytest.mark.parametrize("dtype", [None, np.float32, np.float64])
def test_values_are_those_of_the_file(tmp_path, dtype):
    expected = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    image, values = read_volume(save(tmp_path / "a.nii.gz", expected), UsageError, dtype)
    assert values.dtype == (dtype or np.int16)
    assert np.array_equal(values, expected) and np.array_equal(image.affine, np.eye(4))


def test_values_need_not_be_finite(tmp_path):
    expected = np.array([np.nan, np.inf, 1.0], np.float32).reshape(3, 1, 1)
    values = read_volume(save(tmp_path / "a.nii", expected), UsageError)[1]
    assert np.array_equal(values, expected, equal_nan=True)


@pytest.mark.parametrize(
    ("shape", "left"),
    [
        ((3, 4, 5, 1, 1), (3, 4, 5)),
        ((3, 4, 1, 1), (3, 4, 1)),
        ((3, 4), (3, 4)),
        ((3, 4, 5, 2), (3, 4, 5, 2)),
        ((3, 4, 5, 1, 2), (3, 4, 5, 1, 2)),
    ],
)
def test_axes_of_length_one_beyond_the_third_are_left_out(tmp_path, shape, left):
    path = save(tmp_path / "a.nii", np.ones(shape, np.int16))
    assert read_volume(path, UsageError)[1].shape == left


def test_axes_are_turned_to_the_worlds(tmp_path):
    values = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    turned = np.array([[0, 2.0, 0, 0], [-1.0, 0, 0, 0], [0, 0, 3.0, 0], [0, 0, 0, 1]])
    path = save(tmp_path / "a.nii", values, turned)
    image, canonical = read_volume(path, UsageError, canonical=True)
    assert np.allclose(np.diag(image.affine), [2, 1, 3, 1])
    assert np.array_equal(canonical, values.transpose(1, 0, 2)[:, ::-1])
