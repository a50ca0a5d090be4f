"""Options in a TOML file, there and back."""

import tomllib
from argparse import ArgumentParser
from pathlib import Path

import pytest

from mri2qmap_bids.config import read_options, read_plugin, write_options
from mri2qmap_bids.errors import InputError, UsageError


@pytest.fixture
def parser():
    parser = ArgumentParser()
    for name in ("bids_dir", "output_dir"):
        parser.add_argument(name, type=Path)
    parser.add_argument("analysis_level")
    parser.add_argument("--matrix", nargs="+", type=int)
    parser.add_argument("--step", type=float, default=0.5)
    parser.add_argument("--method", choices=("a", "b"), default="a")
    parser.add_argument("--file", type=Path)
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    return parser


def test_options_come_back_as_they_were_parsed(parser, tmp_path):
    words = ["in", "out", "participant", "--matrix", "3", "4", "--file", "x y", "--fast"]
    arguments = parser.parse_args([*words, "--dry-run"])
    file = write_options(arguments, tmp_path / "logs")
    options = read_options(file, parser)
    assert options == {
        "matrix": [3, 4],
        "step": 0.5,
        "method": "a",
        "file": Path("x y"),
        "fast": True,
    }
    call = tomllib.loads(file.read_text())["call"]
    assert call["bids_dir"] == str(Path("in").absolute())
    assert call["analysis_level"] == "participant"


def test_files_that_are_not_there_are_said(parser, tmp_path):
    with pytest.raises(InputError, match=r"--config-file .*: must be a file"):
        read_options(tmp_path / "x.toml", parser)
    with pytest.raises(InputError, match=r"--use-plugin .*: must be a file"):
        read_plugin(tmp_path / "x.yml")


@pytest.mark.parametrize(
    "line", ["step = 'x'", "method = 'c'", "matrix = 3", "matrix = ['x']", "fast = 'yes'"]
)
def test_values_that_the_parser_would_not_take_are_refused(parser, tmp_path, line):
    file = tmp_path / "x.toml"
    file.write_text(f"[options]\n{line}\n")
    with pytest.raises(UsageError, match=f"{line.split()[0]} must be a value of --"):
        read_options(file, parser)
