"""Entities of file names."""

from pathlib import Path

from mri2qmap_bids.dataset.entities import ENTITY_ORDER, entities_in, ordered


def test_a_name_and_its_entities_say_the_same():
    name = "sub-01_ses-a_acq-x_ce-gd_run-01_MRF.h5"
    entities = entities_in(Path("elsewhere/sub-99") / name)
    assert "_".join(f"{key}-{label}" for key, label in entities.items()) == name[: -len("_MRF.h5")]


def test_the_order_is_the_schemas_and_does_not_depend_on_the_input():
    assert ordered(reversed(ENTITY_ORDER)) == list(ENTITY_ORDER)
    assert (
        ordered(["desc", "own", "sub"]) == ordered(["own", "sub", "desc"]) == ["sub", "own", "desc"]
    )


def test_names_without_entities_have_none():
    assert entities_in(Path("MRF.json")) == {}
