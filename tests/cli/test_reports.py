"""Reports that are written without a reconstruction."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.command import one_error, run, settings

from mri2qmap_bids.cli.reports import write_lacking_reports
from mri2qmap_bids.dataset.failures import RunFailure, keep_failures
from mri2qmap_bids.report.contents import Page


@pytest.fixture
def copied(derivatives, tmp_path):
    """The derivatives, to spoil."""
    return Path(shutil.copytree(derivatives, tmp_path / "out"))


def reports_only(dataset, work, *words):
    return run("nowhere", dataset, "participant", "--reports-only", "-w", work, *words)


def test_reports_only_needs_neither_raw_data_nor_work_directory(copied, tmp_path):
    (copied / "sub-01.html").unlink()
    maps = next((copied / "sub-01").rglob("*_T1map.nii.gz"))
    before = maps.stat().st_mtime_ns
    words = ("--participant-label", "01", "--aggregate-session-reports", "1")
    assert reports_only(copied, tmp_path / "w", *words) == 0
    # Two sessions, at most one a page.
    assert sorted(p.name for p in copied.glob("sub-01*.html")) == [
        "sub-01_ses-1.html",
        "sub-01_ses-2.html",
    ]
    assert "sub-01_ses-2_acq-2d" not in (copied / "sub-01_ses-1.html").read_text()
    assert maps.stat().st_mtime_ns == before
    assert reports_only(copied, tmp_path / "w", "--participant-label", "99") == 18
    assert reports_only(tmp_path / "empty", tmp_path / "w") == 16


def test_labels_that_select_no_run_are_refused(copied, tmp_path, capfd):
    assert reports_only(copied, tmp_path / "w", "--session-label", "zz") == 18
    assert "got none of sub-01_ses-1_acq-2d" in one_error(capfd)


def test_a_participant_without_maps_is_refused(copied, tmp_path, capfd):
    assert reports_only(copied, tmp_path / "w", "--participant-label", "01", "99") == 18
    assert "--participant-label must be among 01, 02, got 99" in one_error(capfd)


def test_a_label_that_selects_no_run_is_warned_of(copied, tmp_path, capfd):
    assert reports_only(copied, tmp_path / "w", "--session-label", "1", "zz") == 0
    assert "WARNING --session-label zz: selects no run" in capfd.readouterr().err


def test_a_report_that_fails_costs_no_maps_and_is_said(copied, tmp_path, capfd):
    broken = next((copied / "sub-01" / "ses-1").rglob("*_T2map.nii.gz"))
    broken.write_bytes(b"no image")
    (copied / "sub-02.html").unlink()
    assert reports_only(copied, tmp_path / "w") == 1
    error = one_error(capfd)
    assert "sub-01: report failed, maps are not affected" in error
    assert broken.name in error
    assert (copied / "sub-02.html").is_file()


def test_no_page_but_the_lacking_one_is_written(copied, tmp_path):
    options = replace(settings("-w", str(tmp_path / "w")), output_dir=copied)
    runs = [{"sub": "01", "ses": "1"}, {"sub": "02", "ses": "1"}]

    def lacking(present, touched=(), settled=frozenset()):
        return write_lacking_reports(present, touched, settled, options)

    assert lacking(runs) == 0
    assert not (tmp_path / "w").exists()
    (copied / "sub-01.html").write_text("as it was")
    (copied / "sub-02.html").unlink()
    # Whoever is not among the runs has no page written.
    assert lacking(runs[:1]) == 0
    assert not (copied / "sub-02.html").exists()
    assert lacking(runs) == 0
    assert (copied / "sub-02.html").is_file()
    assert lacking(runs, runs[:1], frozenset([Page("01").node])) == 0
    assert (copied / "sub-01.html").read_text() == "as it was"
    assert lacking(runs, runs[:1]) == 0
    assert (copied / "sub-01.html").read_text() != "as it was"
    # Nobody has a page that would hold nothing.
    assert lacking([{"sub": "03"}], [{"sub": "03"}]) == 0
    assert not (copied / "sub-03.html").exists()


def test_views_are_written_for_runs_that_are_up_to_date(copied, tmp_path):
    options = replace(settings("-w", str(tmp_path / "w"), "--viewer"), output_dir=copied)
    runs, page = [{"sub": "02", "ses": "1", "acq": "3d"}], copied / "sub-02.html"
    before = {path: path.read_text() for path in copied.glob("sub-*.html")}
    assert write_lacking_reports(runs, (), frozenset(), options) == 0
    views = sorted(path.name for path in copied.rglob("*_desc-viewer_*.html"))
    assert views == [f"sub-02_ses-1_acq-3d_desc-viewer_T{n}map.html" for n in (1, 2)]
    assert "desc-viewer_T1map.html" in page.read_text()
    assert (copied / "sub-01.html").read_text() == before[copied / "sub-01.html"]
    # Once is enough, and a call without the option takes none away.
    page.write_text("as it was")
    for viewer in (True, False):
        again = replace(options, viewer=viewer)
        assert write_lacking_reports(runs, (), frozenset(), again) == 0
    assert page.read_text() == "as it was"


def test_lacking_reports_leave_the_graph_of_the_runs(copied, tmp_path):
    work = tmp_path / "w"
    work.mkdir()
    (work / "graph.dot").write_text("of the runs")
    options = replace(settings("-w", str(work), "--write-graph"), output_dir=copied)
    (copied / "sub-02.html").unlink()
    assert write_lacking_reports([{"sub": "02", "ses": "1"}], (), frozenset(), options) == 0
    assert (copied / "sub-02.html").is_file()
    assert (work / "graph.dot").read_text() == "of the runs"
    # A call for reports alone has no other graph.
    assert reports_only(copied, work, "--participant-label", "02", "--write-graph") == 0
    assert "report_sub_02" in (work / "graph.dot").read_text()


def test_the_layout_changes_for_all_sessions_at_once(copied, tmp_path):
    """As a call for a session more, or for another number of sessions on a page."""
    words = ("--session-label", "1", "--aggregate-session-reports")
    assert reports_only(copied, tmp_path / "w", *words, "1") == 0
    pages = ["sub-01_ses-1.html", "sub-01_ses-2.html"]
    assert sorted(path.name for path in copied.glob("sub-01*.html")) == pages
    assert reports_only(copied, tmp_path / "w", *words, "2") == 0
    assert [path.name for path in copied.glob("sub-01*.html")] == ["sub-01.html"]


def test_sessions_that_failed_have_their_page(copied, tmp_path):
    keep_failures(copied, (), [RunFailure("sub-01_ses-3_acq-2d", "it is broken")])
    words = ("--participant-label", "01", "--aggregate-session-reports")
    assert reports_only(copied, tmp_path / "w", *words, "2") == 0
    assert "it is broken" in (copied / "sub-01_ses-3.html").read_text()
    assert "it is broken" not in (copied / "sub-01_ses-1.html").read_text()


def test_participants_who_only_failed_have_their_page(copied, tmp_path):
    keep_failures(copied, (), [RunFailure("sub-03_ses-1_acq-2d", "it is broken")])
    before = (copied / "sub-02.html").stat().st_mtime_ns
    words = ("--participant-label", "03", "--session-label", "1")
    assert reports_only(copied, tmp_path / "w", *words) == 0
    assert "it is broken" in (copied / "sub-03.html").read_text()
    assert (copied / "sub-02.html").stat().st_mtime_ns == before
    # Also if nobody has maps.
    empty = tmp_path / "empty"
    keep_failures(empty, (), [RunFailure("sub-04", "no access")])
    assert reports_only(empty, tmp_path / "w") == 0
    assert "no access" in (empty / "sub-04.html").read_text()
