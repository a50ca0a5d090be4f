"""Data for the interactive fingerprint plot of the page."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from mri2qmap_bids.atomic import json_text
from mri2qmap_bids.recon.diagnostics.model import Fingerprints
from mri2qmap_bids.report.curves import phase_of
from mri2qmap_bids.report.mosaic import cropped, single_layout
from mri2qmap_bids.report.picture import image_markup
from mri2qmap_bids.report.run import Run
from mri2qmap_bids.report.scales import T1

_MOST_FRAMES = 240
_EDGE = 360  # pixels
_QUANTILES = (0.05, 0.2, 0.4, 0.6, 0.8, 0.95)


@dataclass(frozen=True)
class Probe:
    """A map in which voxels can be selected, and their fingerprints."""

    image: Markup
    """The T1 map of one plane."""
    data: Markup
    """JSON: positions, values and signals of voxels."""
    selection: tuple[int, ...]
    """Preselected voxels, from short T1 to long."""
    names: tuple[str, ...]
    """Their T1 and T2 as text."""


def probe_of(run: Run) -> Probe | None:
    """The probe of a run; None without diagnostics or tissue.

    Parameters
    ----------
    run
        Maps and diagnostics.
    """
    if run.diagnostics is None or not len(run.diagnostics.part.fingerprints.voxels):
        return None
    prints = run.diagnostics.part.fingerprints
    z = int(prints.voxels[0, 0])
    ((tile,),) = single_layout([(0, z)], run.mask.shape, run.affine)
    t1 = cropped(run.t1[z], run.mask, tile)
    colours = T1.colormap(T1.norm(np.ma.masked_invalid(1e3 * t1)), bytes=True)
    rows, columns = t1.shape[0] * tile.view.spacing[0], t1.shape[1] * tile.view.spacing[1]
    scale = _EDGE / max(rows, columns)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    image = Image.fromarray(colours).convert("RGB").resize(size, Image.Resampling.NEAREST)
    numbers = np.full(run.mask.shape[1:], -1.0)
    numbers[prints.voxels[:, 1], prints.voxels[:, 2]] = np.arange(len(prints.voxels))
    places = cropped(numbers + 1, run.mask, tile)
    indices, where = [], []
    for row, column in zip(*np.nonzero(np.nan_to_num(places) > 0), strict=True):
        indices.append(int(places[row, column]) - 1)
        where.append([(column + 0.5) / t1.shape[1], (row + 0.5) / t1.shape[0]])
    if not indices:
        return None
    order = np.argsort(prints.t1[indices])
    selection = [int(order[round(q * (len(order) - 1))]) for q in _QUANTILES]
    selection = list(dict.fromkeys(selection))
    return Probe(
        image=image_markup(image, f"T1 map, {tile.view.name} plane at {tile.label}"),
        data=Markup(json_text(_content(run, prints, indices, where))),
        selection=tuple(selection),
        names=tuple(
            f"T1 {1e3 * prints.t1[indices[i]]:.0f} ms, T2 {1e3 * prints.t2[indices[i]]:.0f} ms"
            for i in selection
        ),
    )


def originals(run: Run, probe: Probe) -> list[int]:
    """Indices of the preselected voxels among the diagnostics' fingerprints."""
    return [json.loads(str(probe.data))["id"][i] for i in probe.selection]


def _content(
    run: Run, prints: Fingerprints, indices: list[int], where: list[list[float]]
) -> dict[str, Any]:
    """Positions in the picture (0..1), values [ms], and subspace coefficients."""
    assert run.diagnostics is not None
    columns = run.diagnostics.basis
    step = max(1, -(-len(columns) // _MOST_FRAMES))
    data, model = prints.data[indices], prints.model[indices]
    complex_basis = np.iscomplexobj(columns)
    if not complex_basis:
        units = np.array([phase_of(row) for row in model])[:, None]
        data, model = data / units, model / units
    peak = np.abs(model @ columns.T).max(1, keepdims=True)
    data, model = (values / np.maximum(peak, 1e-30) for values in (data, model))
    content = {
        "id": indices,
        "step": step,
        "frames": len(columns),
        "at": np.round(where, 4).tolist(),
        "t1": np.round(1e3 * prints.t1[indices].astype(float)).astype(int).tolist(),
        "t2": np.round(1e3 * prints.t2[indices].astype(float)).astype(int).tolist(),
        "voxel": prints.voxels[indices][:, ::-1].tolist(),
        "basis": _rounded(columns[::step].real),
        "data": _rounded(data.real),
        "model": _rounded(model.real),
    }
    if complex_basis:
        content |= {
            "basisImag": _rounded(columns[::step].imag),
            "dataImag": _rounded(data.imag),
            "modelImag": _rounded(model.imag),
        }
    return content


def _rounded(values: NDArray[np.floating]) -> list[list[float]]:
    """Round to four digits of the largest value."""
    top = float(np.abs(values).max()) or 1.0
    digits = max(0, 4 - int(np.ceil(np.log10(top))))
    rounded: list[list[float]] = np.round(values.astype(np.float64), digits).tolist()
    return rounded
