"""The Boutiques descriptor says what the parser does, and makes command lines that it takes."""

import importlib.util
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mri2qmap_bids import errors
from mri2qmap_bids.cli.parser import build_parser

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "descriptors"
DESCRIPTOR = FOLDER / "mri2qmap.json"


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", FOLDER / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def descriptor():
    return json.loads(DESCRIPTOR.read_text())


def bosh(*words):
    program = Path(sys.executable).with_name("bosh")
    process = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def parsed(invocation):
    """What the parser makes of the command line for an invocation."""
    output = bosh("exec", "simulate", str(DESCRIPTOR), "-i", str(invocation))
    make_folder, words = output.split("\n")[1].split("; ")
    program, *words = shlex.split(words)
    assert program == "mri2qmap"
    arguments = build_parser().parse_args(words)
    assert shlex.split(make_folder) == ["mkdir", "-p", str(arguments.output_dir)]
    return arguments


def test_descriptor_is_what_the_parser_says(generate):
    assert DESCRIPTOR.read_text() == generate.as_text(), (
        "an option was changed: run `python descriptors/generate.py`"
    )


def test_descriptor_is_valid_for_a_bids_app():
    assert "BIDS validation OK" in bosh("validate", "-b", str(DESCRIPTOR))


def test_every_exit_code_is_described(descriptor):
    kinds = [errors.Mri2QmapError, *errors.Mri2QmapError.__subclasses__()]
    described = {item["code"] for item in descriptor["error-codes"]}
    assert described == {kind.exit_code for kind in kinds}


def test_example_is_taken_by_the_parser():
    arguments = parsed(FOLDER / "invocation.json")
    assert arguments.participant_label == ["01", "02"]
    assert arguments.matrix == [220, 220, 180]
    assert arguments.device == "cuda"


def test_every_option_reaches_the_parser(descriptor, tmp_path):
    """An invocation with a value for each input, none of them the default."""
    values = {}
    for item in descriptor["inputs"]:
        choices = item.get("value-choices")
        value = {"Flag": True, "Number": 7, "File": "/a/file", "String": "word"}[item["type"]]
        value = choices[-1] if choices else value
        values[item["id"]] = [value] if item.get("list") else value
    del values["output_dir_existing"]
    values["analysis_level"] = "participant"
    (tmp_path / "invocation.json").write_text(json.dumps(values))
    arguments = vars(parsed(tmp_path / "invocation.json"))
    default = vars(build_parser().parse_args(["a", "b", "group"]))
    assert set(arguments) == set(values)
    assert [name for name, value in arguments.items() if value == default[name]] == []


def test_nipoppy_pipeline_fits_the_descriptor(descriptor, tmp_path):
    folder = FOLDER / "nipoppy"
    config = json.loads((folder / "config.json").read_text())
    assert config["VERSION"] == descriptor["tool-version"]
    for step in config["STEPS"]:
        files = {key: value for key, value in step.items() if key.endswith("_FILE")}
        assert all((folder / name).is_file() for name in files.values())
        # Nipoppy follows no link out of its folder.
        assert not (folder / step["DESCRIPTOR_FILE"]).is_symlink()
        arguments = parsed(folder / step["INVOCATION_FILE"])
        assert arguments.session_label == ["[[NIPOPPY_SESSION_ID]]"]
    tracked = json.loads((folder / "tracker.json").read_text())["PATHS"]
    assert all(path.endswith("map.json") for path in tracked)
