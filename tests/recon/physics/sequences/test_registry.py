"""Types of pulse sequences by name."""

import pytest

from mri2qmap_bids.recon.physics.sequences.registry import sequence_type_named, sequence_types


def test_every_type_goes_by_its_names_in_any_spelling():
    for kind in sequence_types():
        for name in (kind.name, *kind.aliases):
            for spelling in (name, name.lower(), f"MRF-{name.upper()}", f" {name} "):
                assert sequence_type_named(spelling) is kind


def test_no_two_types_share_a_name():
    names = [n.lower() for kind in sequence_types() for n in (kind.name, *kind.aliases)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["GRE", "", None, 3])
def test_others_are_refused_with_the_list(name):
    with pytest.raises(ValueError, match="must be one of FISP, bSSFP"):
        sequence_type_named(name)
