"""Figures of a run: mosaics of its maps, and what its diagnostics show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.dataset.figures import figure_path
from mri2qmap_bids.dataset.outputs import further_maps
from mri2qmap_bids.recon.diagnostics.model import Diagnostics
from mri2qmap_bids.report import curves, kspace, scales
from mri2qmap_bids.report.mosaic import Layout, cropped, draw, layout_of, planes_of, single_layout
from mri2qmap_bids.report.overlay import checkerboard
from mri2qmap_bids.report.picture import Picture, drawn_picture, image_picture
from mri2qmap_bids.report.probe import Probe, originals
from mri2qmap_bids.report.run import Run
from mri2qmap_bids.report.scales import Scale


@dataclass(frozen=True)
class Comparison:
    """One plane of a map from the initial image and from the final image of a plug-and-play method."""

    name: str
    """T1 or T2, and the plane."""
    start: Picture
    """Map of the initial image."""
    end: Picture
    """The map that was written."""


def map_mosaics(run: Run, output_dir: Path) -> Iterable[tuple[str, Picture]]:
    """Mosaics of all maps with the same planes, each with the name of its map.

    Parameters
    ----------
    run
        The run.
    output_dir
        Root of the derivative dataset, where the figures are written.
    """
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
    paths = [figure_path(run.entities, suffix, ".png", desc) for _, suffix, desc, _, _ in images]
    _remove_others(paths, output_dir)
    for (name, _, _, volume, scale), path in zip(images, paths, strict=True):
        picture = draw(planes_of(volume, run.mask, layout), layout, scale)
        yield name, image_picture(picture, output_dir, path, f"{name} map: {scale.label}")


def _remove_others(mosaics: Sequence[Path], output_dir: Path) -> None:
    """Remove a run's mosaics of maps that it has no more."""
    folder = output_dir / mosaics[0].parent
    start = mosaics[0].name.partition("_desc-")[0]
    kept = {path.name for path in mosaics}
    for path in folder.glob(f"{start}_desc-mosaic*.png"):
        if path.name not in kept:
            path.unlink(missing_ok=True)


def comparisons_of(run: Run, output_dir: Path) -> Iterable[Comparison]:
    """T1 and T2 of the initial and of the final image, in the planes stored for the initial image.

    Parameters
    ----------
    run
        The run.
    output_dir
        Root of the derivative dataset, where the figures are written.
    """
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


def registration_check(run: Run, output_dir: Path) -> Picture | None:
    """Synthetic T1w image and the one that it was registered to, in the squares of a checkerboard.

    None: the run was not registered.

    Parameters
    ----------
    run
        The run.
    output_dir
        Root of the derivative dataset, where the figures are written.
    """
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


def diagnostic_pictures(
    run: Run, diagnostics: Diagnostics, probe: Probe | None, output_dir: Path
) -> dict[str, Picture]:
    """All figures made from the diagnostics, by name.

    Parameters
    ----------
    run
        The run.
    diagnostics
        Of the run.
    probe
        Voxels whose fingerprints are drawn; None: there are none.
    output_dir
        Root of the derivative dataset, where the figures are written.
    """
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
