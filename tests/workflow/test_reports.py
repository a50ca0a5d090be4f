"""What is noted of runs that fail, and said of reports that do."""

from pathlib import Path

from mri2qmap_bids.dataset.query import MRFRun
from mri2qmap_bids.report.contents import Page
from mri2qmap_bids.workflow.graph import Outcome, branch_name
from mri2qmap_bids.workflow.plugins import Failure
from mri2qmap_bids.workflow.reports import failures_in, tell_failures

RUNS = [MRFRun(Path(f"{sub}{run}.h5"), {"sub": sub, "run": run}) for sub, run in ("a1", "a2", "b1")]


def test_failures_have_the_end_of_their_crash_file(tmp_path):
    crash = tmp_path / "crash.txt"
    crash.write_text("\n".join(f"line {n}" for n in range(100)))
    failed = Failure(f"mri2qmap_wf.{branch_name(RUNS[1])}.reconstruct", "x.h5: broken", str(crash))
    (found,) = failures_in(Outcome((failed,)), RUNS)
    assert (found.run, found.reason) == (RUNS[1].name, "x.h5: broken")
    assert found.traceback.splitlines()[-1] == "line 99" and "line 0\n" not in found.traceback


def test_a_crash_file_that_is_gone_costs_the_traceback_alone():
    failed = Failure(f"wf.{branch_name(RUNS[2])}.reconstruct", "broken", "/nowhere/crash.txt")
    (found,) = failures_in(Outcome((failed,)), RUNS)
    assert (found.reason, found.traceback) == ("broken", "")


def test_only_failed_reports_are_told(caplog):
    pages = [Page("a"), Page("b", "1")]
    failures = [Failure(f"reports_wf.{pages[1].node}", "no maps", "crash.txt")]
    assert tell_failures(pages, failures) == 1
    assert "sub-b_ses-1: report failed, maps are not affected: no maps" in caplog.text
    assert tell_failures(pages[:1], failures) == 0
