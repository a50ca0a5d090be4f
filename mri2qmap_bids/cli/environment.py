"""What the program needs of the machine around it."""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.util import get_temp_dir
from pathlib import Path

from mri2qmap_bids.errors import OutputError

# Where libraries keep caches and settings, if the user has named a place; else below HOME.
_CACHES = (
    "CUDA_CACHE_PATH",
    "MPLCONFIGDIR",
    "NIPYPE_CONFIG_DIR",
    "NUMBA_CACHE_DIR",
    "TEMPLATEFLOW_HOME",
    "TORCH_HOME",
    "TRITON_CACHE_DIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
)
# Machine code and fonts, of this program alone: without a place of their own they would depend on the
# user's settings and be written beside the source code. To make them anew takes each call four seconds.
_OWN_CACHES = ("MPLCONFIGDIR", "NUMBA_CACHE_DIR")


@contextmanager
def private_folder() -> Iterator[Path]:
    """A temporary folder of this process, removed at its end, also after SIGTERM.

    Raises
    ------
    OutputError
        If there is no writable directory for temporary files.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="mri2qmap-", ignore_cleanup_errors=True)
    except OSError as error:
        raise OutputError(
            "the directory for temporary files (TMPDIR, or /tmp) must be writable, got "
            f"{os.environ.get('TMPDIR', '/tmp')}: {error.strerror or error}"
        ) from error
    with folder as name:

        def stop(number: int, _: object) -> None:
            # The sockets to the workers lie in a folder that multiprocessing removes at exit.
            for folder in (name, get_temp_dir()):
                shutil.rmtree(folder, ignore_errors=True)
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

        # Only the main thread may set signal handlers.
        is_main = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGTERM, stop) if is_main else None
        try:
            yield Path(name)
        finally:
            if is_main:
                signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def prepare_environment(private: Path) -> None:
    """Defaults for libraries that write or connect when they are imported.

    Numba and matplotlib need a writable cache, pybids and Nipype a home, and Nipype asks a server
    for its newest version: none of it may stop or delay a run in a read-only container, or one
    whose home does not exist, may not be entered or is full.

    Parameters
    ----------
    private
        A directory of this process alone: the home and the caches where the usual ones cannot be written.
    """
    home = os.environ.get("HOME")
    if home is None or not _is_writable(Path(home)):
        os.environ["HOME"] = str(private)
    for name in _CACHES:
        place = os.environ.get(name)
        if place is not None and not _can_be_made(Path(place)):
            os.environ[name] = str(private / name.lower())
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path(os.environ["HOME"], ".cache"))
    for name in _OWN_CACHES:
        if name not in os.environ:
            own = caches / "mri2qmap" / name.lower()
            os.environ[name] = str(own if _can_be_made(own) else private / name.lower())
    os.environ.update(NO_ET="1", NIPYPE_NO_ET="1")
    # Threads that spin while they wait take the cores from whoever else is on the machine:
    # with both cores of two busy, a reconstruction took 6.4 s spinning and 2.7 s sleeping.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Torch then asks for pages of 2 MiB. A new array costs a page fault for each of its pages: of 4 KiB, they
    # took two thirds of the time of a sum or product of volumes.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def _is_writable(directory: Path) -> bool:
    """Whether a file can be written in a directory: permissions alone do not show it."""
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"1")
            file.flush()
    except OSError:
        return False
    return True


def _can_be_made(directory: Path) -> bool:
    """Whether a directory is writable, made if it is missing, as its library would do."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return _is_writable(directory)
