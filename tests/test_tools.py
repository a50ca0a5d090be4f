"""mri2qmap-tools: its commands, and how they end."""

import argparse

import pytest

from mri2qmap_bids import __version__, tools
from mri2qmap_bids.errors import RawDataError, UsageError


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as end:
        tools.main(["--help"])
    assert end.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for name, command in tools.COMMANDS.items():
        assert f"{name} {command.summary}" in text


@pytest.mark.parametrize("name", tools.COMMANDS)
def test_every_option_of_a_command_has_its_help(name):
    parser = argparse.ArgumentParser()
    tools.COMMANDS[name].add_arguments(parser)
    for action in parser._actions:
        assert action.help or action.choices, action.dest


@pytest.mark.parametrize("error", [UsageError("--x: must be y"), RawDataError("x.h5: broken")])
def test_an_error_is_one_line_and_its_own_exit_code(error, monkeypatch, capsys):
    def fail(arguments):
        raise error

    command = tools.Command("fails", lambda parser: None, fail)
    monkeypatch.setitem(tools.COMMANDS, "demo", command)
    assert tools.main(["demo"]) == error.exit_code != 0
    assert capsys.readouterr().err == f"mri2qmap-tools demo: error: {error}\n"


def test_what_is_no_command_is_refused(capsys):
    with pytest.raises(SystemExit) as end:
        tools.main(["paint"])
    assert end.value.code == 2
    assert "paint" in capsys.readouterr().err


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit):
        tools.main(["--version"])
    assert capsys.readouterr().out.split()[-1] == __version__
