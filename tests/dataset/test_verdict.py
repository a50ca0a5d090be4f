"""Verdicts on their way to disk and back."""

import json

import pytest

from mri2qmap_bids.dataset.verdict import Verdict, read_verdict


@pytest.mark.parametrize(
    "verdict", [Verdict("good"), Verdict("look", ("2 warnings",)), Verdict("bad", ("a", "b"))]
)
def test_a_sidecar_gives_back_its_verdict(tmp_path, verdict):
    path = tmp_path / "sub-01" / "ses-a" / "anat" / "sub-01_ses-a_T1map.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"Units": "s", **verdict.metadata}))
    assert read_verdict(tmp_path, {"sub": "01", "ses": "a"}) == verdict


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"QualityVerdict": "fine", "QualityReasons": []}',
        '{"QualityVerdict": "bad"}',
    ],
)
def test_other_sidecars_have_none(tmp_path, content):
    assert read_verdict(tmp_path, {"sub": "01"}) is None
    (tmp_path / "sub-01" / "anat").mkdir(parents=True)
    (tmp_path / "sub-01" / "anat" / "sub-01_T1map.json").write_text(content)
    assert read_verdict(tmp_path, {"sub": "01"}) is None
