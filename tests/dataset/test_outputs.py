"""The table of images."""

from mri2qmap_bids.dataset.outputs import MAPS, QUANTITIES, SYNTHETIC, file_ends
from mri2qmap_bids.recon.physics.contrasts import ROUTINE_CONTRASTS


def test_every_image_has_its_own_name():
    assert len(set(file_ends())) == len(file_ends()) == len(MAPS) + len(SYNTHETIC) + 1
    assert MAPS[0] in QUANTITIES


def test_synthetic_images_are_those_that_are_synthesised():
    assert tuple(ROUTINE_CONTRASTS) == SYNTHETIC
