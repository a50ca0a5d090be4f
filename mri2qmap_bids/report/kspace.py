"""Figures of the k-space sampling."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mri2qmap_bids.recon.acquisition.readout_ends import readout_ends
from mri2qmap_bids.recon.diagnostics.model import Sampling
from mri2qmap_bids.report.picture import SERIES

_PLANES = (("kx", "ky"), ("kx", "kz"), ("ky", "kz"))
_SHOWN_READOUTS = 4


def sampling(samples: Sampling) -> Figure:
    """The first readouts, and the number of samples in each cell of k-space.

    Parameters
    ----------
    samples
        Density by projections along z, y and x, or of the one plane of a slice.
    """
    n_images = len(samples.density)
    width = 2.35 * (n_images + 1) + 0.7
    figure = Figure((width, 2.6))
    space = {
        "left": 0.5 / width,
        "right": 1 - 0.75 / width,
        "top": 0.9,
        "bottom": 0.17,
        "wspace": 0.3,
    }
    axes_of = np.atleast_1d(figure.subplots(1, n_images + 1, gridspec_kw=space))
    _readouts(axes_of[0], samples)
    top = max(2.0, *(float(image.max()) for image in samples.density))
    density = None
    for axes, image, (across, upward) in zip(axes_of[1:], samples.density, _PLANES, strict=False):
        masked = np.ma.masked_less_equal(image, 0)
        density = axes.imshow(
            masked, origin="lower", norm=LogNorm(0.1 if n_images > 1 else 1, top), cmap="viridis",
            extent=(-1, 1, -1, 1), interpolation="none",
        )  # fmt: skip
        axes.set_xlabel(across)
        axes.set_ylabel(upward, labelpad=0)
        axes.set_xticks((-1, 0, 1))
        axes.set_yticks((-1, 0, 1))
        axes.set_facecolor("#808080")
        axes.spines[:].set_visible(False)
    if density is not None:
        place = figure.add_axes((1 - 0.65 / width, 0.17, 0.1 / width, 0.73))
        bar = figure.colorbar(density, cax=place)
        bar.set_label("samples per cell")
        bar.outline.set_visible(False)
    return figure


def _readouts(axes: Axes, samples: Sampling) -> None:
    """The first few readouts, in different colours."""
    starts = _starts(samples)
    for number, start in enumerate(starts[:_SHOWN_READOUTS]):
        stop = starts[number + 1] if number + 1 < len(starts) else len(samples.readouts)
        part = samples.readouts[start:stop]
        axes.plot(part[:, 0], part[:, 1], lw=0.8, color=SERIES[number % len(SERIES)])
    axes.set_aspect("equal")
    axes.set_xlim(-1.05, 1.05)
    axes.set_ylim(-1.05, 1.05)
    axes.set_xticks((-1, 0, 1))
    axes.set_yticks((-1, 0, 1))
    axes.set_xlabel("kx")
    axes.set_ylabel("ky", labelpad=0)
    axes.set_title(f"first {min(len(starts), _SHOWN_READOUTS)} readouts")


def _starts(samples: Sampling) -> NDArray[np.intp]:
    """Index of the first sample of every readout."""
    positions, frames = map(torch.from_numpy, (samples.readouts, samples.readout_frames))
    return np.flatnonzero(np.append(True, readout_ends(positions, frames).numpy()))
