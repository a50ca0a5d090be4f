"""A raw dataset that grows run by run, and keeps what is in it."""

import json
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import pytest

from mri2qmap_bids.atomic import write_text
from mri2qmap_bids.dataset import rawdataset
from mri2qmap_bids.dataset.entities import entities_in
from mri2qmap_bids.dataset.rawdataset import (
    check_free,
    initialise_raw_dataset,
    merge_participant,
    run_path,
)
from mri2qmap_bids.errors import DatasetError, OutputError

COLUMNS = {"participant_id": {"Description": "Unique participant identifier"}}
DESCRIPTION = {"Name": "x", "License": "n/a", "Authors": ["n/a"]}
TABLE = "participant_id\tage\nsub-02\t40\n"


def initialise(dataset):
    initialise_raw_dataset(dataset, "mri2qmap-tools convert", DESCRIPTION, "text")


def files(dataset):
    return {path.name: path.read_bytes() for path in dataset.iterdir()}


@pytest.mark.parametrize(
    "entities",
    [{"sub": "01"}, {"sub": "01", "ses": "a"}, {"run": "02", "acq": "x", "ses": "a", "sub": "01"}],
)
def test_a_runs_path_tells_its_entities(tmp_path, entities):
    path = run_path(tmp_path, entities)
    assert entities_in(path) == entities
    folders = [f"{key}-{entities[key]}" for key in ("sub", "ses") if key in entities]
    assert path.parent == tmp_path.joinpath(*folders, "anat")


def test_only_a_run_that_is_there_is_not_free(tmp_path):
    path = run_path(tmp_path, {"sub": "01"})
    path.parent.mkdir(parents=True)
    path.touch()
    check_free(tmp_path, {"sub": "01"}, overwrite=True)
    check_free(tmp_path, {"sub": "01", "run": "2"}, overwrite=False)
    with pytest.raises(OutputError, match="sub-01_MRF.h5 must not exist yet"):
        check_free(tmp_path, {"sub": "01"}, overwrite=False)


def test_a_second_call_changes_nothing(tmp_path):
    states = []
    for _ in range(2):
        initialise(tmp_path)
        merge_participant(tmp_path, {"participant_id": "sub-01"}, COLUMNS)
        states.append(files(tmp_path))
    assert states[0] == states[1]
    description = json.loads(states[0]["dataset_description.json"])
    assert description["DatasetType"] == "raw"
    assert description["Name"] == "x"


def test_what_is_there_is_kept(tmp_path):
    (tmp_path / "README.rst").write_text("mine")
    (tmp_path / "dataset_description.json").write_text('{"Name": "mine"}')
    (tmp_path / ".bidsignore").write_text("notes/\n*_MRF.*")
    initialise(tmp_path)
    assert (tmp_path / "README.rst").read_text() == "mine"
    assert not (tmp_path / "README.md").exists()
    assert (tmp_path / "dataset_description.json").read_text() == '{"Name": "mine"}'
    ignored = (tmp_path / ".bidsignore").read_text().splitlines()
    assert ignored == ["notes/", "*_MRF.*", "MRF.json"]


def test_the_order_of_participants_does_not_matter(tmp_path):
    rows = [{"participant_id": f"sub-{n}", "age": str(n)} for n in (3, 1, 2)]
    for name, order in (("a", rows), ("b", rows[::-1])):
        (tmp_path / name).mkdir()
        for row in order:
            merge_participant(tmp_path / name, row, COLUMNS)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    text = (tmp_path / "a" / "participants.tsv").read_text()
    assert text == "participant_id\tage\nsub-1\t1\nsub-2\t2\nsub-3\t3\n"


def test_participants_that_are_added_at_once_are_all_kept(tmp_path, monkeypatch):
    def write_slowly(path, text):
        sleep(0.01)
        write_text(path, text)

    monkeypatch.setattr(rawdataset, "write_text", write_slowly)
    labels = [f"sub-{n}" for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        rows = [{"participant_id": label} for label in labels]
        list(pool.map(lambda row: merge_participant(tmp_path, row, COLUMNS), rows))
    lines = (tmp_path / "participants.tsv").read_text().splitlines()
    assert lines == ["participant_id", *labels]
    assert {path.name for path in tmp_path.iterdir()} == {"participants.tsv", "participants.json"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_other_rows_columns_and_descriptions_are_kept(tmp_path, encoding):
    table = "age\tparticipant_id\tname\n40\tsub-02\tÄ\n50\tsub-01\tB\n"
    (tmp_path / "participants.tsv").write_text(table, encoding)
    (tmp_path / "participants.json").write_text('{"age": {"Units": "year"}}', encoding)
    merge_participant(tmp_path, {"participant_id": "sub-01", "sex": "f"}, COLUMNS)
    assert (tmp_path / "participants.tsv").read_text("utf-8") == (
        "age\tparticipant_id\tname\tsex\n50\tsub-01\tB\tf\n40\tsub-02\tÄ\tn/a\n"
    )
    described = json.loads((tmp_path / "participants.json").read_text())
    assert described == COLUMNS | {"age": {"Units": "year"}}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("participants.tsv", "", r"must have a column participant_id, got \[\]"),
        ("participants.tsv", "age\n40\n", r"must have a column participant_id, got \['age'\]"),
        ("participants.tsv", TABLE + "sub-03\n", "row 2 must have the 2 values of the header, got 1"),
        ("participants.tsv", TABLE + "sub-03\t1\t2\n", "row 2 must have the 2 values of the header, got 3"),
        ("participants.tsv", TABLE + "sub-02\t41\n", "participant_id must be unique, got sub-02 again"),
        ("participants.tsv", "participant_id\tname\nsub-02\tÄ\n", "must be text in UTF-8"),
        ("participants.json", "{", "must be a JSON file"),
        ("participants.json", "[]", "must be a JSON object, got a list"),
    ],
)  # fmt: skip
def test_tables_that_would_lose_something_are_refused_and_stay(tmp_path, name, content, words):
    (tmp_path / name).write_text(content, "latin-1")
    before = files(tmp_path)
    with pytest.raises(DatasetError, match=f"{name}: {words}"):
        merge_participant(tmp_path, {"participant_id": "sub-01"}, COLUMNS)
    assert files(tmp_path) == before


def test_columns_of_a_table_without_rows_are_kept(tmp_path):
    (tmp_path / "participants.tsv").write_text("age\tparticipant_id\tsex\n")
    merge_participant(tmp_path, {"participant_id": "sub-01"}, COLUMNS)
    text = (tmp_path / "participants.tsv").read_text()
    assert text == "age\tparticipant_id\tsex\nn/a\tsub-01\tn/a\n"
