"""Locks between processes that change the same file."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep others that lock the same file waiting until the block, or the process, ends.

    The lock is a hidden file beside it. Where there are no locks of files, as on some network
    file systems, nobody waits.

    Parameters
    ----------
    path
        The file to be changed; need not exist.
    """
    lock = path.with_name(f".{path.name}.lock")
    file = _opened(lock)
    try:
        yield
    finally:
        if file is not None:
            lock.unlink(missing_ok=True)
            file.close()


def _opened(lock: Path) -> IO[str] | None:
    """The lock's file, held; None: there are no locks."""
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        while True:
            with ExitStack() as stack:
                file = stack.enter_context(lock.open("w"))
                try:
                    fcntl.flock(file, fcntl.LOCK_EX)
                except OSError:
                    lock.unlink(missing_ok=True)
                    raise
                # Not if whoever held it has removed it: others would lock a new one.
                if _is_at(file, lock):
                    stack.pop_all()
                    return file
    except OSError:
        return None


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether this open file still has its name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
