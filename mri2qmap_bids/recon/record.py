"""Record of a reconstruction: the time of each stage, and figures of each solver step."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

Watch = Callable[[Mapping[str, float]], None]
"""Called with the figures of every solver step, by name."""


@dataclass(frozen=True)
class Record:
    """Record of one reconstruction, filled while it runs."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Time of each stage, all slices together [s]."""
    steps: dict[str, list[Mapping[str, float]]] = field(default_factory=dict)
    """Figures of every step, by solver."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside the block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            passed = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + passed

    def watch(self, solver: str) -> Watch:
        """Callback to pass to a solver; its steps replace those of an earlier call."""
        steps: list[Mapping[str, float]] = []
        self.steps[solver] = steps
        return steps.append
