"""Predicted time of the stages that a reconstruction goes through, as its record names them."""

from collections.abc import Mapping
from dataclasses import dataclass

from mri2qmap_bids.recon.planning.plan import Plan
from mri2qmap_bids.recon.planning.work import Work


@dataclass(frozen=True)
class Schedule:
    """Predicted times [s]; solvers stop early, so that most stages take less."""

    once: Mapping[str, float]
    """Of the stages before the first slice or volume, by name."""
    each: Mapping[str, float]
    """Of the stages of one slice or volume, by name, in the order in which they begin."""
    n_parts: int
    """Slices; 1 for a volume."""

    @property
    def seconds(self) -> float:
        """Of all."""
        return sum(self.once.values()) + self.n_parts * sum(self.each.values())


def schedule_of(plan: Plan, work: Work, n_parts: int) -> Schedule:
    """Distribute the predicted cost over the stages that a record names.

    The times of A^H A, denoising, matching and non-uniform transforms are divided by the number of their
    applications in each stage; what is set up once (Toeplitz kernels) is counted in the method's first stage.

    Parameters
    ----------
    plan
        With the cost of its parts.
    work
        Work of the method.
    n_parts
        Slices; 1 for a volume.
    """
    cost = {stage.name: stage.seconds / n_parts for stage in plan.stages}
    reading = n_parts * cost.pop("read and compress coils", 0.0)
    each = {"coil sensitivities": cost.pop("coil sensitivities", 0.0)}
    each |= {stage.name: 0.0 for stage in work.stages}
    each[work.stages[0].name] += cost.get("Toeplitz kernels", 0.0)
    per_transform = cost.get("adjoint of the data", 0.0) / work.n_transforms
    per_normal = cost.get("solve", 0.0) / max(work.n_normal, 1)
    per_denoise = cost.get("denoise", 0.0) / max(work.n_denoise, 1)
    per_match = cost.get("match", 0.0) / max(work.n_match, 1)
    for stage in work.stages:
        each[stage.name] += (
            stage.n_normal * per_normal
            + stage.n_denoise * per_denoise
            + stage.n_match * per_match
            + stage.n_transforms * per_transform
        )
    if "residual" in each:
        each["residual"] += cost.get("residual", 0.0)
    return Schedule({"reading": reading}, each, n_parts)
