"""Record of a reconstruction: the time of each stage, and figures of each solver step."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch

Watch = Callable[[Mapping[str, float]], None]
"""Called with the figures of every solver step, by name."""


@runtime_checkable
class Listener(Protocol):
    """Receives the progress of a reconstruction: parts and stages as they begin and end."""

    def begin_part(self, index: int, n_parts: int) -> None:
        """A slice or volume begins, numbered from 0."""

    def begin_stage(self, name: str) -> None:
        """A stage begins."""

    def end_stage(self, name: str, seconds: float) -> None:
        """A stage ends, also by an error, after this time [s]."""


@dataclass(frozen=True)
class Record:
    """Record of one reconstruction, filled while it runs."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Time of each stage, all slices together [s]."""
    steps: dict[str, list[Mapping[str, float]]] = field(default_factory=dict)
    """Figures of every step, by solver."""
    listener: Listener | None = None
    """Receives the stages; None: nothing does."""

    def begin_part(self, index: int, n_parts: int) -> None:
        """Tell the listener that a slice or volume begins, numbered from 0."""
        if self.listener is not None:
            self.listener.begin_part(index, n_parts)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside the block to a stage."""
        start = time.perf_counter()
        if self.listener is not None:
            self.listener.begin_stage(name)
        try:
            yield
        finally:
            # Where nothing has run on a GPU, this would start CUDA there.
            if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
                torch.cuda.synchronize()
            passed = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + passed
            if self.listener is not None:
                self.listener.end_stage(name, passed)

    def watch(self, solver: str) -> Watch:
        """Callback to pass to a solver; its steps replace those of an earlier call."""
        steps: list[Mapping[str, float]] = []
        self.steps[solver] = steps
        return steps.append
