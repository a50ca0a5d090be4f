"""Filters of runs, and the file that they may come from."""

import pytest

from mri2qmap_bids.dataset.filters import among, read_filter_file
from mri2qmap_bids.errors import UsageError


def test_bad_filter_files_are_refused(tmp_path):
    file = tmp_path / "filter.json"
    for content, text in (
        ("{broken", "must be a JSON file"),
        ('["mrf"]', "must be like"),
        ('{"mrf": {"tasks": "rest"}}', r"must be among .*, got tasks"),
        ('{"MRF": {"session": "a"}}', r"filter.json: keys must be among mrf, b1, b0, t1w, got MRF"),
        ('{"session": "a"}', r"filter.json: keys must be among mrf, b1, b0, t1w, got session"),
        ('{"mrf": {"session": {"a": 1}}}', r"session of mrf must be a label.*, got {.a.: 1}"),
        ('{"mrf": {"run": true}}', r"run of mrf must be a label.*, got true"),
        ('{"mrf": {"run": []}}', r"run of mrf must be a label"),
    ):
        file.write_text(content)
        with pytest.raises(UsageError, match=text):
            read_filter_file(file)


def test_indices_are_compared_as_numbers_and_labels_as_texts():
    assert among("01", ["1"]) and among("1", ["a", "001"]) and among("a", ["a"])
    assert not (among("a1", ["1"]) or among("2", ["1"]) or among(None, ["None"]))
