"""Files that cannot be used: why, and whom it concerns."""

import pytest

from mri2qmap_bids.dataset.integrity import broken_sidecars, describes, missing, unusable


@pytest.fixture
def raw(tmp_path):
    path = tmp_path / "sub-1" / "ses-a" / "anat" / "sub-1_ses-a_acq-x_MRF.h5"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


@pytest.mark.parametrize(
    ("sidecar", "expected"),
    [
        ("MRF.json", True),
        ("acq-x_MRF.json", True),
        ("acq-y_MRF.json", False),
        ("T1w.json", False),
        ("sub-1/sub-1_MRF.json", True),
        ("sub-1/ses-a/anat/sub-1_ses-a_acq-x_MRF.json", True),
        ("sub-1/ses-b/sub-1_MRF.json", False),
        ("sub-1/ses-a/anat/sub-1_ses-a_acq-x_run-1_MRF.json", False),
    ],
)
def test_a_sidecar_holds_for_files_below_it_with_all_its_entities(tmp_path, raw, sidecar, expected):
    assert describes(tmp_path / sidecar, raw) == expected


def test_broken_sidecars_are_found_and_concern_those_they_describe(tmp_path, raw):
    texts = {"acq-x_MRF.json": "{broken", "acq-y_MRF.json": "[1]", "MRF.json": '{"a": 1}'}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    other = tmp_path / "sub-2" / "sub-2_MRF.json"
    other.parent.mkdir()
    other.write_text("{")
    broken = broken_sidecars(tmp_path, "1")
    assert {path.name for path in broken} == {"acq-x_MRF.json", "acq-y_MRF.json"}
    assert "acq-x_MRF.json: must be JSON" in unusable(raw, broken)
    (tmp_path / "acq-x_MRF.json").unlink()
    assert unusable(raw, broken_sidecars(tmp_path, "1")) is None


def test_a_link_without_content_is_told_from_a_file_and_from_nothing(tmp_path, raw):
    link = raw.with_name("sub-1_ses-a_acq-z_MRF.h5")
    link.symlink_to("nowhere")
    assert missing(link).endswith(f"try: datalad get {link}")
    assert missing(raw) is None and missing(tmp_path / "x") is None
    link.unlink()
    link.symlink_to(raw.name)
    assert missing(link) is None
