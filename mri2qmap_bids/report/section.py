"""Section of a report: everything that is shown of one run."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mri2qmap_bids.dataset.derivatives import relative_path
from mri2qmap_bids.dataset.figures import figure_path
from mri2qmap_bids.dataset.outputs import file_ends
from mri2qmap_bids.dataset.provenance import flair_caution
from mri2qmap_bids.dataset.transform import transform_path
from mri2qmap_bids.dataset.verdict import Level, worst
from mri2qmap_bids.report import curves
from mri2qmap_bids.report.cost import StageTime, stage_times
from mri2qmap_bids.report.facts import facts_of
from mri2qmap_bids.report.literature import Literature, literature_at
from mri2qmap_bids.report.picture import Picture, drawn_picture, style
from mri2qmap_bids.report.probe import Probe, probe_of
from mri2qmap_bids.report.rules import Check, check
from mri2qmap_bids.report.run import Run
from mri2qmap_bids.report.run_figures import (
    Comparison,
    comparisons_of,
    diagnostic_pictures,
    map_mosaics,
    registration_check,
)
from mri2qmap_bids.report.viewer import remove_viewer, write_viewer

_SEEN_AT_ONCE = {"T1": "T1 and T2", "T2": "T1 and T2", "± T1": "± T1 and T2", "± T2": "± T1 and T2"}


@dataclass(frozen=True)
class RunSection:
    """Content of the page for one run."""

    run: Run
    anchor: str
    """Identifier of its heading."""
    level: Level
    """The worst of its checks, and of the rating in its sidecar if the checks lack their diagnostics."""
    checks: tuple[Check, ...]
    facts: tuple[tuple[str, str], ...]
    """Parameters of the run, as text."""
    maps: tuple[tuple[str, Picture], ...]
    """Mosaics by name."""
    histogram: Picture
    literature: Literature | None
    comparisons: tuple[Comparison, ...] = ()
    probe: Probe | None = None
    pictures: dict[str, Picture] = field(default_factory=dict)
    """All other figures, by name."""
    registration: Picture | None = None
    """The run and the T1w image that it was registered to; None: it was not."""
    views: dict[str, str] = field(default_factory=dict)
    """Files with views of maps, by the map."""
    files: tuple[tuple[str, str], ...] = ()
    """Name and relative path of every map."""

    @property
    def panels(self) -> list[tuple[str, list[tuple[str, Picture]]]]:
        """The mosaics that are seen at once: T1 with T2, their errors, and each of the others."""
        panels: dict[str, list[tuple[str, Picture]]] = {}
        for name, picture in self.maps:
            title = _SEEN_AT_ONCE.get(name, name)
            panels.setdefault(title, []).append((name, picture))
        return list(panels.items())

    @property
    def coils_caption(self) -> str:
        """What was done to the coils before their sensitivities were estimated."""
        diagnostics = self.run.diagnostics
        if diagnostics is None or diagnostics.coil_noise is None:
            return "Magnitude. There is no noise scan, so the coils were not whitened."
        n_shown = len(diagnostics.part.planes[0].coils)
        n_coils = len(diagnostics.coil_noise.deviation)
        compressed = f" and compressed from {n_coils} to {n_shown}" if n_shown < n_coils else ""
        return f"Magnitude. The coils were whitened{compressed}."

    @property
    def medians(self) -> tuple[str, str]:
        """Medians of T1 and T2 in the mask [ms]."""
        if not self.run.mask.any():
            return "-", "-"
        t1, t2 = (1e3 * float(np.median(v[self.run.mask])) for v in (self.run.t1, self.run.t2))
        return f"{t1:.0f}", f"{t2:.0f}"

    @property
    def times(self) -> list[StageTime]:
        """Every stage with its predicted and its measured time."""
        return stage_times(self.run)

    @property
    def memory(self) -> tuple[float, float | None] | None:
        """Predicted and measured peak of the host's memory [GB]; None: nothing is known."""
        if self.run.diagnostics is None:
            return None
        plan = self.run.diagnostics.plan
        measured = self.run.conditions.peak_memory_gb if self.run.conditions else None
        # A plan for a CPU counts all memory as the device's.
        return (plan.host or plan.device) / 1e9, measured

    def caution(self, name: str) -> str | None:
        """What to know of a synthetic image before it is looked at; None: nothing."""
        return flair_caution(max(self.run.voxel_size)) if name == "FLAIR" else None


def section_of(run: Run, output_dir: Path, viewer: bool) -> RunSection:
    """Rate a run and draw its figures.

    Parameters
    ----------
    run
        The run.
    output_dir
        Root of the derivative dataset, where the figures are written.
    viewer
        Whether to write views of T1 and T2, too; those of an earlier call are removed otherwise.
    """
    checks = check(run)
    literature = literature_at(run.field_strength)
    remove_viewer(run, output_dir)
    views = write_viewer(run, output_dir) if viewer else {}
    probe = probe_of(run)
    with style():
        histogram = drawn_picture(
            curves.histograms(run.t1[run.mask], run.t2[run.mask], literature),
            output_dir,
            figure_path(run.entities, "MRF", ".svg", "histogram"),
            "Histograms of T1 and T2",
        )
        pictures = (
            diagnostic_pictures(run, run.diagnostics, probe, output_dir) if run.diagnostics else {}
        )
    return RunSection(
        run=run,
        anchor=run.name.replace("_", "-"),
        level=worst(
            [answer.level for answer in checks] + ([run.recorded.level] if run.recorded else [])
        ),
        checks=checks,
        facts=tuple(facts_of(run)),
        maps=tuple(map_mosaics(run, output_dir)),
        histogram=histogram,
        literature=literature,
        comparisons=tuple(comparisons_of(run, output_dir)),
        probe=probe,
        pictures=pictures,
        registration=registration_check(run, output_dir),
        views={name: path.as_posix() for name, path in views.items()},
        files=tuple(_files(run, output_dir)),
    )


def _files(run: Run, output_dir: Path) -> Iterable[tuple[str, str]]:
    """Links to the maps themselves."""
    for end in file_ends():
        path = relative_path(run.entities, end.suffix, **end.entities)
        if (output_dir / path).is_file():
            words = [f"{key}-{value}" for key, value in end.entities.items()]
            yield "_".join([*words, end.suffix]), path.as_posix()
    transform = transform_path(run.entities)
    if (output_dir / transform).is_file():
        yield "xfm", transform.as_posix()
