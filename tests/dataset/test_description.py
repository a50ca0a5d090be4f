"""Description of a derivative dataset: links, the program and its container."""

import json
import re
from email.message import Message
from pathlib import Path

from mri2qmap_bids.dataset import description
from mri2qmap_bids.dataset.description import IMAGE, initialise_dataset

DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"


def described(root, *words, **more):
    initialise_dataset(root, "x", *words, **more)
    return json.loads((root / "dataset_description.json").read_text())


def test_links_are_uris(tmp_path):
    raw, own = tmp_path / "raw data", tmp_path / "fmriprep"
    keys = described(tmp_path / "out", raw_dataset=raw, derivatives=[("fmriprep", own)])
    assert keys["DatasetLinks"] == {
        "raw": f"file://{tmp_path}/raw%20data",
        "fmriprep": f"file://{tmp_path}/fmriprep",
    }
    assert keys["SourceDatasets"] == [{"URL": f"file://{tmp_path}/raw%20data"}]


def test_dataset_inside_the_raw_one_links_to_it_relatively(tmp_path):
    keys = described(tmp_path / "derivatives" / "mri2qmap", raw_dataset=tmp_path)
    assert keys["DatasetLinks"] == {"raw": "../.."}
    assert keys["GeneratedBy"][0]["Name"] == "mri2qmap"


def test_links_do_not_depend_on_how_a_folder_is_spelt(tmp_path, monkeypatch, caplog):
    raw, elsewhere = tmp_path / "raw", tmp_path / "elsewhere"
    for folder in (raw, elsewhere):
        folder.mkdir()
    (tmp_path / "link").symlink_to(raw)
    monkeypatch.chdir(elsewhere)
    for spelt in (raw, Path("../raw").absolute()):
        keys = described(tmp_path / "out", raw_dataset=spelt, derivatives=[("b1", spelt)])
        assert keys["DatasetLinks"] == {"raw": raw.as_uri(), "b1": raw.as_uri()}
    for spelt, root in (("../raw", raw), ("../raw", tmp_path / "link"), ("../link", raw)):
        keys = described(root / "derivatives" / "x", raw_dataset=Path(spelt).absolute())
        assert keys["DatasetLinks"] == {"raw": "../.."}
    assert not caplog.records


def test_links_and_ignored_names_of_earlier_calls_are_kept(tmp_path, caplog):
    root, raw, b1 = tmp_path / "out", tmp_path / "raw", tmp_path / "b1"
    described(root, raw_dataset=raw, derivatives=[("b1", b1)])
    ignored = (root / ".bidsignore").read_text()
    (root / ".bidsignore").write_text("notes/\n" + ignored)
    links = described(root, raw_dataset=raw)["DatasetLinks"]
    assert links == {"raw": raw.as_uri(), "b1": b1.as_uri()}
    assert (root / ".bidsignore").read_text() == "notes/\n" + ignored
    assert described(root)["DatasetLinks"] == links
    assert not caplog.records
    links = described(root, raw_dataset=tmp_path / "moved")["DatasetLinks"]
    assert links == {"raw": (tmp_path / "moved").as_uri(), "b1": b1.as_uri()}
    assert f"the link raw was {raw.as_uri()} and is now" in caplog.text


def test_a_broken_description_is_replaced(tmp_path):
    for text in ("{", "[]", '{"DatasetLinks": 1}'):
        (tmp_path / "dataset_description.json").write_text(text)
        assert described(tmp_path, raw_dataset=tmp_path / "raw")["DatasetLinks"].keys() == {"raw"}


def test_a_container_is_named_and_nothing_is_without_one(tmp_path):
    def container(**variables):
        keys = described(tmp_path, variables=variables)
        return keys["GeneratedBy"][0].get("Container")

    tag = {IMAGE: "mri2qmap:0.1.0"}
    assert container() is None and container(APPTAINER_CONTAINER="/x.sif") is None
    assert container(**tag) == {"Type": "docker", "Tag": "mri2qmap:0.1.0"}
    assert container(**tag, container="podman")["Type"] == "podman"
    assert container(**tag, SINGULARITY_CONTAINER="/x.sif")["Type"] == "singularity"
    both = {"APPTAINER_CONTAINER": "/x.sif", "SINGULARITY_CONTAINER": "/x.sif"}
    assert container(**tag, **both)["Type"] == "apptainer"


def test_the_dockerfile_sets_the_variable():
    assert re.search(rf"^ENV {IMAGE}=\S*\$\{{VERSION\}}$", DOCKERFILE.read_text(), re.MULTILINE)


def test_the_address_of_the_source_is_that_of_the_package(tmp_path, monkeypatch):
    package = Message()
    monkeypatch.setattr(description, "metadata", lambda name: package)
    assert "CodeURL" not in described(tmp_path)["GeneratedBy"][0]
    package["Project-URL"] = "Homepage, https://example.org"
    package["Project-URL"] = "Source, https://example.org/source"
    assert described(tmp_path)["GeneratedBy"][0]["CodeURL"] == "https://example.org/source"
