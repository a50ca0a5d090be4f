"""The checksum: changed by all that maps depend on, and by nothing else."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mri2qmap_bids.dataset import outputs
from mri2qmap_bids.dataset.checksum import KEY, inputs_checksum, is_up_to_date, maps_checksum
from mri2qmap_bids.dataset.derivatives import ABSENT, MapDocument, relative_path, write_maps
from mri2qmap_bids.dataset.outputs import OutputMap, file_ends
from mri2qmap_bids.dataset.transform import REGISTRATION, transform_path
from mri2qmap_bids.errors import SidecarError
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps

OPTIONS = ReconOptions(method="lrtv")
METADATA = {"EchoTime": 0.002, "FlipAngle": [1, 2]}


@pytest.fixture
def raw(tmp_path):
    path = tmp_path / "x.h5"
    path.write_bytes(bytes(range(256)) * 12_000)  # three mebibytes
    return path


def changed(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_options_metadata_and_the_ends_of_the_file_count(raw, tmp_path):
    b1 = tmp_path / "b1"
    b1.write_bytes(b"field")
    sums = [
        inputs_checksum(raw, METADATA, OPTIONS),
        inputs_checksum(raw, {**METADATA, "EchoTime": 0.003}, OPTIONS),
        inputs_checksum(raw, METADATA, replace(OPTIONS, method="llr")),
        inputs_checksum(raw, METADATA, replace(OPTIONS, rank=4)),
        inputs_checksum(raw, METADATA, OPTIONS, b1),
    ]
    for position in (0, -1):
        changed(raw, position)
        sums.append(inputs_checksum(raw, METADATA, OPTIONS))
    raw.write_bytes(raw.read_bytes() + b"x")
    sums.append(inputs_checksum(raw, METADATA, OPTIONS))
    assert len(set(sums)) == len(sums) == 8


def test_device_default_spelt_out_and_order_of_keys_do_not_count(raw):
    first = inputs_checksum(raw, METADATA, OPTIONS)
    assert inputs_checksum(raw, METADATA, replace(OPTIONS, device="cuda")) == first
    assert inputs_checksum(raw, dict(reversed(METADATA.items())), OPTIONS) == first
    copy = raw.with_name("y.h5")
    copy.write_bytes(raw.read_bytes())
    assert inputs_checksum(copy, METADATA, OPTIONS) == first


def test_weights_count_by_their_content(raw, tmp_path):
    sums = []
    for content in (b"one", b"two", b"one"):
        weights = tmp_path / f"{len(sums)}.safetensors"
        weights.write_bytes(content)
        sums.append(inputs_checksum(raw, {}, ReconOptions(denoiser=str(weights))))
    assert sums[0] == sums[2] != sums[1]


def test_a_run_is_up_to_date_if_every_file_is_there_and_says_so(tmp_path):
    entities = {"sub": "01"}
    for end in file_ends():
        image = tmp_path / relative_path(entities, end.suffix, **end.entities)
        image.parent.mkdir(parents=True, exist_ok=True)
        image.touch()
        sidecar = tmp_path / relative_path(entities, end.suffix, ".json", **end.entities)
        sidecar.write_text(f'{{"{KEY}": "abc"}}')
    assert is_up_to_date(tmp_path, entities, "abc")
    own = tmp_path / relative_path(entities, "IEmap")
    own.unlink()
    assert not is_up_to_date(tmp_path, entities, "abc")
    first = tmp_path / relative_path(entities, "T1map", ".json")
    first.write_text(f'{{"{KEY}": "abc", "{ABSENT}": ["IEmap"]}}')  # not every run has one
    assert is_up_to_date(tmp_path, entities, "abc")
    assert not is_up_to_date(tmp_path, entities, "abd")
    assert not is_up_to_date(tmp_path, {"sub": "02"}, "abc")
    sidecar.write_text("[")
    assert not is_up_to_date(tmp_path, entities, "abc")
    sidecar.write_text(f'{{"{KEY}": "abc"}}')
    image.unlink()
    assert not is_up_to_date(tmp_path, entities, "abc")


def maps_of(maps, **more):
    """What a run of these maps writes."""
    return MapDocument(
        {"sub": "01"},
        maps,
        every={KEY: "abc"},
        brain=maps.mask,
        labels=maps.mask.astype(np.uint8),
        **more,
    )


def test_a_run_is_up_to_date_without_the_maps_that_it_does_not_have(tmp_path, monkeypatch):
    """Neither standard deviations, and so no probabilities, nor the map of another package."""
    own = OutputMap("PDmap", None, "1", "own", lambda maps: None)
    entry = SimpleNamespace(name="own", load=lambda: own)
    monkeypatch.setattr(outputs, "entry_points", lambda group: [entry])
    outputs.output_maps.cache_clear()
    try:
        ones = np.ones((2, 2, 2), np.float32)
        maps = QuantitativeMaps(ones, ones, ones.astype(np.complex64), ones > 0, np.eye(4))
        document = maps_of(maps, synthetic={suffix: ones for suffix in outputs.SYNTHETIC})
        moved = replace(document, entities={"sub": "01", "space": "T1w"}, synthetic={}, labels=None)
        placed = {REGISTRATION: {"OutputSpaces": ["T1w"]}}
        write_maps(replace(document, metadata=placed), tmp_path, [moved])
        (tmp_path / transform_path({"sub": "01"})).touch()
        assert is_up_to_date(tmp_path, {"sub": "01"}, "abc")
        for space in ({}, {"space": "T1w"}):
            for ends in (("M0map", {}), ("mask", {"desc": "head"})):
                image = tmp_path / relative_path({"sub": "01", **space}, ends[0], **ends[1])
                image.rename(tmp_path / "away")
                assert not is_up_to_date(tmp_path, {"sub": "01"}, "abc")
                (tmp_path / "away").rename(image)
        assert is_up_to_date(tmp_path, {"sub": "01"}, "abc")
    finally:
        outputs.output_maps.cache_clear()


def test_an_inherited_sidecar_of_the_b0_map_counts(raw, tmp_path):
    b0 = tmp_path / "sub-1" / "fmap" / "sub-1_fieldmap.nii.gz"
    b0.parent.mkdir(parents=True)
    b0.write_bytes(b"field")
    sums = [maps_checksum(raw, METADATA, OPTIONS, b0_file=b0)]
    for units in ("rad/s", "Hz"):
        (tmp_path / "fieldmap.json").write_text(f'{{"Units": "{units}"}}')
        sums.append(maps_checksum(raw, METADATA, OPTIONS, b0_file=b0))
    assert len(set(sums)) == 3


def test_a_t1w_image_counts_for_the_place_and_not_for_the_maps(raw, tmp_path):
    t1w, spaces = tmp_path / "t1w.nii.gz", ("native", "T1w")
    maps = maps_checksum(raw, METADATA, OPTIONS)
    sums = [inputs_checksum(raw, METADATA, OPTIONS)]
    assert sums == [maps]
    for content in (b"one", b"two"):
        t1w.write_bytes(content)
        sums += [
            inputs_checksum(raw, METADATA, OPTIONS, t1w_file=t1w, output_spaces=s)
            for s in (spaces, spaces[:1])
        ]
    assert len(set(sums)) == 5
    t1w.unlink()
    t1w.symlink_to("nowhere")
    assert inputs_checksum(raw, METADATA, OPTIONS, t1w_file=t1w) == maps
    with pytest.raises(SidecarError, match=f"try: datalad get {t1w}"):
        inputs_checksum(raw, METADATA, OPTIONS, t1w_file=t1w, output_spaces=spaces)
