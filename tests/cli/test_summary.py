"""The last lines of a call, and what ratings make of its exit code."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from helpers.command import run

from mri2qmap_bids.cli.summary import Counts, require_quality
from mri2qmap_bids.dataset.verdict import Verdict, read_verdict
from mri2qmap_bids.errors import QualityError
from mri2qmap_bids.report.rules import check, verdict
from mri2qmap_bids.report.run import load_run
from mri2qmap_bids.settings import Settings

VERDICTS = {
    "sub-1": Verdict("good"),
    "sub-2": Verdict("look", ("x",)),
    "sub-3": Verdict("bad", ("y",)),
}


def test_the_last_line_counts_ratings_the_worst_first():
    assert str(Counts(3, verdicts=VERDICTS)) == "3 done, 0 skipped, 0 failed; 1 BAD, 1 LOOK"
    assert str(Counts(1, verdicts={"sub-1": None})) == "1 done, 0 skipped, 0 failed; 1 not rated"


@pytest.mark.parametrize(
    ("fail_on", "names"),
    [
        ("never", ()),
        ("bad", ("sub-3",)),
        ("look", ("sub-2", "sub-3")),
    ],
)
def test_the_limit_names_every_run_that_reaches_it(fail_on, names):
    settings = Settings(Path("a"), Path("b"), Path("c"), fail_on=fail_on)
    require_quality({"sub-1": VERDICTS["sub-1"]}, settings)
    if names:
        with pytest.raises(QualityError, match=f"got {len(names)} of 3: {', '.join(names)}$"):
            require_quality(VERDICTS, settings)
        with pytest.raises(QualityError, match="got 1 of 1: sub-9"):
            require_quality({"sub-9": None}, settings)  # what is not rated is not good
    else:
        require_quality(VERDICTS, replace(settings))


@pytest.mark.slow
def test_the_verdict_stands_in_log_sidecar_table_and_exit_code(small_dataset, tmp_path, capfd):
    out = tmp_path / "out"
    common = [small_dataset, out, "participant", "-w", tmp_path / "w", "--nprocs", "1"]
    common += ["--participant-label", "01", "--session-label", "1", "--recon-method", "gridding"]
    # Far too large voxels for the trajectory: little of the grid's k-space is sampled.
    common += ["--matrix", "96"]
    name, entities = "sub-01_ses-1_acq-2d", {"sub": "01", "ses": "1", "acq": "2d"}
    assert run(*common) == 0
    log = capfd.readouterr().err
    rating = read_verdict(out, entities)
    assert rating == verdict(check(load_run(out, entities)))  # as the report has it
    assert rating.level == "bad"
    assert any("k-space sampled (bad below 60 %)" in reason for reason in rating.reasons)
    assert f" WARNING {name}: done, {rating}" in log
    assert f"1 done, 0 skipped, 0 failed; 1 BAD: {out}" in log
    assert "nipype" not in log
    # The next call has nothing to do, and says the same.
    assert run(*common, "--fail-on", "bad") == 65
    log = capfd.readouterr().err
    assert f"{name}: skipped: " in log
    assert str(rating) in log
    assert f"--fail-on bad: every run must be rated better, got 1 of 1: {name}" in log
    assert run(small_dataset, out, "group", "-w", tmp_path / "w", "--fail-on", "look") == 65
    table = pd.read_csv(out / "group_T1map.tsv", sep="\t")
    assert set(table.quality) == {"bad"}
    levels = json.loads((out / "group_T1map.json").read_text())["quality"]["Levels"]
    assert set(levels) == {"good", "look", "bad"}
