"""The sidecar that runs are read from."""

import pytest

from mri2qmap_bids.dataset.derivatives import relative_path
from mri2qmap_bids.dataset.map_sidecar import read_map_sidecar
from mri2qmap_bids.dataset.verdict import read_verdict

ENTITIES = {"sub": "01"}


def test_it_is_that_of_the_t1_map(tmp_path):
    path = tmp_path / relative_path(ENTITIES, "T1map", ".json")
    path.parent.mkdir(parents=True)
    path.write_text('{"QualityVerdict": "look", "QualityReasons": ["µ"]}', encoding="utf-8")
    assert read_map_sidecar(tmp_path, ENTITIES)["QualityReasons"] == ["µ"]
    assert read_verdict(tmp_path, ENTITIES).level == "look"


@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]", b"\xff\xfe\xff"])
def test_one_that_cannot_be_read_has_no_keys(tmp_path, content):
    if content is not None:
        path = tmp_path / relative_path(ENTITIES, "T1map", ".json")
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    assert read_map_sidecar(tmp_path, ENTITIES) == {}
    assert read_verdict(tmp_path, ENTITIES) is None
