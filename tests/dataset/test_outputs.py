"""The table of images."""

from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest

from mri2qmap_bids.dataset import outputs
from mri2qmap_bids.dataset.outputs import (
    ENTRY_POINTS,
    MAPS,
    QUANTITIES,
    SYNTHETIC,
    file_ends,
    output_maps,
)
from mri2qmap_bids.recon.physics.contrasts import ROUTINE_CONTRASTS


def test_every_image_has_its_own_name():
    assert len(set(file_ends())) == len(file_ends()) == 1 + len(MAPS) + len(SYNTHETIC) + 2 + 4
    assert MAPS[0] in QUANTITIES


def test_synthetic_images_are_those_that_are_synthesised():
    assert tuple(ROUTINE_CONTRASTS) == SYNTHETIC


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (3, "must be an OutputMap, got 3"),
        (MAPS[0], "must have a suffix and desc of its own, got T1map"),
        (replace(MAPS[0], desc="a/b"), "must have a suffix and desc of letters and digits"),
        (
            replace(MAPS[0], suffix="Xmap", source="t1"),
            "must have a source among T1map, T2map, M0map, got 't1'",
        ),
        (
            replace(MAPS[0], suffix="T1w", desc="synthetic"),
            "must have a suffix and desc of its own",
        ),
    ],
)
def test_a_map_of_another_package_that_is_none_is_refused(monkeypatch, output, words):
    entry = EntryPoint("x", "nowhere:x", ENTRY_POINTS)
    monkeypatch.setattr(EntryPoint, "load", lambda self: output)
    monkeypatch.setattr(outputs, "entry_points", lambda group: [entry])
    output_maps.cache_clear()
    try:
        with pytest.raises(ValueError, match=f"entry point x of {ENTRY_POINTS} {words}"):
            file_ends()
    finally:
        output_maps.cache_clear()
