"""Participant report: all runs on one self-contained page."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from mri2qmap_bids import __version__
from mri2qmap_bids.atomic import write_text
from mri2qmap_bids.citation.methods import methods_text
from mri2qmap_bids.dataset.boilerplate import work_of
from mri2qmap_bids.dataset.derivatives import relative_path
from mri2qmap_bids.dataset.failures import RunFailure, read_failures
from mri2qmap_bids.dataset.figures import figure_path
from mri2qmap_bids.dataset.outputs import file_ends, further_maps
from mri2qmap_bids.dataset.provenance import flair_caution
from mri2qmap_bids.dataset.transform import REGISTRATION, transform_path
from mri2qmap_bids.dataset.verdict import Level, worst
from mri2qmap_bids.recon.diagnostics.model import Diagnostics
from mri2qmap_bids.report import curves, kspace, scales
from mri2qmap_bids.report.contents import Page, runs_of
from mri2qmap_bids.report.cost import StageTime, stage_times
from mri2qmap_bids.report.literature import Literature, literature_at
from mri2qmap_bids.report.mosaic import Layout, cropped, draw, layout_of, planes_of, single_layout
from mri2qmap_bids.report.overlay import checkerboard
from mri2qmap_bids.report.picture import Picture, drawn_picture, image_picture, style
from mri2qmap_bids.report.probe import Probe, originals, probe_of
from mri2qmap_bids.report.rules import RULES, Check, check
from mri2qmap_bids.report.run import Run, load_run
from mri2qmap_bids.report.scales import Scale
from mri2qmap_bids.report.viewer import remove_viewer, write_viewer

_SEEN_AT_ONCE = {"T1": "T1 and T2", "T2": "T1 and T2", "± T1": "± T1 and T2", "± T2": "± T1 and T2"}


@dataclass(frozen=True)
class Comparison:
    """One plane of a map from the initial image and from the final image of a plug-and-play method."""

    name: str
    """T1 or T2, and the plane."""
    start: Picture
    """Map of the initial image."""
    end: Picture
    """The map that was written."""


@dataclass(frozen=True)
class RunSection:
    """Content of the page for one run."""

    run: Run
    anchor: str
    """Identifier of its heading."""
    level: Level
    """The worst of its checks."""
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


def write_report(output_dir: Path, page: Page, viewer: bool = False) -> Path:
    """Write the page of a participant, or of one session, and its figures.

    Parameters
    ----------
    output_dir
        Root of the derivative dataset.
    page
        The page to write.
    viewer
        Whether to write views of T1 and T2 beside it; those of an earlier call are removed otherwise.

    Raises
    ------
    DatasetError
        If maps are unreadable.
    OutputError
        If a file cannot be written.
    """
    sections = [
        _section(load_run(output_dir, entities), output_dir, viewer)
        for entities in runs_of(output_dir, page.participant, page.session)
    ]
    failures = [
        failure
        for failure in read_failures(output_dir, page.participant)
        if page.session is None or f"_ses-{page.session}_" in failure.run + "_"
    ]
    text = (
        environment()
        .get_template("participant.html.jinja")
        .render(
            title=page.name.replace("_", ", "),
            sections=sections,
            failures=failures,
            level=_overall(sections, failures),
            rules=RULES,
            version=__version__,
            written=time.strftime("%Y-%m-%d %H:%M"),
            group="group.html" if (output_dir / "group.html").is_file() else None,
            methods=_methods(sections, output_dir),
            references=_references(sections),
            stylesheet=page_part("style.css"),
            script=page_part("script.js"),
        )
    )
    path = output_dir / page.file
    write_text(path, text)
    if page.session is not None:
        # Remove an earlier page of all sessions.
        (output_dir / Page(page.participant).file).unlink(missing_ok=True)
    return path


def environment() -> jinja2.Environment:
    """Templates with autoescape and strict undefined variables."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("mri2qmap_bids.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page_part(name: str) -> Markup:
    """A part of the page that is inserted unchanged."""
    folder = files("mri2qmap_bids.report") / "templates"
    return Markup((folder / name).read_text(encoding="utf-8"))


def _methods(sections: Sequence[RunSection], output_dir: Path) -> Markup:
    """The methods section."""
    works = [work_of(section.run.entities, output_dir) for section in sections]
    documented = [work for work in works if work is not None]
    return Markup(methods_text(documented).html) if documented else Markup("")


def _overall(sections: Sequence[RunSection], failures: Sequence[RunFailure]) -> Level:
    if failures or not sections:
        return "bad"
    return worst([section.level for section in sections])


def _section(run: Run, output_dir: Path, viewer: bool) -> RunSection:
    """Draw everything of one run."""
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
        pictures = _pictures(run, run.diagnostics, probe, output_dir) if run.diagnostics else {}
    return RunSection(
        run=run,
        anchor=run.name.replace("_", "-"),
        level=worst([answer.level for answer in checks]),
        checks=checks,
        facts=tuple(_facts(run)),
        maps=tuple(_maps(run, output_dir)),
        histogram=histogram,
        literature=literature,
        comparisons=tuple(_comparisons(run, output_dir)),
        probe=probe,
        pictures=pictures,
        registration=_registration(run, output_dir),
        views={name: path.as_posix() for name, path in views.items()},
        files=tuple(_files(run, output_dir)),
    )


def _registration(run: Run, output_dir: Path) -> Picture | None:
    """The synthetic T1w image and the one that it was registered to, in the squares of a checkerboard."""
    image = run.synthetic.get("T1w")
    if run.t1w is None or image is None or run.t1w.shape != run.mask.shape:
        return None
    layout = layout_of(run.mask, run.affine, run.is_3d)
    board = checkerboard(image, run.t1w, run.mask, run.voxel_size)
    everywhere = np.ones_like(run.mask)
    rows = [
        [
            cropped(np.take(board, tile.index, tile.view.axis), run.mask, tile, everywhere)
            for tile in tiles
        ]
        for tiles in layout
    ]
    alt = "Checkerboard of the synthetic T1w image and the T1w image that it was registered to"
    scale = scales.own_scale("T1w", board[run.mask])
    path = figure_path(run.entities, "T1w", ".png", "registration")
    return image_picture(draw(rows, layout, scale, bar=False), output_dir, path, alt)


def _maps(run: Run, output_dir: Path) -> Iterable[tuple[str, Picture]]:
    """The mosaics, all with the same planes."""
    layout = layout_of(run.mask, run.affine, run.is_3d)
    images: list[tuple[str, str, str, NDArray[Any], Scale]] = [
        ("T1", "T1map", "mosaic", run.t1, scales.T1),
        ("T2", "T2map", "mosaic", run.t2, scales.T2),
    ]
    images += [("M0", "M0map", "mosaic", run.m0, scales.own_scale("M0", run.m0[run.mask]))]
    for name, values, deviation, scale in (
        ("T1", run.t1, run.t1_std, scales.RELATIVE_T1),
        ("T2", run.t2, run.t2_std, scales.RELATIVE_T2),
    ):
        if deviation is not None:
            relative = deviation / np.maximum(values, 1e-6)
            images.append((f"± {name}", f"{name}map", "mosaicstd", relative, scale))
    for output in further_maps():
        volume = run.further.get((output.suffix, output.desc))
        if volume is not None:
            name = " ".join([output.suffix.removesuffix("map"), *filter(None, [output.desc])])
            scale = scales.own_scale(name, volume[run.mask], output.unit)
            images.append((name, output.suffix, f"mosaic{output.desc or ''}", volume, scale))
    for suffix, image in run.synthetic.items():
        images.append(
            (suffix, suffix, "mosaicsynthetic", image, scales.own_scale(suffix, image[run.mask]))
        )
    for name, suffix, desc, volume, scale in images:
        picture = draw(planes_of(volume, run.mask, layout), layout, scale)
        path = figure_path(run.entities, suffix, ".png", desc)
        yield name, image_picture(picture, output_dir, path, f"{name} map: {scale.label}")


def _comparisons(run: Run, output_dir: Path) -> Iterable[Comparison]:
    """Maps of the initial and the final image, in the planes stored for the initial image."""
    planes = run.diagnostics.part.planes if run.diagnostics else ()
    if not planes or planes[0].start_t1 is None:
        return
    layout = single_layout([(p.axis, p.index) for p in planes], run.mask.shape, run.affine)
    for name, volume, scale in (("T1", run.t1, scales.T1), ("T2", run.t2, scales.T2)):
        for plane, tile in zip(planes, layout[0], strict=True):
            start = getattr(plane, f"start_{name.lower()}")
            end = np.asarray(volume.take(plane.index, plane.axis))
            pictures = []
            both = (("start", start), ("end", end))
            for desc, values in both:
                image = draw([[cropped(values, run.mask, tile)]], ((tile,),), scale, bar=False)
                path = figure_path(run.entities, f"{name}map", ".png", desc + tile.view.name)
                alt = (
                    f"{name} of the {'initial' if desc == 'start' else 'final'} image, {tile.label}"
                )
                pictures.append(image_picture(image, output_dir, path, alt))
            yield Comparison(f"{name}, {tile.view.name}", *pictures)


def _pictures(
    run: Run, diagnostics: Diagnostics, probe: Probe | None, output_dir: Path
) -> dict[str, Picture]:
    """All figures from the diagnostics."""
    part = diagnostics.part
    drawings = {
        "train": (
            curves.train(diagnostics.sequence),
            "Flip angles and times of the pulse sequence",
        ),
        "basis": (curves.basis(diagnostics.basis), "Basis functions of the temporal subspace"),
        "sampling": (kspace.sampling(part.sampling), "Readouts and sampling density"),
        "residual": (curves.residuals(part.residual), "Residual over frames and over k-space"),
    }
    if diagnostics.coil_noise is not None:
        drawings["noise"] = (curves.coil_noise(diagnostics.coil_noise), "Noise of the coils")
    steps = curves.convergence(diagnostics.steps)
    if steps is not None:
        drawings["convergence"] = (steps, "Relative change from step to step")
    if probe is not None:
        drawings["fingerprints"] = (
            curves.fingerprints(diagnostics, originals(run, probe), probe.names),
            "Fingerprints of some voxels, and those predicted from their maps",
        )
    pictures = {
        name: drawn_picture(figure, output_dir, figure_path(run.entities, "MRF", ".svg", name), alt)
        for name, (figure, alt) in drawings.items()
    }
    layout = single_layout([(p.axis, p.index) for p in part.planes], run.mask.shape, run.affine)
    for name, scale in (("residualmap", scales.RESIDUAL), ("misfit", scales.MISFIT)):
        planes = [getattr(plane, name.removesuffix("map")) for plane in part.planes]
        row = [cropped(v, run.mask, tile) for v, tile in zip(planes, layout[0], strict=True)]
        path = figure_path(run.entities, "MRF", ".png", name)
        pictures[name] = image_picture(draw([row], layout, scale), output_dir, path, scale.label)
    pictures["coils"] = _coils(run, diagnostics, output_dir)
    return pictures


def _coils(run: Run, diagnostics: Diagnostics, output_dir: Path) -> Picture:
    """Sensitivities of the virtual coils in the first plane."""
    plane = diagnostics.part.planes[0]
    n_coils = len(plane.coils)
    places = [(plane.axis, plane.index)] * n_coils
    (tiles,) = single_layout(places, run.mask.shape, run.affine)
    whole = np.ones_like(run.mask)
    rows = [cropped(coil, whole, tile) for coil, tile in zip(plane.coils, tiles, strict=True)]
    labelled = tuple(
        type(tile)(tile.view, tile.index, f"{number + 1}") for number, tile in enumerate(tiles)
    )
    scale = Scale("sensitivity", "viridis", 0, 1)
    layout: Layout = (labelled,)
    return image_picture(
        draw([rows], layout, scale),
        output_dir,
        figure_path(run.entities, "MRF", ".png", "coils"),
        "Sensitivities of the virtual coils",
    )


def _facts(run: Run) -> Iterable[tuple[str, str]]:
    """Parameters of the run, as text."""
    sidecar = run.sidecar
    yield "Method", str(sidecar.get("ReconMethodName", "not known"))
    z, y, x = run.mask.shape
    sizes = " x ".join(f"{size:.2g}" for size in run.voxel_size[::-1])
    kind = "volume" if run.is_3d else "slices"
    yield "Voxels", f"{x} x {y} x {z} ({kind}), {sizes} mm"
    volume = float(np.prod(run.voxel_size)) * int(run.mask.sum()) / 1e3
    yield "Mask", f"{int(run.mask.sum())} voxels, {volume:.0f} ml"
    if run.field_strength:
        yield "Field strength", f"{run.field_strength:g} T"
    diagnostics = run.diagnostics
    if diagnostics is not None:
        train = diagnostics.sequence
        inversion = (
            f", inversion {1e3 * train.inversion_time:.0f} ms" if train.inversion_time else ""
        )
        yield (
            "Sequence",
            f"{train.kind}, {train.n_frames} frames, {train.duration:.1f} s{inversion}",
        )
        if "MRFInversionEfficiency" in sidecar:
            yield "Inversion efficiency", f"{sidecar['MRFInversionEfficiency']:.3f}, estimated"
        for note in run.notes:
            yield "Slice profile", note
        yield (
            "Dictionary",
            f"{diagnostics.n_atoms} tissues, T1 {diagnostics.t1_range[0]:g}-{diagnostics.t1_range[1]:g} s, "
            f"T2 {diagnostics.t2_range[0]:g}-{diagnostics.t2_range[1]:g} s; rank {diagnostics.basis.shape[1]} "
            f"({100 * diagnostics.energy:.3f} % of the energy)",
        )
        yield "Computed on", diagnostics.device
    if run.conditions is not None:
        spent = sum(run.conditions.seconds.values()) + sum(
            diagnostics.seconds.values() if diagnostics else ()
        )
        yield "Time", f"{spent:.1f} s"
        yield "Peak memory", f"{run.conditions.peak_memory_gb:.2f} GB"
    if run.t1w is not None and isinstance(sidecar.get(REGISTRATION), dict):
        yield "Registered to", str(sidecar[REGISTRATION].get("Target", "not known"))
    sources = sidecar.get("Sources")
    if sources:
        yield "Sources", ", ".join(map(str, sources))


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


def _references(sections: Sequence[RunSection]) -> list[tuple[str, str]]:
    """Text and address of the references of the page itself."""
    references = [
        (
            "Fuderer et al., Color-map recommendation for MR relaxometry maps (2024)",
            "https://doi.org/10.1002/mrm.30290",
        ),
        (
            "Bojorquez et al., What are normal relaxation times of tissues at 3 T? (2017)",
            "https://doi.org/10.1016/j.mri.2016.08.021",
        ),
    ]
    if any(section.literature for section in sections):
        references.append(
            (
                "Stanisz et al., T1, T2 relaxation and magnetization transfer in tissue at 3T (2005)",
                "https://doi.org/10.1002/mrm.20605",
            )
        )
        references.append(
            (
                "Wansapura et al., NMR relaxation times in the human brain at 3.0 tesla (1999)",
                "https://doi.org/10.1002/(SICI)1522-2586(199904)9:4%3C531::AID-JMRI4%3E3.0.CO;2-L",
            )
        )
    return references
