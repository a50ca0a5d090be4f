"""Files appear whole or not at all, and JSON is JSON."""

import json

import numpy as np
import pytest

from mri2qmap_bids.atomic import json_text, write_json


def refuse(constant):
    raise ValueError(constant)


@pytest.mark.parametrize("indent", [None, 2])
def test_what_is_no_number_becomes_null_at_every_depth(indent):
    content = {"a": [1.5, float("nan"), (np.float64("inf"), {"b": -float("inf")})], "c": "NaN"}
    parsed = json.loads(json_text(content, indent), parse_constant=refuse)
    assert parsed == {"a": [1.5, None, [None, {"b": None}]], "c": "NaN"}


def test_a_written_file_holds_no_nan(tmp_path):
    write_json(tmp_path / "a.json", {"noise": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse) == {"noise": None}
