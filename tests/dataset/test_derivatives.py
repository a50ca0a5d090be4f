"""Derivatives on disk: values, world coordinates, sidecars, the validator, and killed writers."""

import json
import shutil
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from mri2qmap_bids.atomic import write_atomically
from mri2qmap_bids.dataset import derivatives
from mri2qmap_bids.dataset.derivatives import (
    MapDocument,
    load_image,
    read_values,
    relative_path,
    write_maps,
)
from mri2qmap_bids.dataset.description import initialise_dataset
from mri2qmap_bids.dataset.nifti import write_volume
from mri2qmap_bids.dataset.provenance import (
    describe_contrast,
    describe_maps,
    describe_tissues,
)
from mri2qmap_bids.dataset.tissue import TISSUES
from mri2qmap_bids.errors import DatasetError, OutputError
from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.contrasts import ROUTINE_CONTRASTS, synthesise_all
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps

ENTITIES = {"sub": "01", "ses": "a", "acq": "2d", "run": "1"}
AFFINE = np.array([[-0.002, 0, 0, 0.1], [0, 0.003, 0, -0.2], [0, 0, 0.004, 0.05], [0, 0, 0, 1]])


def some_maps(shape=(3, 4, 5)):
    rng = np.random.default_rng(0)
    mask = rng.random(shape) > 0.3
    return QuantitativeMaps(
        t1=rng.uniform(0.5, 2, shape).astype(np.float32),
        t2=rng.uniform(0.05, 0.2, shape).astype(np.float32),
        m0=(rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64),
        mask=mask,
        affine=AFFINE,
    )


def test_a_map_of_the_efficiency_is_there_only_if_this_call_has_one(tmp_path):
    maps = some_maps()
    local = replace(maps, inversion_efficiency=np.full(maps.t1.shape, 0.8, np.float32))
    path = tmp_path / relative_path(ENTITIES, "IEmap")
    assert path in write_maps(MapDocument(ENTITIES, local), tmp_path)
    values = np.asarray(nib.load(path).dataobj).T
    assert np.array_equal(values, np.where(maps.mask, np.float32(0.8), 0))
    assert (
        json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())["Units"]
        == "1"
    )
    write_maps(MapDocument(ENTITIES, maps), tmp_path)
    assert not list(tmp_path.rglob("*IEmap*"))


def images_written(root, maps=None):
    maps = maps or some_maps()
    header = ScanHeader(
        (8, 8, 1), (0.2, 0.2, 0.005), (8, 8, 1), (0.2, 0.2, 0.005), field_strength=3.0
    )
    metadata = {
        "FlipAngle": [10.0, 20.0],
        "RepetitionTimeExcitation": [0.01, 0.02],
        "EchoTime": [0.002, 0.003],
        "InversionTime": 0.02,
        "PulseSequenceType": "FISP",
    }
    document = MapDocument(
        entities=ENTITIES,
        maps=maps,
        sources=("bids:raw:sub-01/ses-a/anat/sub-01_ses-a_acq-2d_run-1_MRF.h5",),
        metadata=describe_maps(metadata, header, ReconOptions()),
        synthetic=synthesise_all(maps),
        synthetic_metadata={k: describe_contrast(v) for k, v in ROUTINE_CONTRASTS.items()},
        labels=maps.mask.astype(np.uint8),
        probabilities={tissue: maps.mask.astype(np.float32) / 3 for tissue in TISSUES},
        tissue_metadata=describe_tissues(ENTITIES, 3.0),
    )
    initialise_dataset(root, "Test maps", raw_dataset=Path("/data"))
    return write_maps(document, root)


def test_maps_read_back_in_seconds_and_world_coordinates(tmp_path):
    maps = some_maps()
    images_written(tmp_path, maps)
    image = nib.load(tmp_path / "sub-01/ses-a/anat/sub-01_ses-a_acq-2d_run-1_T1map.nii.gz")
    assert image.get_data_dtype() == np.float32
    assert np.array_equal(np.asarray(image.dataobj).T, np.where(maps.mask, maps.t1, 0))
    assert np.allclose(image.affine[:3], 1e3 * AFFINE[:3])
    assert image.header["sform_code"] == image.header["qform_code"] == 1
    m0 = nib.load(tmp_path / relative_path(ENTITIES, "M0map"))
    assert np.allclose(np.asarray(m0.dataobj).T, np.where(maps.mask, np.abs(maps.m0), 0))


def test_every_image_has_a_full_sidecar(tmp_path):
    images = images_written(tmp_path)
    assert len(images) == 14
    for image in images:
        sidecar = json.loads(Path(str(image).replace(".nii.gz", ".json")).read_text())
        assert sidecar["Description"]
        assert sidecar["Sources"]
        if not image.name.endswith(("mask.nii.gz", "dseg.nii.gz", "probseg.nii.gz")):
            assert sidecar["SkullStripped"] is False
    t1 = json.loads((tmp_path / relative_path(ENTITIES, "T1map", ".json")).read_text())
    assert t1["Units"] == "s"
    assert t1["MagneticFieldStrength"] == 3.0
    assert t1["EchoTime"] == [0.002, 0.003]
    assert t1["FlipAngle"] == [10.0, 20.0]
    # BIDS takes no train of repetition times here.
    assert "RepetitionTimeExcitation" not in t1


def test_rates_are_the_reciprocals_of_the_times_and_name_them_as_sources(tmp_path):
    maps = some_maps()
    images_written(tmp_path, maps)
    for rate, time in (("R1map", "T1map"), ("R2map", "T2map")):
        values, times = (
            np.asarray(nib.load(tmp_path / relative_path(ENTITIES, name)).dataobj)
            for name in (rate, time)
        )
        np.testing.assert_allclose((values * times).T, maps.mask, rtol=1e-6)
        sidecar = json.loads((tmp_path / relative_path(ENTITIES, rate, ".json")).read_text())
        assert sidecar["Units"] == "1/s"
        assert sidecar["Sources"] == [f"bids::{relative_path(ENTITIES, time)}"]


def test_labels_have_their_names(tmp_path):
    images_written(tmp_path)
    table = pd.read_csv(tmp_path / relative_path(ENTITIES, "dseg", ".tsv"), sep="\t")
    assert dict(zip(table.abbreviation, table["index"], strict=True)) == dict(TISSUES)


def test_images_are_the_same_bytes_every_time(tmp_path):
    first = [path.read_bytes() for path in images_written(tmp_path / "a")]
    second = [path.read_bytes() for path in images_written(tmp_path / "b")]
    assert first == second


@pytest.mark.parametrize("killed_at", ["label-CSF_probseg", "space-T1w_desc-head_mask"])
def test_a_run_that_is_killed_has_no_sidecars_of_its_three_maps(tmp_path, monkeypatch, killed_at):
    def document(**more):
        maps = some_maps()
        tissues = {tissue: maps.mask.astype(np.float32) / 3 for tissue in TISSUES}
        return MapDocument({**ENTITIES, **more}, maps, probabilities=tissues)

    def write(path, *words):
        if killed_at in path.name:
            raise KeyboardInterrupt
        write_volume(path, *words)

    def write_all():
        write_maps(document(), tmp_path, [replace(document(space="T1w"), probabilities={})])

    def sidecars():
        # As the tracker of Nipoppy looks for them.
        quantities = ("T1map", "T2map", "M0map")
        return [len(list(tmp_path.glob(f"sub-01/ses-a/anat/*_{end}.json"))) for end in quantities]

    write_all()
    assert sidecars() == [2, 2, 2]
    monkeypatch.setattr(derivatives, "write_volume", write)
    with pytest.raises(KeyboardInterrupt):
        write_all()
    assert sidecars() == [0, 0, 0]


def test_dataset_passes_the_validator_without_a_warning(tmp_path, validator):
    images_written(tmp_path)
    assert validator(tmp_path) == (0, "")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "x.nii.gz"
    target.write_text("old")

    def fail(path):
        path.write_text("half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_atomically(target, fail)
    assert [path.name for path in tmp_path.iterdir()] == ["x.nii.gz"]
    assert target.read_text() == "old"


def test_an_unwritable_place_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="must be writable"):
        write_atomically(tmp_path / "file" / "x.json", lambda path: path.touch())


def test_a_killed_writer_leaves_no_file_of_the_final_name(tmp_path):
    program = (
        "import os, sys, pathlib; from mri2qmap_bids.atomic import write_atomically\n"
        "def die(path): path.write_text('half'); os._exit(9)\n"
        f"write_atomically(pathlib.Path({str(tmp_path / 'x.json')!r}), die)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    assert not (tmp_path / "x.json").exists()
    assert all(path.name.startswith(".") for path in tmp_path.iterdir())
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("whole", [100, 2000])
def test_a_file_with_damaged_bytes_is_named(tmp_path, whole):
    path = tmp_path / "a.nii"
    nib.save(nib.Nifti1Image(np.ones((20, 20, 20), np.float32), np.eye(4)), path)
    zipped = zlib.compressobj(wbits=31)
    start = zipped.compress(path.read_bytes()[:whole]) + zipped.flush(zlib.Z_FULL_FLUSH)
    path = tmp_path / "a.nii.gz"
    path.write_bytes(start + bytes([255] * 100))  # a kind of block that there is not
    with pytest.raises(DatasetError, match=f"^{path}: must be a "):
        read_values(load_image(path), load_image(path))
