"""Logging to standard error: levels and format."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


def configure_logging(level: int) -> None:
    """Log the package at a level, and Nipype one step more quietly.

    To be called again after Nipype is imported, which sets up its own loggers.

    Parameters
    ----------
    level
        As of the logging module.
    """
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S", force=True
    )
    logging.getLogger("mri2qmap_bids").setLevel(level)
    for name in ("nipype", "nipype.workflow", "nipype.interface", "nipype.utils"):
        nipype_logger = logging.getLogger(name)
        nipype_logger.handlers.clear()
        # A failing node is reported by us, in one line; its traceback is in the crash file.
        nipype_logger.setLevel(logging.INFO if level <= logging.DEBUG else logging.CRITICAL)


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
