"""The command line as tests call it."""

from mri2qmap_bids.cli import main
from mri2qmap_bids.cli.parser import build_parser
from mri2qmap_bids.cli.settings import to_settings


def settings(*words):
    return to_settings(build_parser().parse_args(["bids", "out", "participant", *words]))


def run(*words) -> int:
    return main([str(word) for word in words])


def errors_in(capfd) -> list[str]:
    """The error lines on the standard error, without time and level."""
    lines = capfd.readouterr().err.splitlines()
    assert not any(line.startswith("Traceback") for line in lines)
    return [line.split(" ERROR ", 1)[1] for line in lines if " ERROR " in line]


def one_error(capfd) -> str:
    """The only error line."""
    (line,) = errors_in(capfd)
    return line
