"""Logging to standard error and to a file for each run: levels and format."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FORMAT = "%(asctime)s %(levelname)s %(run)s%(message)s"
# Back to the first column and the rest of the line erased, where a bar may stand.
_OVER_A_BAR = "\r\x1b[K"


def configure_logging(level: int) -> None:
    """Log the package at a level, and Nipype one step more quietly.

    To be called again after Nipype is imported, which sets up its own loggers.

    Parameters
    ----------
    level
        As of the logging module.
    """
    begin = _OVER_A_BAR if is_terminal() else ""
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(begin + _FORMAT, "%H:%M:%S"))
    logging.basicConfig(handlers=[handler], force=True)
    logging.getLogger("mri2qmap_bids").setLevel(level)
    for name in ("nipype", "nipype.workflow", "nipype.interface", "nipype.utils"):
        nipype_logger = logging.getLogger(name)
        nipype_logger.handlers.clear()
        # A failing node is reported by us, in one line; its traceback is in the crash file.
        nipype_logger.setLevel(logging.INFO if level <= logging.DEBUG else logging.CRITICAL)


def is_terminal() -> bool:
    """Whether standard error is a terminal on which a line can be overwritten."""
    stream = sys.stderr
    return stream is not None and stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def run_log_file(output_dir: Path, run: str) -> Path:
    """Where the lines on a run are kept."""
    return output_dir / "logs" / f"{run}.log"


def waiting_log_file(file: Path) -> Path:
    """Where the first lines of a run's log wait until the run begins: the file keeps its earlier lines so long.

    >>> waiting_log_file(Path("logs/sub-01.log")).name
    '.sub-01.log.begin'
    """
    return file.with_name(f".{file.name}.begin")


@contextmanager
def run_log(run: str, file: Path | None = None) -> Iterator[None]:
    """Begin every line of the block with a run's name, and append those of the package to a file.

    First lines that wait take the place of the file. One that cannot be written takes no lines; the block goes on.

    Parameters
    ----------
    run
        Its name.
    file
        None: there is none.
    """
    package, naming = logging.getLogger("mri2qmap_bids"), _Naming(run)
    handlers = list(logging.getLogger().handlers)
    own = [_RunFile(file)] if file is not None else []
    if file is not None:
        with suppress(OSError):
            waiting_log_file(file).replace(file)
    for handler in (*handlers, *own):
        handler.addFilter(naming)
    for handler in own:
        package.addHandler(handler)
    try:
        yield
    finally:
        for handler in own:
            package.removeHandler(handler)
            handler.close()
        for handler in handlers:
            handler.removeFilter(naming)


@contextmanager
def heard_warnings() -> Iterator[list[str]]:
    """Collect the warnings of the package inside the block, each text once; they are logged as usual."""
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() not in heard:
                heard.append(record.getMessage())

    listener = Listener(logging.WARNING)
    package = logging.getLogger("mri2qmap_bids")
    package.addHandler(listener)
    try:
        yield heard
    finally:
        package.removeHandler(listener)


@contextmanager
def no_warnings() -> Iterator[None]:
    """Leave out the package's lines below errors inside the block: another step will log the same."""
    package = logging.getLogger("mri2qmap_bids")
    before = package.level
    if package.getEffectiveLevel() > logging.DEBUG:
        package.setLevel(logging.ERROR)
    try:
        yield
    finally:
        package.setLevel(before)


def _formatter(text: str, date: str) -> logging.Formatter:
    return logging.Formatter(text, date, defaults={"run": ""})


class _Naming(logging.Filter):
    """Puts a run's name before messages that do not begin with it."""

    def __init__(self, run: str) -> None:
        super().__init__()
        self._begin = f"{run}: "

    def filter(self, record: logging.LogRecord) -> bool:
        record.run = "" if record.getMessage().startswith(self._begin) else self._begin
        return True


class _RunFile(logging.Handler):
    """Appends lines to a file; several processes may do so in turn."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file
        self.setFormatter(_formatter(_FORMAT, "%Y-%m-%d %H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as stream:
                stream.write(self.format(record) + "\n")
        except OSError:
            pass  # the line stands on standard error, too
