"""The demo: commands of the program, one after the other, up to the first that fails."""

import json
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
    work, output = tmp_path / "new" / "work", tmp_path / "new" / "derivatives"
    work.mkdir(parents=True)
    output.mkdir()
    (output / "sub-01.html").touch()
    row = {"run": "sub-01", "T1_MAPE": 1.26, "T2_MAPE": 3.44}
    rows = [{**row, "tissue": "GM+WM"}, {**row, "tissue": "CSF", "T1_MAPE": 50.0}]
    (tmp_path / "new" / "scores.json").write_text(json.dumps(rows))
    other = [{**row, "tissue": "GM+WM", "T1_MAPE": 2.0}]
    (tmp_path / "new" / "scores-lrtv.json").write_text(json.dumps(other))
    assert run_demo(tmp_path / "new") == next(iter(codes.values()), 0)
    assert len(calls) == (n_calls or len(demo_commands(tmp_path)))
    text = capsys.readouterr().out
    assert text.startswith("The demo downloads nothing")
    for end in (
        "Scores:",
        "sub-01  mri2qmap  1.3  3.4\nsub-01  lrtv      2.0  3.4\n",
        f"Report: {output / 'sub-01.html'}",
    ):
        assert (end in text) == (not codes)
    assert "50.0" not in text
    assert work.exists() == bool(codes)
