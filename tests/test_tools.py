"""mri2qmap-tools: its commands, and how they end."""

import argparse
import errno
import sys

import pytest
from helpers.closed_pipe import run_into_closed_pipe

from mri2qmap_bids import __version__, tools
from mri2qmap_bids.errors import RawDataError, UsageError


def ending(monkeypatch, error):
    """Let the demo, without arguments, end so."""

    def fail(arguments):
        raise error

    command = tools.Command("fails", lambda parser: None, fail)
    monkeypatch.setitem(tools.COMMANDS, "demo", command)


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
    ending(monkeypatch, error)
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


def test_ctrl_c_is_one_line(monkeypatch, capsys):
    ending(monkeypatch, KeyboardInterrupt())
    assert tools.main(["demo"]) == 130
    assert capsys.readouterr().err == "mri2qmap-tools demo: interrupted\n"


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC, errno.EEXIST, errno.ENOTDIR])
def test_what_cannot_be_written_is_one_line(number, monkeypatch, capsys):
    ending(monkeypatch, OSError(number, "Not so", "/x"))
    assert tools.main(["demo"]) == 73
    error = capsys.readouterr().err
    assert error == (
        "mri2qmap-tools demo: error: /x: must be accessible, with space left, got: Not so\n"
    )


def test_the_demo_does_not_go_below_a_file(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert tools.main(["demo", str(tmp_path / "file" / "demo")]) == 73
    assert str(tmp_path / "file") in capsys.readouterr().err


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file", "x"), BrokenPipeError()])
def test_other_errors_of_the_system_keep_their_traceback(error, monkeypatch):
    ending(monkeypatch, error)
    with pytest.raises(type(error)):
        tools.main(["demo"])


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_ends_the_program_without_a_word(unbuffered):
    process = run_into_closed_pipe(
        [sys.executable, "-m", "mri2qmap_bids.tools", "--help"], unbuffered
    )
    # argparse itself is silent where it meets the closed pipe.
    assert process.returncode in ((0, 141) if unbuffered else (141,))
    assert process.stderr == ""
