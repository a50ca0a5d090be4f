"""The process that workers are forked from: it imports the heavy modules once, and every worker inherits them."""

import atexit
import gc
import multiprocessing
import os
import signal
import tempfile
import threading
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.util import get_temp_dir

from mri2qmap_bids.errors import MachineError

_HEAVY = (
    "workflow.server",
    "workflow.reconstruction",
    "workflow.output",
    "recon.reconstruct",
    "workflow.preload",
)
# A socket's path is at most 107 bytes long, of which multiprocessing adds 32.
_LONGEST_FOLDER = 75

# Of the program and of the server: to go through torch's objects once more at the end takes half a second.
atexit.register(gc.freeze)


def start_server() -> None:
    """Start the server unless it runs; it imports while this process goes on.

    It ignores Ctrl-C, as do all processes that it forks: a terminal sends Ctrl-C to every process
    of a call. The program alone answers it, and ends the workers.

    Raises
    ------
    MachineError
        If processes cannot share semaphores: there is no writable /dev/shm.
    """
    _require_semaphores()
    multiprocessing.get_context("forkserver").set_forkserver_preload(
        [f"mri2qmap_bids.{name}" for name in _HEAVY]
    )
    _shorten_sockets()
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread may change signals
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


@atexit.register
def _end_server() -> None:
    """End the server with the program, also while it imports: it holds the program's output open."""
    process = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    if process is not None:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)


def _require_semaphores() -> None:
    try:
        multiprocessing.get_context("forkserver").Lock()
    except (ImportError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise MachineError(
            f"/dev/shm must be a writable directory in memory, got: {reason}; in a container, mount one"
        ) from error


def _shorten_sockets() -> None:
    """Keep the sockets to the workers in /tmp where TMPDIR, as on some clusters, is too long."""
    folder = tempfile.gettempdir()
    if len(os.fsencode(folder)) > _LONGEST_FOLDER:
        tempfile.tempdir = "/tmp"
        try:
            get_temp_dir()  # makes a folder, and keeps to it
        finally:
            tempfile.tempdir = folder
