"""Which pages a dataset has, from the files in it."""

import pytest

from mri2qmap_bids.dataset.failures import RunFailure, keep_failures
from mri2qmap_bids.report.contents import Page, pages_of, participants_of, runs_of


@pytest.fixture
def dataset(tmp_path):
    names = ["sub-01_ses-a", "sub-01_ses-b_run-1", "sub-01_ses-b_run-2", "sub-02", "sub-10_ses-a"]
    for name in names:
        parts = [part for part in name.split("_") if part[:3] in ("sub", "ses")]
        folder = tmp_path.joinpath(*parts, "anat")
        folder.mkdir(parents=True, exist_ok=True)
        for end in ("T1map", "desc-std_T1map", "T2map"):
            (folder / f"{name}_{end}.nii.gz").touch()
    return tmp_path


def test_participants_and_runs_are_those_with_maps(dataset):
    assert participants_of(dataset) == ["01", "02", "10"]
    assert [run.get("run") for run in runs_of(dataset, "01")] == [None, "1", "2"]
    assert [run["ses"] for run in runs_of(dataset, "01", "b")] == ["b", "b"]
    assert runs_of(dataset, "1") == []


def test_many_sessions_have_a_page_each_and_every_run_is_on_one_page(dataset):
    for most in (1, 2):
        pages = pages_of(dataset, ["02", "01", "01", "10"], most)
        for participant in ("01", "02", "10"):
            for run in runs_of(dataset, participant):
                assert sum(page.holds(run) for page in pages) == 1
    assert [p.file for p in pages_of(dataset, ["01"], 1)] == [
        "sub-01_ses-a.html",
        "sub-01_ses-b.html",
    ]
    assert pages_of(dataset, ["01"], 2) == [Page("01")]


def test_runs_to_come_count(dataset):
    coming = {"sub": "10", "ses": "b"}
    assert pages_of(dataset, ["10"], 1) == [Page("10")]
    assert pages_of(dataset, ["10"], 1, coming) == [Page("10", "a"), Page("10", "b")]
    # A run without a session belongs to no session's page.
    assert pages_of(dataset, ["10"], 1, coming, {"sub": "10"}) == [Page("10")]


def test_sessions_that_failed_count(dataset):
    keep_failures(dataset, (), [RunFailure("sub-10_ses-b_acq-x", "why")])
    assert pages_of(dataset, ["10"], 1) == [Page("10", "a"), Page("10", "b")]
    assert pages_of(dataset, ["10"], 2) == [Page("10")]


def test_a_participant_that_failed_as_a_whole_is_on_every_page(dataset):
    failure = RunFailure("sub-01", "why")
    keep_failures(dataset, (), [failure])
    pages = pages_of(dataset, ["01"], 1)
    assert [page.session for page in pages] == ["a", "b"]
    assert all(page.holds(failure.entities) for page in pages)
    keep_failures(dataset, (), [RunFailure("sub-03", "why")])
    assert pages_of(dataset, ["03"], 1) == [Page("03")]


def test_without_maps_and_failures_there_is_no_page(dataset):
    assert pages_of(dataset, ["11"], 1) == []


def test_pages_of_the_other_kind_are_found(dataset):
    for name in ("sub-01", "sub-01_ses-a", "sub-01_ses-b", "sub-01_ses-b_acq-x", "sub-012_ses-a"):
        (dataset / f"{name}.html").touch()
    others = Page("01").other_files(dataset)
    assert sorted(path.stem for path in others) == ["sub-01_ses-a", "sub-01_ses-b"]
    assert Page("01", "a").other_files(dataset) == [dataset / "sub-01.html"]


def test_names_of_steps_are_those_of_python():
    assert all(Page("0A1", session).node.isidentifier() for session in (None, "x"))
