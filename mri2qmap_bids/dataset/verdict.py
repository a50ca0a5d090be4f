"""The verdict of the traffic light on a run, as the sidecars of its maps hold it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mri2qmap_bids.dataset.map_sidecar import read_map_sidecar

Level = Literal["good", "look", "bad"]
LEVELS: tuple[Level, ...] = ("good", "look", "bad")
"""From the best to the worst."""
LEVEL_MEANINGS: Mapping[str, str] = {
    "good": "No rule found a fault; that does not guarantee correct maps",
    "look": "Inspect the maps before use",
    "bad": "Do not use the maps as they are",
}
LEVEL_KEY, REASONS_KEY = "QualityVerdict", "QualityReasons"
"""Keys of the sidecars of T1, T2 and M0 maps."""


@dataclass(frozen=True)
class Verdict:
    """The worst level of all rules, and what led to it."""

    level: Level
    reasons: tuple[str, ...] = ()
    """One sentence for each rule with the worst level; of a good run: none."""

    def __str__(self) -> str:
        """The verdict as one line.

        >>> str(Verdict("look", ("2 warnings (look from 1)",)))
        'LOOK: 2 warnings (look from 1)'
        """
        return ": ".join([self.level.upper(), *filter(None, ["; ".join(self.reasons)])])

    @property
    def metadata(self) -> dict[str, Any]:
        """Keys and values for a sidecar."""
        return {LEVEL_KEY: self.level, REASONS_KEY: list(self.reasons)}


def worst(levels: Sequence[Level | None]) -> Level:
    """The worst of several levels.

    >>> worst(["good", None, "look"])
    'look'
    """
    return max((level for level in levels if level), key=LEVELS.index, default="good")


def read_verdict(output_dir: Path, entities: Mapping[str, str]) -> Verdict | None:
    """The verdict in the sidecar of a run's T1 map; None if there is none.

    Parameters
    ----------
    output_dir
        Root of the derivative dataset.
    entities
        BIDS entities of the run.
    """
    return verdict_in(read_map_sidecar(output_dir, entities))


def verdict_in(sidecar: Mapping[str, Any]) -> Verdict | None:
    """The verdict in a sidecar; None if there is none.

    Parameters
    ----------
    sidecar
        Its keys and values.
    """
    level, reasons = sidecar.get(LEVEL_KEY), sidecar.get(REASONS_KEY)
    if level not in LEVELS or not isinstance(reasons, list):
        return None
    return Verdict(level, tuple(map(str, reasons)))
