"""The demo: commands of the program, one after the other, up to the first that fails."""

import subprocess

import pytest

from mri2qmap_bids import tools
from mri2qmap_bids.cli.parser import build_parser
from mri2qmap_bids.simulate.demo import demo_commands, run_demo


def test_every_command_is_one_that_the_parsers_take(tmp_path):
    commands = demo_commands(tmp_path)
    parsers = {"mri2qmap": build_parser(), "mri2qmap-tools": tools.build_parser()}
    for program, *words in commands:
        parsers[program].parse_args(words)
    assert commands[-1][1] == "evaluate"


@pytest.mark.parametrize(("codes", "n_calls"), [({}, None), ({2: 5}, 3)])
def test_it_stops_at_the_first_that_fails_and_says_its_code(
    tmp_path, monkeypatch, capsys, codes, n_calls
):
    calls = []

    def run(command, check):
        calls.append(command)
        return subprocess.CompletedProcess(command, codes.get(len(calls) - 1, 0))

    monkeypatch.setattr(subprocess, "run", run)
    assert run_demo(tmp_path / "new") == next(iter(codes.values()), 0)
    assert len(calls) == (n_calls or len(demo_commands(tmp_path)))
    assert ("Scores:" in capsys.readouterr().out) == (not codes)
