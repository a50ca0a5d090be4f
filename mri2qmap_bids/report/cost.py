"""Predicted and measured time of every stage of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mri2qmap_bids.errors import Mri2QmapError
from mri2qmap_bids.recon.methods.registry import method_named, method_names
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.planning.plan import Plan
from mri2qmap_bids.recon.planning.schedule import schedule_of
from mri2qmap_bids.report.run import Run


@dataclass(frozen=True)
class StageTime:
    """Time of one stage."""

    name: str
    """As the log has it."""
    predicted: float | None
    """By the plan [s]; None: the plan does not count this stage."""
    measured: float | None
    """[s]; None: the run did not come to it."""


def stage_times(run: Run) -> list[StageTime]:
    """Every stage of a run in its order, then the sum; empty without diagnostics.

    The sum of the predictions is that of the stages which have one.
    """
    if run.diagnostics is None:
        return []
    before: Mapping[str, float] = run.conditions.seconds if run.conditions else {}
    measured = {**before, **run.diagnostics.seconds}
    n_parts = 1 if run.is_3d else len(run.mask)
    options: Mapping[str, Any] = run.conditions.options if run.conditions else {}
    predicted = predicted_times(run.diagnostics.plan, options, n_parts)
    names = [*measured, *(name for name in predicted if name not in measured)]
    stages = [StageTime(name, predicted.get(name), measured.get(name)) for name in names]
    whole = sum(predicted.values()) if predicted else None
    return [*stages, StageTime("sum", whole, sum(measured.values()))]


def predicted_times(plan: Plan, options: Mapping[str, Any], n_parts: int) -> dict[str, float]:
    """Predicted time [s] of the stages as a record names them; empty if the method is not known.

    Parameters
    ----------
    plan
        With the cost of its parts.
    options
        Those of the reconstruction, by name.
    n_parts
        Slices; 1 for a volume.
    """
    if options.get("method") not in method_names():
        return {}
    try:
        work = method_named(options["method"]).work(ReconOptions(**options))
    except (TypeError, Mri2QmapError):  # options of another version
        return {}
    schedule = schedule_of(plan, work, n_parts)
    return {**schedule.once, **{name: n_parts * time for name, time in schedule.each.items()}}
