"""Failures are kept until the run is tried again."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from mri2qmap_bids.dataset.failures import (
    RunFailure,
    failures_file,
    keep_failures,
    read_failures,
)

ONE, TWO = RunFailure("sub-1_run-1", "why", "/log", "trace", "now"), RunFailure("sub-1_run-2", "x")


def test_failures_come_back(tmp_path):
    keep_failures(tmp_path, ["sub-1_run-1", "sub-1_run-2"], [ONE, TWO])
    assert read_failures(tmp_path, "1") == [ONE, TWO]
    assert read_failures(tmp_path, "2") == []


def test_a_run_that_is_tried_again_is_forgotten_and_others_are_not(tmp_path):
    keep_failures(tmp_path, ["sub-1_run-1", "sub-1_run-2"], [ONE, TWO])
    keep_failures(tmp_path, ["sub-1_run-1"], [])
    assert read_failures(tmp_path, "1") == [TWO]
    keep_failures(tmp_path, ["sub-1_run-2"], [])
    assert not failures_file(tmp_path, "1").exists()


def test_what_has_changed_is_said_for_each_participant(tmp_path):
    other = RunFailure("sub-2_ses-a", "y")
    assert keep_failures(tmp_path, [], [ONE, other]) == [ONE, other]
    assert [read_failures(tmp_path, label) for label in ("1", "2")] == [[ONE], [other]]
    assert keep_failures(tmp_path, ["sub-1", "sub-2_ses-b"], []) == []
    assert keep_failures(tmp_path, ["sub-1_run-1", "sub-2_ses-a"], [TWO]) == [ONE, TWO, other]
    assert [read_failures(tmp_path, label) for label in ("1", "2")] == [[TWO], []]


def test_a_run_that_fails_in_the_same_way_keeps_its_note(tmp_path):
    first, later = replace(ONE, time="2026-01-01 10:00"), replace(ONE, time="2026-01-02 10:00")
    assert keep_failures(tmp_path, [ONE.run], [first]) == [first]
    stamp = failures_file(tmp_path, "1").stat().st_mtime_ns
    assert keep_failures(tmp_path, [ONE.run], [later]) == []
    assert failures_file(tmp_path, "1").stat().st_mtime_ns == stamp
    other = replace(later, reason="another")
    assert keep_failures(tmp_path, [ONE.run], [other]) == [first, other]
    assert read_failures(tmp_path, "1") == [other]


def test_nothing_is_written_where_nothing_has_changed(tmp_path):
    assert keep_failures(tmp_path / "out", ["sub-1"], []) == []
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_list_of_failures_counts_as_none(tmp_path):
    path = failures_file(tmp_path, "1")
    path.parent.mkdir(parents=True)
    for text in ("{", "[]", '{"Failures": [{"colour": 1}]}', '{"Failures": 3}'):
        path.write_text(text)
        assert read_failures(tmp_path, "1") == []


def test_calls_for_one_participant_at_the_same_time_lose_no_note(tmp_path):
    """As jobs for sessions of their own."""
    failures = [RunFailure(f"sub-1_ses-{n}", "why") for n in range(16)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda failure: keep_failures(tmp_path, (), [failure]), failures))
    kept = read_failures(tmp_path, "1")
    assert sorted(kept, key=lambda f: f.run) == sorted(failures, key=lambda f: f.run)
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["sub-1_failures.json"]
