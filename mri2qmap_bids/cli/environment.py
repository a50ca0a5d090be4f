"""What the program needs of the machine around it."""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def private_folder() -> Iterator[Path]:
    """A temporary folder of this process, removed at its end, also after SIGTERM."""
    with tempfile.TemporaryDirectory(prefix="mri2qmap-") as name:

        def stop(number: int, _: object) -> None:
            shutil.rmtree(name, ignore_errors=True)
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

    Numba and matplotlib need a writable cache, pybids a home, and Nipype asks a server
    for its newest version: none of it may stop or delay a run in a read-only container.

    Parameters
    ----------
    private
        A directory of this process alone.
    """
    os.environ.setdefault("HOME", str(private))
    os.environ.setdefault("NUMBA_CACHE_DIR", str(private / "numba"))
    os.environ.setdefault("MPLCONFIGDIR", str(private / "matplotlib"))
    os.environ.update(NO_ET="1", NIPYPE_NO_ET="1")
    # Threads that spin while they wait take the cores from whoever else is on the machine:
    # with both cores of two busy, a reconstruction took 6.4 s spinning and 2.7 s sleeping.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
