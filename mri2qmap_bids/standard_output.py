"""The standard output of a program whose reader may close it."""

import io
import os
import select
import signal
import sys


def open_standard_output() -> None:
    """Take text that nobody sees where the caller has closed the standard output."""
    if sys.stdout is None:
        sys.stdout = io.StringIO()


def leave_closed_output(error: BrokenPipeError) -> int:
    """The exit code where nobody reads the standard output any more, 141.

    Parameters
    ----------
    error
        That a write has met.

    Raises
    ------
    BrokenPipeError
        The same, if it is of another pipe.
    """
    if not _is_closed():
        raise error
    # Python flushes once more at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


def _is_closed() -> bool:
    """Whether nobody reads the standard output any more."""
    poll = select.poll()
    try:
        poll.register(sys.stdout, 0)
    except ValueError:  # no file of the system
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
