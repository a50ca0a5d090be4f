"""What a reconstruction notes on its way: how long each stage took, and each step of a solver."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

Watch = Callable[[Mapping[str, float]], None]
"""Told the figures of every step that a solver takes, by name."""


@dataclass(frozen=True)
class Record:
    """Notes of one reconstruction, grown while it runs."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Time of each stage, all slices together [s]."""
    steps: dict[str, list[Mapping[str, float]]] = field(default_factory=dict)
    """Figures of every step, by solver."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of what is done inside to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            passed = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + passed

    def watch(self, solver: str) -> Watch:
        """What to hand to a solver; its steps replace those of an earlier call."""
        steps: list[Mapping[str, float]] = []
        self.steps[solver] = steps
        return steps.append
