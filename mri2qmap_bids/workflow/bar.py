"""One bar on a terminal for all runs of a call: the program draws it from what the workers leave in a folder."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mri2qmap_bids.recon.planning.plan import duration
from mri2qmap_bids.workflow.periodic import repeated

_PERIOD = 0.5  # s
_WIDTH = 24


@dataclass(frozen=True)
class RunState:
    """How far a run is."""

    run: str
    stage: str
    share: float
    """Of its time, 0 to 1."""
    remaining: float
    """[s]"""


def write_state(folder: Path, state: RunState) -> None:
    """Leave the state of a run in the folder; one that cannot be written is left out."""
    with suppress(OSError):
        temporary = folder / f".{state.run}"
        temporary.write_text(f"{state.stage}\t{state.share}\t{state.remaining}", encoding="utf-8")
        temporary.replace(folder / state.run)


def read_states(folder: Path) -> list[RunState]:
    """The states of all runs in the folder."""
    states = []
    for path in sorted(folder.glob("[!.]*")):
        with suppress(OSError, ValueError):
            stage, share, remaining = path.read_text(encoding="utf-8").split("\t")
            states.append(RunState(path.name, stage, float(share), float(remaining)))
    return states


def bar_text(n_done: int, n_runs: int, states: list[RunState], columns: int) -> str:
    """The bar in one line of so many columns.

    >>> bar_text(1, 2, [RunState("sub-02", "lrtv", 0.5, 90.0)], 80)
    '[##################------]  75 %  1 of 2 run(s) done; sub-02: lrtv, about 90 s'
    """
    share = min((n_done + sum(state.share for state in states)) / max(n_runs, 1), 1.0)
    filled = int(_WIDTH * share)
    text = f"[{'#' * filled}{'-' * (_WIDTH - filled)}] {100 * share:3.0f} %  {n_done} of {n_runs} run(s) done"
    for state in states:
        text += (
            f"; {state.run}: {state.stage or 'between stages'}, about {duration(state.remaining)}"
        )
    return text[: max(columns - 1, 0)]


@contextmanager
def bar(folder: Path, n_runs: int, n_done: Callable[[], int]) -> Iterator[None]:
    """Draw the bar on standard error inside the block, and erase it at its end.

    Parameters
    ----------
    folder
        Where workers leave states; made if missing.
    n_runs
        Runs of this call.
    n_done
        How many of them have ended.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def draw() -> None:
        columns = shutil.get_terminal_size().columns
        text = bar_text(n_done(), n_runs, read_states(folder), columns)
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()

    try:
        with repeated(draw, _PERIOD, "bar"):
            yield
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
