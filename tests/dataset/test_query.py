"""Finding runs: names, inheritance, filters, and what must not disturb them."""

import json
import re
import shutil
from pathlib import Path

import pytest

from mri2qmap_bids.dataset.filters import Filters, read_filter_file
from mri2qmap_bids.dataset.index import Index
from mri2qmap_bids.dataset.query import find_runs
from mri2qmap_bids.errors import DatasetError, InputError, NothingSelectedError


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
    assert names(find_runs(dataset, Filters(("02",)))) == ["sub-02_ses-a"]
    assert names(find_runs(dataset, Filters(("01",), ("b",)))) == ["sub-01_ses-b_acq-2d_run-01"]


def test_acquisitions_and_runs_select(dataset):
    add_run(dataset, "sub-02_ses-a_acq-3d_run-2", {})
    assert names(find_runs(dataset, Filters(acquisitions=("3d",)))) == ["sub-02_ses-a_acq-3d_run-2"]
    assert len(find_runs(dataset, Filters(runs=("1",))).runs) == 2
    with pytest.raises(NothingSelectedError, match=r"--run-label must be among 01, 2, none, got 7"):
        find_runs(dataset, Filters(runs=("7",)))
    with pytest.raises(NothingSelectedError, match=r"--acquisition-label must be among"):
        find_runs(dataset, Filters(acquisitions=("4d",)))


def test_labels_that_select_no_run_are_warned_of(dataset, caplog):
    (dataset / "sub-03").mkdir()
    find_runs(dataset, Filters(("01", "02", "03"), ("a", "zz"), runs=("1", "7")))
    # Session a of sub-02 has no run index.
    assert [record.getMessage() for record in caplog.records] == [
        "--participant-label 02: selects no run",
        "--participant-label 03: selects no run",
        "--session-label zz: selects no run",
        "--run-label 7: selects no run",
    ]
    caplog.clear()
    find_runs(dataset, Filters(("01", "02"), ("a",)))
    assert not caplog.records


@pytest.mark.parametrize(
    ("entities", "expected"),
    [
        ({"session": "b"}, ["sub-01_ses-b_acq-2d_run-01"]),
        ({"run": 1}, ["sub-01_ses-a_acq-2d_run-01", "sub-01_ses-b_acq-2d_run-01"]),
        ({"run": None}, ["sub-02_ses-a"]),
        ({"acquisition": "*", "session": ["a"]}, ["sub-01_ses-a_acq-2d_run-01"]),
        ({"extension": ".mrd"}, ["sub-02_ses-a"]),
    ],
)
def test_a_filter_file_selects_as_other_apps_do(dataset, tmp_path_factory, entities, expected):
    file = tmp_path_factory.mktemp("filter") / "filter.json"
    file.write_text(json.dumps({"mrf": entities, "b1": {"run": 1}}))
    found = find_runs(dataset, Filters(entities=read_filter_file(file)))
    assert names(found) == expected


def test_entities_that_no_run_has_are_refused(dataset):
    with pytest.raises(NothingSelectedError, match="--bids-filter-file must select some run"):
        find_runs(dataset, Filters(entities={"session": "zz"}))


def test_a_kept_index_is_used_until_it_is_renewed_or_names_change(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("database") / "deep"
    assert len(find_runs(dataset, index=Index(folder)).runs) == 3

    def made(renewed=False):
        """Participants whose index was made anew."""
        files = sorted(folder.glob("sub-*/*.sqlite"))
        before = [file.stat().st_mtime_ns for file in files]
        n_runs = len(find_runs(dataset, index=Index(folder, renewed)).runs)
        after = [file.stat().st_mtime_ns for file in files]
        own = [f.parent.name for f, a, b in zip(files, before, after, strict=True) if a != b]
        return n_runs, own

    assert made() == (3, [])
    assert made(renewed=True) == (3, ["sub-01", "sub-02"])
    add_run(dataset, "sub-02_ses-b", {})
    assert made() == (4, ["sub-02"])
    (dataset / "sub-02/ses-b/anat/sub-02_ses-b_MRF.h5").unlink()
    assert made() == (3, ["sub-02"])
    assert made() == (3, [])


def test_sessions_behind_links_are_seen_by_a_kept_index(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("database")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    add_run(elsewhere, "sub-02_ses-c", {})
    (dataset / "sub-02" / "ses-c").symlink_to(elsewhere / "sub-02" / "ses-c")
    assert len(find_runs(dataset, index=Index(folder)).runs) == 4
    add_run(elsewhere, "sub-02_ses-c_run-2", {})
    assert len(find_runs(dataset, index=Index(folder)).runs) == 5


def test_a_kept_index_is_of_one_dataset(dataset, tmp_path_factory):
    folder, other = tmp_path_factory.mktemp("database"), tmp_path_factory.mktemp("other")
    add_run(other, "sub-01_acq-x", {})
    for _ in range(2):
        assert len(find_runs(dataset, index=Index(folder)).runs) == 3
        assert names(find_runs(other, index=Index(folder))) == ["sub-01_acq-x"]


def test_a_label_does_not_select_those_that_begin_with_it(dataset):
    add_run(dataset, "sub-010", {})
    assert all(run.entities["sub"] == "01" for run in find_runs(dataset, Filters(("01",))).runs)


def test_sourcedata_serves_a_participant_without_raw_files(dataset):
    add_run(dataset / "sourcedata", "sub-03", {"EchoTime": 0.003})
    add_run(dataset / "sourcedata", "sub-01_ses-z", {})
    selection = find_runs(dataset, Filters(("01", "03")))
    assert names(selection)[-1] == "sub-03"
    assert not any("ses-z" in name for name in names(selection))
    assert selection.runs[-1].uri == "bids:raw:sourcedata/sub-03/anat/sub-03_MRF.h5"


def test_derivatives_and_other_modalities_are_left_alone(dataset):
    add_run(dataset / "derivatives" / "x", "sub-01_ses-c", {})
    (dataset / "sub-01" / "ses-a" / "func").mkdir()
    (dataset / "sub-01" / "ses-a" / "func" / "sub-01_ses-a_bold.json").write_text("{broken")
    assert len(find_runs(dataset).runs) == 3


def test_a_broken_sidecar_stops_only_the_runs_it_describes(dataset):
    anat = dataset / "sub-01" / "ses-a" / "anat"
    (anat / "sub-01_ses-a_acq-2d_run-01_MRF.json").write_text("{broken")
    (anat / "sub-01_ses-a_T1w.json").write_text("{broken")
    assert names(find_runs(dataset, Filters(("02",)))) == ["sub-02_ses-a"]
    selection = find_runs(dataset)
    assert names(selection) == ["sub-01_ses-b_acq-2d_run-01", "sub-02_ses-a"]
    ((name, reason),) = selection.problems
    assert name == "sub-01_ses-a_acq-2d_run-01"
    assert "sub-01_ses-a_acq-2d_run-01_MRF.json: must be JSON, got: Expecting" in reason


def test_a_broken_inherited_sidecar_stops_the_runs_that_inherit_it(dataset):
    (dataset / "acq-2d_MRF.json").write_text("[1, 2]")
    selection = find_runs(dataset)
    assert names(selection) == ["sub-02_ses-a"]
    assert len(selection.problems) == 2
    assert all("acq-2d_MRF.json: must be a JSON object" in why for _, why in selection.problems)


def test_a_link_without_content_says_how_to_get_it(dataset):
    path = add_run(dataset, "sub-02_ses-b", {})
    path.unlink()
    path.symlink_to("../../../.git/annex/objects/aa/bb/MD5E-s1--c.h5")
    selection = find_runs(dataset)
    assert names(selection)[-1] == "sub-02_ses-a"
    ((name, reason),) = selection.problems
    assert name == "sub-02_ses-b"
    assert reason.endswith(f"try: datalad get {path}")


def test_an_odd_sidecar_stops_its_run_alone(dataset):
    """Also what pybids takes for an entity, and contradicts the name."""
    anat = dataset / "sub-01" / "ses-b" / "anat"
    add_run(dataset, "sub-01_ses-b_run-2", {"session": "other", "suffix": 3})
    (anat / "sub-01_ses-b_run-2_T1w.json").mkdir()
    (anat / "sub-01_ses-b_acq-2d_run-01_MRF.json").unlink()
    (anat / "sub-01_ses-b_acq-2d_run-01_MRF.json").mkdir()
    selection = find_runs(dataset)
    assert names(selection) == ["sub-01_ses-a_acq-2d_run-01", "sub-01_ses-b_run-2", "sub-02_ses-a"]
    ((name, reason),) = selection.problems
    assert name == "sub-01_ses-b_acq-2d_run-01"
    assert "must be a readable file, got: Is a directory" in reason


def test_all_entities_are_kept_in_the_order_of_bids(dataset):
    for name in ("run-1_ce-gd", "ce-none_run-1", "run-1_own-x_dir-AP", "echo-1_inv-2_chunk-3"):
        add_run(dataset, f"sub-03_{name}", {})
    runs = find_runs(dataset, Filters(("03",))).runs
    assert sorted(run.name for run in runs) == [
        "sub-03_ce-gd_run-1",
        "sub-03_ce-none_run-1",
        "sub-03_dir-AP_run-1_own-x",
        "sub-03_echo-1_inv-2_chunk-3",
    ]


def test_files_of_one_name_are_named_and_stop_nothing_else(dataset):
    first = add_run(dataset, "sub-02_ses-a")
    second = add_run(dataset, "sub-02_ses-b_acq-x_run-1")
    third = add_run(dataset, "sub-02_ses-b_run-1_acq-x")
    selection = find_runs(dataset)
    assert names(selection) == ["sub-01_ses-a_acq-2d_run-01", "sub-01_ses-b_acq-2d_run-01"]
    reasons = dict(selection.problems)
    assert set(reasons) == {"sub-02_ses-a", "sub-02_ses-b_acq-x_run-1"}
    assert f"{first}, {first.with_suffix('.mrd')}" in reasons["sub-02_ses-a"]
    assert f"{second}, {third}" in reasons["sub-02_ses-b_acq-x_run-1"]


def test_one_file_seen_twice_through_a_link_is_one_run(dataset):
    (dataset / "sub-02" / "ses-a" / "anat" / "again").symlink_to("..")
    assert names(find_runs(dataset, Filters(("02",)))) == ["sub-02_ses-a"]


@pytest.mark.parametrize(
    "above", ["ses-2", "acq-hires/run-3", "sub-99", "pet/task-x_echo-1", "a+(b"]
)
def test_folders_above_the_dataset_are_no_entities(dataset, tmp_path_factory, above):
    root = tmp_path_factory.mktemp("above") / above / "bids"
    shutil.copytree(dataset, root)
    add_run(root, "sub-03", {})
    selection = find_runs(root, Filters(entities={"datatype": "anat"}))
    assert names(selection) == [*names(find_runs(dataset)), "sub-03"]
    assert not selection.problems
    assert selection.runs[0].metadata["EchoTime"] == 0.001
    assert names(find_runs(root, Filters(entities={"session": None, "run": None}))) == ["sub-03"]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("sub-03/anat/sub-04_MRF.h5", "sub must be 03 as in the folder's name, got 04"),
        ("sub-03/ses-a/anat/sub-03_ses-b_MRF.h5", "ses must be a as in the folder's name, got b"),
        ("sub-03/anat/sub-03_acq-$(x)_MRF.h5", r"labels must be of letters and digits, got \$"),
        ("sub-03/anat/sub-03_old_MRF.h5", "of entities key-label, each once, got old"),
        ("sub-03/anat/sub-03_run-1_run-2_MRF.h5", "each once, got run-1, run-2"),
        ("sub-03/anat/sub-03_desc-x_MRF.h5", "desc must be left to derivatives, got x"),
        ("sub-03/anat/sub-03_MRF.h5/inside", "must be a file, got a directory"),
    ],
)
def test_a_raw_file_that_cannot_become_a_run_is_said(dataset, place, words):
    path = dataset / place
    path.parent.mkdir(parents=True)
    path.touch()
    selection = find_runs(dataset)
    assert len(selection.runs) == 3
    ((name, reason),) = selection.problems
    assert name.startswith("sub-03")
    assert re.search(words, reason)


def test_a_session_may_be_named_by_the_folder_alone(dataset):
    path = add_run(dataset, "sub-03_ses-a", {})
    path.rename(path.with_name("sub-03_MRF.h5"))
    assert names(find_runs(dataset))[-1] == "sub-03_ses-a"


def test_what_cannot_be_indexed_stops_its_participant_alone(dataset, monkeypatch):
    from bids import BIDSLayout

    def broken(self, **query):
        if query["subject"] == "01":
            raise KeyError("odd")
        return get(self, **query)

    get = BIDSLayout.get
    monkeypatch.setattr(BIDSLayout, "get", broken)
    selection = find_runs(dataset)
    assert names(selection) == ["sub-02_ses-a"]
    assert selection.problems == (("sub-01", f"{dataset / 'sub-01'}: unexpected KeyError: 'odd'"),)


def test_a_broken_description_is_a_fault_of_the_whole_dataset(dataset):
    (dataset / "dataset_description.json").write_text("[]")
    with pytest.raises(DatasetError, match=r"description.json: must be a JSON object, got list"):
        find_runs(dataset)


def test_what_is_not_there_is_said(dataset, tmp_path_factory):
    with pytest.raises(NothingSelectedError, match=r"must be among 01, 02, got 99"):
        find_runs(dataset, Filters(("99",)))
    with pytest.raises(NothingSelectedError, match=r"must be among a, b, got z"):
        find_runs(dataset, Filters((), ("z",)))
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(DatasetError, match="must hold raw MRF files"):
        find_runs(empty)
    with pytest.raises(InputError, match="no such directory"):
        find_runs(empty / "nowhere")


def add_b1(root: Path, name: str) -> Path:
    path = add_run(root, name)
    fmap = path.parents[1] / "fmap" / path.name.replace("_MRF.h5", "_TB1map.nii.gz")
    fmap.parent.mkdir(exist_ok=True)
    path.rename(fmap)
    return fmap


def test_b1_maps_are_found_ignored_filtered_and_missed(dataset):
    first, second = (add_b1(dataset, f"sub-01_ses-a_acq-{acq}") for acq in ("one", "two"))

    def maps(**filters):
        return {
            run.name: run.b1 and run.b1.path for run in find_runs(dataset, Filters(**filters)).runs
        }

    names_of_runs = ["sub-01_ses-a_acq-2d_run-01", "sub-01_ses-b_acq-2d_run-01", "sub-02_ses-a"]
    assert maps() == dict(zip(names_of_runs, (first, first, None), strict=True))
    assert maps(b1_ignored=True) == dict.fromkeys(names_of_runs)
    assert maps(b1_entities={"acquisition": "two"})[names_of_runs[0]] == second
    run = find_runs(dataset).runs[0]
    assert run.b1.uri == "bids:raw:sub-01/ses-a/fmap/sub-01_ses-a_acq-one_TB1map.nii.gz"
    first.unlink()
    first.symlink_to("nowhere")
    selection = find_runs(dataset)
    assert names(selection) == ["sub-02_ses-a"]
    assert selection.problems[0][1].endswith(f"try: datalad get {first}, or --ignore b1")
    first.unlink()
    first.write_text("/annex/objects/MD5E-s345678--d41d8cd98f00b204e9800998ecf8427e.nii.gz\n")
    assert find_runs(dataset).problems == tuple(
        (name, reason.replace("a link without target", "a pointer of git-annex"))
        for name, reason in selection.problems
    )


def test_t1w_images_are_found_by_session_ignored_and_filtered(dataset):
    paths = {}
    for name in ("sub-01_ses-a", "sub-01_ses-a_acq-mpr", "sub-01_ses-a_part-phase"):
        paths[name] = dataset / "sub-01" / "ses-a" / "anat" / f"{name}_T1w.nii.gz"
        paths[name].touch()

    def images(**filters):
        runs = find_runs(dataset, Filters(**filters)).runs
        return [run.t1w and run.t1w.path.name.removesuffix("_T1w.nii.gz") for run in runs]

    # The second run is of another session; the third participant has no T1w image.
    assert images() == ["sub-01_ses-a", "sub-01_ses-a", None]
    assert images(t1w_ignored=True) == [None, None, None]
    assert images(t1w_entities={"acquisition": "mpr"})[0] == "sub-01_ses-a_acq-mpr"
    uri = find_runs(dataset).runs[0].t1w.uri
    assert uri == "bids:raw:sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz"


def test_b1_maps_of_other_pipelines_serve_where_the_raw_data_have_none(dataset, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    mapped = add_b1(other, "sub-02_ses-a")
    add_b1(other, "sub-01_ses-a")
    own = add_b1(dataset, "sub-01_ses-a")
    runs = find_runs(dataset, Filters(derivatives=(("qmap", other),))).runs
    assert runs[0].b1.path == own
    assert runs[2].b1.path == mapped
    assert runs[2].b1.uri == "bids:qmap:sub-02/ses-a/fmap/sub-02_ses-a_TB1map.nii.gz"


@pytest.mark.parametrize(("extension", "source"), [("dat", "siemens"), ("npz", "arrays")])
def test_raw_data_of_another_kind_get_the_command_that_converts_them(tmp_path, extension, source):
    path = tmp_path / "sub-01" / "anat" / f"sub-01_MRF.{extension}"
    path.parent.mkdir(parents=True)
    path.touch()
    (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    with pytest.raises(
        DatasetError, match=f"convert {path.name} by: mri2qmap-tools convert {source}"
    ):
        find_runs(tmp_path, Filters())
