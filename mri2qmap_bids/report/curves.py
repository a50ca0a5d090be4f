"""Line and bar plots: histograms, pulse sequence, convergence and residuals."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from mri2qmap_bids.recon.diagnostics.model import CoilNoise, Diagnostics, Fingerprints, Residual
from mri2qmap_bids.recon.methods.registry import method_named, method_names
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.report.literature import Literature
from mri2qmap_bids.report.picture import INK, SERIES

_TISSUE_COLOURS = {"white matter": SERIES[0], "grey matter": SERIES[1]}
# Margins, relative to the figure.
_PAIR = {"left": 0.07, "right": 0.985, "top": 0.97, "bottom": 0.2, "wspace": 0.2}
_SINGLE = {"left": 0.17, "right": 0.97, "top": 0.96, "bottom": 0.2}


def histograms(
    t1: NDArray[np.floating], t2: NDArray[np.floating], literature: Literature | None
) -> Figure:
    """Histograms of T1 and T2, with literature ranges of healthy tissue.

    Parameters
    ----------
    t1, t2
        Values inside the mask [s].
    literature
        Ranges to mark; None: no values at this field strength.
    """
    figure = Figure((8.4, 2.6))
    left, right = figure.subplots(1, 2, gridspec_kw=_PAIR)
    _histogram(left, 1e3 * t1, (150, 5000), "T1 [ms]", (200, 500, 1000, 2000, 4000))
    _histogram(right, 1e3 * t2, (15, 2200), "T2 [ms]", (20, 50, 100, 200, 500, 1000, 2000))
    for tissue in literature.ranges if literature else ():
        for axes, (low, high) in ((left, tissue.t1), (right, tissue.t2)):
            colour = _TISSUE_COLOURS[tissue.tissue]
            axes.axvspan(1e3 * low, 1e3 * high, color=colour, alpha=0.22, lw=0, label=tissue.tissue)
            for edge in (low, high):
                axes.axvline(1e3 * edge, color=colour, lw=0.9)
    if literature:
        right.legend(title=f"literature, {literature.field_strength:g} T", title_fontsize=8.5)
    return figure


def _histogram(
    axes: Axes,
    values: NDArray[np.floating],
    limits: tuple[float, float],
    label: str,
    ticks: Sequence[float],
) -> None:
    edges = np.geomspace(*limits, 91)
    counts, _ = np.histogram(np.clip(values, *limits), edges)
    share = 100 * counts / max(values.size, 1)
    axes.stairs(share, edges, fill=True, color=INK, alpha=0.35)
    axes.stairs(share, edges, color=INK, lw=0.8)
    axes.set_xscale("log")
    axes.set_xlim(*limits)
    axes.set_xticks(list(ticks), [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(label)
    axes.set_ylabel("voxels [%]")
    axes.yaxis.set_major_locator(MaxNLocator(4))


def train(sequence: PulseSequence) -> Figure:
    """Flip angles and repetition times over the frames."""
    figure = Figure((8.4, 2.4))
    left, right = figure.subplots(1, 2, gridspec_kw=_PAIR)
    left.plot(np.rad2deg(sequence.flip_angle), color=SERIES[0])
    left.set_ylabel("flip angle [°]")
    if (sequence.flip_angle >= 0).all():  # a train may alternate
        left.set_ylim(bottom=0)
    right.plot(1e3 * sequence.repetition_time, color=SERIES[0], label="repetition time")
    right.plot(1e3 * sequence.echo_time, color=SERIES[1], label="echo time")
    right.set_ylabel("[ms]")
    right.set_ylim(bottom=0, top=1.35 * 1e3 * float(sequence.repetition_time.max()))
    right.legend(ncols=2, loc="upper right")
    for axes in (left, right):
        axes.set_xlabel("frame")
        axes.set_xlim(0, sequence.n_frames - 1)
    return figure


def basis(columns: NDArray[np.floating] | NDArray[np.complexfloating]) -> Figure:
    """The first basis functions of the temporal subspace."""
    figure = Figure((4.2, 2.4))
    axes = figure.subplots(gridspec_kw=_SINGLE)
    for number, course in enumerate(columns.T[: len(SERIES)]):
        # The sign of a singular vector is arbitrary.
        real = course.real * (np.sign(course.real.sum()) or 1)
        axes.plot(real, color=SERIES[number], label=str(number + 1), lw=1.1)
    axes.set_xlabel("frame")
    axes.set_ylabel("real part" if np.iscomplexobj(columns) else "amplitude")
    axes.set_xlim(0, len(columns) - 1)
    axes.legend(ncols=4, loc="upper right", handlelength=1.2, columnspacing=0.9)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.2 * (high - low))
    return figure


def coil_noise(noise: CoilNoise) -> Figure:
    """Correlation between coils, and each coil's noise."""
    figure = Figure((4.2, 2.4))
    left, right = figure.subplots(
        1, 2, gridspec_kw={**_SINGLE, "left": 0.07, "top": 0.88, "wspace": 0.3}
    )
    image = left.imshow(noise.correlation.astype(float), vmin=0, vmax=1, cmap="viridis")
    left.spines[:].set_visible(False)
    left.set_title("correlation")
    left.set_xlabel("coil")
    figure.colorbar(image, ax=left, shrink=0.8, ticks=(0, 0.5, 1)).outline.set_visible(False)
    numbers = np.arange(len(noise.deviation))
    right.barh(numbers, noise.deviation, color=SERIES[0])
    right.axvline(1, color=INK, lw=0.8, ls=":")
    right.set_ylim(len(numbers) - 0.5, -0.5)
    right.set_title("deviation / median")
    for axis in (left.xaxis, left.yaxis, right.yaxis):
        axis.set_major_locator(MaxNLocator(6, integer=True))
    return figure


def convergence(steps: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure | None:
    """Convergence curve of each solver; None if none iterates."""
    curves = {name: method_named(name).curve for name in steps if name in method_names()}
    plotted = {name: curve for name, curve in curves.items() if curve and len(steps[name]) > 1}
    if not plotted:
        return None
    figure = Figure((4.2, 2.4))
    axes = figure.subplots(gridspec_kw=_SINGLE)
    for number, (solver, curve) in enumerate(plotted.items()):
        values = [100 * step[curve.figure] for step in steps[solver]]
        axes.plot(
            range(1, len(values) + 1),
            values,
            color=SERIES[number],
            marker="o",
            ms=2.5,
            label=curve.label,
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("step")
    axes.set_ylabel("relative [%]")
    axes.legend()
    return figure


def residuals(residual: Residual) -> Figure:
    """Residual of the samples over the frames and over k-space."""
    figure = Figure((8.4, 2.4))
    left, right = figure.subplots(1, 2, sharey=True, gridspec_kw=_PAIR)
    level = residual.noise or 1.0
    left.plot(residual.frames / level, color=SERIES[0], lw=0.9)
    left.set_xlabel("frame")
    left.set_xlim(0, max(len(residual.frames) - 1, 1))
    left.set_ylabel("residual / noise")
    edges = np.linspace(0, 100, len(residual.radii) + 1)
    right.stairs(residual.radii / level, edges, color=SERIES[0], lw=1.4, baseline=None)
    right.set_xlabel("distance from the centre of k-space [% of its extent]")
    for axes in (left, right):
        axes.axhline(1, color=INK, lw=0.8, ls=":")
    left.set_ylim(0, max(2.0, left.get_ylim()[1]))
    return figure


def fingerprints(diagnostics: Diagnostics, voxels: Sequence[int], names: Sequence[str]) -> Figure:
    """Fingerprints of some voxels, and those predicted from their maps."""
    prints = diagnostics.part.fingerprints
    n_columns = 3
    n_rows = -(-len(voxels) // n_columns)
    figure = Figure((8.4, 1.9 * n_rows))
    space = {
        **_PAIR,
        "left": 0.05,
        "top": 0.92,
        "bottom": 0.24 / n_rows,
        "hspace": 0.3,
        "wspace": 0.2,
    }
    axes_of = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, gridspec_kw=space).flat
    for axes in axes_of:
        axes.set_visible(False)
    for axes, index, name in zip(figure.axes, voxels, names, strict=False):
        axes.set_visible(True)
        data, model = time_courses(diagnostics.basis, prints, index)
        scale = np.abs(model).max() or 1.0
        axes.plot(data / scale, color=SERIES[0], lw=0.9, label="data")
        axes.plot(model / scale, color=SERIES[1], lw=1.1, ls="--", label="maps")
        axes.set_title(name, fontweight="normal")
        axes.yaxis.set_major_locator(MaxNLocator(3))
    for axes in figure.axes[-n_columns:]:
        axes.set_xlabel("frame")
    if voxels:
        figure.axes[0].legend(loc="best")
    return figure


def time_courses(
    columns: NDArray[np.floating] | NDArray[np.complexfloating], prints: Fingerprints, index: int
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Signals of a voxel over the frames: of the image, and predicted from its maps.

    With a real basis the phase of M0 is removed and the real part returned, so that an
    inversion is visible; with a complex basis the magnitude.
    """
    data, model = columns @ prints.data[index], columns @ prints.model[index]
    if np.iscomplexobj(columns):
        return np.abs(data), np.abs(model)
    unit = phase_of(prints.model[index])
    return (data / unit).real, (model / unit).real


def phase_of(model: NDArray[np.complexfloating]) -> complex:
    """exp(i phi) of a real fingerprint times exp(i phi), its largest component positive."""
    largest = model[np.argmax(np.abs(model))]
    length = abs(largest)
    return complex(largest / length) if length else 1.0 + 0j
