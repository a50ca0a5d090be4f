"""What is noted of runs that fail, and said of reports that do."""

from pathlib import Path

import pytest

from mri2qmap_bids.dataset.failures import read_failures
from mri2qmap_bids.dataset.query import MRFRun
from mri2qmap_bids.report.contents import Page
from mri2qmap_bids.settings import Settings
from mri2qmap_bids.workflow.graph import Outcome, branch_name
from mri2qmap_bids.workflow.plugins import Failure
from mri2qmap_bids.workflow.reports import forget_failures, note_failures, tell_failures

RUNS = [MRFRun(Path(f"{sub}{run}.h5"), {"sub": sub, "run": run}) for sub, run in ("a1", "a2", "b1")]


@pytest.fixture
def settings(tmp_path):
    return Settings(bids_dir=tmp_path, output_dir=tmp_path / "out", work_dir=tmp_path / "work")


def test_failures_are_noted_by_participant_with_the_end_of_their_crash_file(tmp_path, settings):
    crash = tmp_path / "crash.txt"
    crash.write_text("\n".join(f"line {n}" for n in range(100)))
    failed = Failure(f"mri2qmap_wf.{branch_name(RUNS[1])}.reconstruct", "x.h5: broken", str(crash))
    outcome = Outcome((failed,))
    problems = [("sub-c_run-1", "no sidecar")]
    assert note_failures(problems, RUNS, outcome, settings) == {"a", "c"}
    (noted,) = read_failures(settings.output_dir, "a")
    assert (noted.run, noted.reason) == (RUNS[1].name, "x.h5: broken")
    assert noted.traceback.splitlines()[-1] == "line 99" and "line 0\n" not in noted.traceback
    assert [each.reason for each in read_failures(settings.output_dir, "c")] == ["no sidecar"]
    assert read_failures(settings.output_dir, "b") == []


def test_a_run_that_is_tried_again_is_no_longer_noted(settings):
    problems = [(run.name, "broken") for run in RUNS]
    note_failures(problems, (), Outcome(), settings)
    forget_failures(RUNS[:1], settings)
    assert [each.run for each in read_failures(settings.output_dir, "a")] == [RUNS[1].name]
    assert [each.run for each in read_failures(settings.output_dir, "b")] == [RUNS[2].name]


def test_a_crash_file_that_is_gone_costs_the_traceback_alone(settings):
    failed = Failure(f"wf.{branch_name(RUNS[2])}.reconstruct", "broken", "/nowhere/crash.txt")
    note_failures((), RUNS, Outcome((failed,)), settings)
    (noted,) = read_failures(settings.output_dir, "b")
    assert (noted.reason, noted.traceback) == ("broken", "")


def test_only_failed_reports_are_told(caplog):
    pages = [Page("a"), Page("b", "1")]
    failures = [Failure(f"reports_wf.{pages[1].node}", "no maps", "crash.txt")]
    assert tell_failures(pages, failures) == 1
    assert "sub-b_ses-1: report failed, maps are not affected: no maps" in caplog.text
    assert tell_failures(pages[:1], failures) == 0
