"""Actions that a thread repeats while something else runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(action: Callable[[], None], period: float, name: str) -> Iterator[None]:
    """Let a thread act inside the block, once every period.

    Parameters
    ----------
    action
        What to do.
    period
        Time between the end of an action and the next one, and before the first [s].
    name
        Of the thread.
    """
    over = threading.Event()

    def act() -> None:
        while not over.wait(period):
            action()

    thread = threading.Thread(target=act, daemon=True, name=name)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
