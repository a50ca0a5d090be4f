"""Filters of runs, and the file that they may come from."""

import pytest

from mri2qmap_bids.dataset.filters import (
    GroupFilters,
    among,
    check_participants,
    read_filter_file,
    shortened,
)
from mri2qmap_bids.errors import NothingSelectedError, UsageError


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


def test_participants_are_compared_to_the_letter(tmp_path):
    check_participants(tmp_path, ["01", "02"], ["02"])
    check_participants(tmp_path, [], [])
    with pytest.raises(NothingSelectedError, match="must be among 01, 02, got 1, 3"):
        check_participants(tmp_path, ["01", "02"], ["3", "01", "1"])
    assert not GroupFilters(participants=("1",)).keep({"sub": "01"})
    assert GroupFilters(runs=("1",)).keep({"sub": "01", "run": "01"})


def test_long_lists_are_shortened():
    assert shortened([str(n) for n in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
