"""Progress of one run: lines in the log as its stages begin and end, and how much of it remains."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from mri2qmap_bids.recon.planning.plan import duration
from mri2qmap_bids.recon.planning.schedule import Schedule
from mri2qmap_bids.workflow.periodic import repeated

logger = logging.getLogger(__name__)

# Stages that are expected to take less do not say that they begin, and those that took less not that they end [s].
_BRIEF = 1.0
# After so long without a line, a stage says that it is still at work [s].
_SILENCE = 30.0
_PERIOD = 0.5  # s
# The prediction counts as much as this share of the whole, measured; limits of its correction.
_BELIEF = 0.1
_LEAST_FACTOR, _MOST_FACTOR = 0.2, 5.0


class Progress:
    """Listener of a record: logs stages, and estimates the time that remains.

    What remains is the predicted time of the stages to come, times the ratio of measured to predicted time of those
    that are over.
    """

    def __init__(self, schedule: Schedule, clock: Callable[[], float] = time.perf_counter) -> None:
        self._schedule, self._clock = schedule, clock
        self._lock = threading.Lock()
        self._start = self._last_line = clock()
        self._part = -1
        self._part_start = self._stage_start = self._start
        self._stage = ""
        # Time spent in the stages of the current part, and of those that are over measured and predicted.
        self._spent: dict[str, float] = {}
        self._totals: dict[str, float] = {}
        self._measured = self._predicted = 0.0

    def begin_part(self, index: int, n_parts: int) -> None:
        """A slice or volume begins."""
        with self._lock:
            now = self._clock()
            measured, predicted = self._sums(self._known())
            self._measured, self._predicted = self._measured + measured, self._predicted + predicted
            self._spent = {}
            previous, self._part = self._part, index
            if n_parts > 1 and previous >= 0:
                seconds = now - self._part_start
                self._say(logging.INFO, "slice %d of %d: %.1f s", index, n_parts, seconds)
            self._part_start = now

    def begin_stage(self, name: str) -> None:
        """A stage begins."""
        with self._lock:
            self._stage, self._stage_start = name, self._clock()
            expected = self._expected(name)
            if expected >= _BRIEF:
                self._say(self._level, "%s begins, about %s", name, duration(expected))

    def end_stage(self, name: str, seconds: float) -> None:
        """A stage ends."""
        with self._lock:
            self._spent[name] = self._spent.get(name, 0.0) + seconds
            self._totals[name] = self._totals.get(name, 0.0) + seconds
            self._stage = ""
            if seconds >= _BRIEF:
                self._say(self._level, "%s: %.1f s", name, seconds)

    def remind(self) -> None:
        """Log the current stage, if nothing was logged for long."""
        with self._lock:
            now = self._clock()
            if self._stage and now - self._last_line >= _SILENCE:
                self._say(logging.INFO, "%s: %.0f s so far", self._stage, now - self._stage_start)

    def conclude(self) -> None:
        """Log the time of the whole and of each stage, the longest first."""
        with self._lock:
            longest = sorted(self._totals.items(), key=lambda item: -item[1])
            stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in longest)
            logger.info("Reconstructed in %.1f s: %s", self._clock() - self._start, stages)

    @property
    def state(self) -> tuple[str, float, float]:
        """The stage, the share of the run that is done, 0 to 1, and the seconds that remain."""
        with self._lock:
            remaining, passed = self._remaining(), self._clock() - self._start
            return self._stage, passed / max(passed + remaining, 1e-9), remaining

    @property
    def _level(self) -> int:
        """Log level of lines on stages: debugging for the stages of one of several slices."""
        return logging.DEBUG if self._schedule.n_parts > 1 and self._part >= 0 else logging.INFO

    @property
    def _predictions(self) -> "dict[str, float]":
        """Of the stages of the current part; before the first, of those that come before it, too."""
        schedule = self._schedule
        return {**({} if self._part >= 0 else schedule.once), **schedule.each}

    def _expected(self, name: str) -> float:
        """Predicted time of what is left of a stage, which may be entered several times."""
        return max(self._predictions.get(name, 0.0) - self._spent.get(name, 0.0), 0.0)

    def _known(self) -> list[str]:
        """Stages of the current part that were entered."""
        return [name for name in self._predictions if name in self._spent]

    def _sums(self, names: list[str]) -> tuple[float, float]:
        """Measured and predicted time of stages."""
        predictions = self._predictions
        return sum(self._spent[name] for name in names), sum(predictions[name] for name in names)

    def _remaining(self) -> float:
        """Predicted time of what is to come, corrected [s]."""
        order = list(self._predictions)
        later = sum(self._predictions[name] for name in order[self._latest + 1 :])
        later += (self._schedule.n_parts - 1 - max(self._part, 0)) * sum(
            self._schedule.each.values()
        )
        return later * self._pace + max(-self._delay, 0.0)

    @property
    def _latest(self) -> int:
        """Place, in the order of the predictions, of the latest stage that was entered; -1: none."""
        order = list(self._predictions)
        entered = (*self._spent, self._stage)
        return max((order.index(name) for name in entered if name in order), default=-1)

    @property
    def _pace(self) -> float:
        """Measured time of the stages that are over, relative to the predicted one."""
        order = list(self._predictions)
        over = [n for n in self._known() if order.index(n) < self._latest or not self._stage]
        measured, predicted = self._sums(over)
        belief = _BELIEF * self._schedule.seconds + 1e-9
        pace = (self._measured + measured + belief) / (self._predicted + predicted + belief)
        return min(max(pace, _LEAST_FACTOR), _MOST_FACTOR)

    @property
    def _delay(self) -> float:
        """By how much the current stage exceeds its predicted time, negative: what is left of it [s]."""
        if self._stage not in self._predictions:
            return 0.0
        elapsed = self._clock() - self._stage_start
        return elapsed - self._pace * self._expected(self._stage)

    def _say(self, level: int, text: str, *values: object) -> None:
        self._last_line = self._clock()
        remaining = self._remaining()
        if self._delay <= _BRIEF:
            rest = f"about {duration(remaining)} of its reconstruction remain"
        elif remaining >= _BRIEF:  # of the stages to come: what is left of this one is not known
            rest = f"longer than predicted, more than {duration(remaining)} remain"
        else:
            rest = "longer than predicted"
        logger.log(level, f"{text}; {rest}", *values)


def watched(
    progress: Progress, show: Callable[[], None] | None = None
) -> AbstractContextManager[None]:
    """Let a thread remind of long stages inside the block, and call ``show`` twice a second."""

    def watch() -> None:
        progress.remind()
        if show is not None:
            show()

    return repeated(watch, _PERIOD, "progress")
