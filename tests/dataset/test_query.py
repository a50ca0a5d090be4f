"""Finding runs: names, inheritance, filters, and what must not disturb them."""

import json
from pathlib import Path

import pytest

from mri2qmap_bids.dataset.query import find_runs
from mri2qmap_bids.errors import DatasetError, NothingSelectedError


def add_run(root: Path, name: str, sidecar=None, extension=".h5") -> Path:
    """An empty raw file of a BIDS name such as sub-01_ses-a_run-1, perhaps with a sidecar."""
    parts = dict(part.split("-") for part in name.split("_"))
    folder = root / f"sub-{parts['sub']}"
    if "ses" in parts:
        folder /= f"ses-{parts['ses']}"
    folder = folder / "anat"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}_MRF{extension}"
    path.touch()
    if sidecar is not None:
        (folder / f"{name}_MRF.json").write_text(json.dumps(sidecar))
    return path


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.11.1"}')
    add_run(tmp_path, "sub-01_ses-a_acq-2d_run-01", {"EchoTime": 0.001})
    add_run(tmp_path, "sub-01_ses-b_acq-2d_run-01", {})
    add_run(tmp_path, "sub-02_ses-a", {}, ".mrd")
    (tmp_path / "MRF.json").write_text('{"EchoTime": 0.002, "FlipAngle": [1, 2]}')
    return tmp_path


def names(selection):
    return [run.name for run in selection.runs]


def test_every_run_is_found_with_its_entities_and_inherited_metadata(dataset):
    selection = find_runs(dataset)
    assert names(selection) == [
        "sub-01_ses-a_acq-2d_run-01",
        "sub-01_ses-b_acq-2d_run-01",
        "sub-02_ses-a",
    ]
    first, second, _ = selection.runs
    assert first.entities == {"sub": "01", "ses": "a", "acq": "2d", "run": "01"}
    assert first.metadata["EchoTime"] == 0.001
    assert second.metadata["EchoTime"] == 0.002
    assert first.metadata["FlipAngle"] == [1, 2]
    assert first.uri == "bids:raw:sub-01/ses-a/anat/sub-01_ses-a_acq-2d_run-01_MRF.h5"


def test_participants_and_sessions_select(dataset):
    assert names(find_runs(dataset, ["02"])) == ["sub-02_ses-a"]
    assert names(find_runs(dataset, ["01"], ["b"])) == ["sub-01_ses-b_acq-2d_run-01"]


def test_a_label_does_not_select_those_that_begin_with_it(dataset):
    add_run(dataset, "sub-010", {})
    assert all(run.entities["sub"] == "01" for run in find_runs(dataset, ["01"]).runs)


def test_sourcedata_serves_a_participant_without_raw_files(dataset):
    add_run(dataset / "sourcedata", "sub-03", {"EchoTime": 0.003})
    add_run(dataset / "sourcedata", "sub-01_ses-z", {})
    selection = find_runs(dataset, ["01", "03"])
    assert names(selection)[-1] == "sub-03"
    assert not any("ses-z" in name for name in names(selection))
    assert selection.runs[-1].uri == "bids:raw:sourcedata/sub-03/anat/sub-03_MRF.h5"


def test_derivatives_and_other_modalities_are_left_alone(dataset):
    add_run(dataset / "derivatives" / "x", "sub-01_ses-c", {})
    (dataset / "sub-01" / "ses-a" / "func").mkdir()
    (dataset / "sub-01" / "ses-a" / "func" / "sub-01_ses-a_bold.json").write_text("{broken")
    assert len(find_runs(dataset).runs) == 3


def test_a_broken_sidecar_stops_only_its_own_participant(dataset):
    (dataset / "sub-01" / "ses-a" / "anat" / "sub-01_ses-a_acq-2d_run-01_MRF.json").write_text(
        "{broken"
    )
    assert names(find_runs(dataset, ["02"])) == ["sub-02_ses-a"]
    selection = find_runs(dataset)
    assert names(selection) == ["sub-02_ses-a"]
    ((label, reason),) = selection.problems
    assert label == "01"
    assert "sub-01_ses-a_acq-2d_run-01_MRF.json" in reason


def test_what_is_not_there_is_said(dataset, tmp_path_factory):
    with pytest.raises(NothingSelectedError, match=r"must be among 01, 02, got 99"):
        find_runs(dataset, ["99"])
    with pytest.raises(NothingSelectedError, match=r"must be among a, b, got z"):
        find_runs(dataset, [], ["z"])
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(DatasetError, match="must hold raw MRF files"):
        find_runs(empty)
    with pytest.raises(DatasetError, match="no such directory"):
        find_runs(empty / "nowhere")
