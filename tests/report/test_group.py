"""The group report from tables written by hand."""

import json

import pandas as pd
import pytest

from mri2qmap_bids.dataset.group import COLUMNS, UNITS
from mri2qmap_bids.report.group import write_group_report

ROW = {**dict.fromkeys(COLUMNS, "n/a"), "segmentation": "tissue", "quality": "good"}
MEDIANS = {"01": (1.2, 0.8), "02": (1.3, 0.9), "03": (2.6, 0.85)}


@pytest.fixture
def page(tmp_path):
    """Its text, for three participants of whom the last has an outlier and the first a report."""
    of_an_earlier_call = {"IEmap": "1"}
    for measure, unit in (UNITS | of_an_earlier_call).items():
        rows = [
            {
                **ROW,
                "participant_id": f"sub-{label}",
                "region": region,
                "median": value,
                "outlier": "true" if (label, region, measure) == ("03", "GM", "T1map") else "false",
            }
            for label, values in MEDIANS.items()
            for region, value in zip(("GM", "WM"), values, strict=True)
        ]
        pd.DataFrame(rows).to_csv(tmp_path / f"group_{measure}.tsv", sep="\t", index=False)
        (tmp_path / f"group_{measure}.json").write_text(json.dumps({"median": {"Units": unit}}))
    (tmp_path / "sub-01.html").touch()
    path = write_group_report(tmp_path, [tmp_path / f"group_{measure}.tsv" for measure in UNITS])
    assert path == tmp_path / "group.html"
    return path.read_text(encoding="utf-8")


def test_every_run_is_in_the_table_with_its_medians_in_milliseconds(page):
    for label, values in MEDIANS.items():
        assert f"sub-{label}" in page
        for value in values:
            assert f"{1e3 * value:.0f}" in page


def test_runs_lead_to_their_reports_where_there_are_any(page):
    assert 'href="sub-01.html#sub-01"' in page
    assert 'href="sub-02.html' not in page


def test_outliers_are_named_with_measure_and_region(page):
    assert page.count("T1map GM") == 1


def test_every_point_says_its_value(page):
    assert "sub-03, GM: 2600 ms" in page and "sub-02, WM: 900 ms" in page


def test_only_the_given_tables_are_shown(page):
    assert "group_R2map.tsv" in page
    assert "IEmap" not in page
