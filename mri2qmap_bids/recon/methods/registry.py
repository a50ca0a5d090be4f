"""Reconstruction methods by name, including those of other packages."""

from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.options import ReconOptions

if TYPE_CHECKING:
    from mri2qmap_bids.recon.methods.base import Method

ENTRY_POINTS = "mri2qmap_bids.methods"
"""Group of entry points by which other packages add methods: the name, and a :class:`Method`."""
SUMMARIES = {
    "mri2qmap": "plug-and-play with a denoiser of synthetic weighted images",
    "subspace": "least squares with a smoothness term",
    "gridding": "the density-compensated adjoint",
    "lrtv": "total variation",
    "llr": "locally low-rank penalty",
    "pnp": "plug-and-play with a denoiser of the subspace image",
}
"""The methods of this package, each in a file of that name, with a short description."""

OWN_OPTIONS = {
    "n_iterations": "iterations",
    "regularisation": "regularisation",
    "denoiser": "weights",
}
"""Options that not every method has, and the field of :class:`Method` that is None where it does not."""


@cache
def method_names() -> tuple[str, ...]:
    """Names of this package's methods, then of those of other packages; imports none of them."""
    others = {entry.name for entry in entry_points(group=ENTRY_POINTS)} - set(SUMMARIES)
    return (*SUMMARIES, *sorted(others))


@cache
def method_named(name: str) -> "Method":
    """The method of this name.

    Raises
    ------
    ArgumentError
        If there is none.
    ValueError
        If an entry point is not a :class:`Method`.
    """
    from mri2qmap_bids.recon.methods.base import Method

    if name in SUMMARIES:
        home = import_module(f"mri2qmap_bids.recon.methods.{name}")
        method = getattr(home, name.upper())
    elif name in method_names():
        (entry,) = entry_points(group=ENTRY_POINTS, name=name)
        method = entry.load()
    else:
        raise ArgumentError(f"method must be one of {', '.join(method_names())}, got {name!r}")
    if not isinstance(method, Method) or method.name != name:
        value = f"one named {method.name}" if isinstance(method, Method) else repr(method)
        raise ArgumentError(
            f"entry point {name} of {ENTRY_POINTS} must be a Method of this name, got {value}"
        )
    return method


def has_option(method: str, option: str) -> bool:
    """Whether the method of this name has one of ``OWN_OPTIONS``."""
    return getattr(method_named(method), OWN_OPTIONS[option]) is not None


def resolved(options: ReconOptions) -> ReconOptions:
    """The same options with the method's defaults filled in; None for options it does not have."""
    method = method_named(options.method)
    return replace(
        options,
        n_iterations=None if method.iterations is None else method.n_iterations(options),
        regularisation=None if method.regularisation is None else method.weight(options),
    )


def weights_file(options: ReconOptions) -> Path | None:
    """Weights of the method's denoiser; None if it has no denoiser."""
    from mri2qmap_bids.recon.denoisers.registry import packaged_weights

    method = method_named(options.method)
    if method.weights is None:
        return None
    return Path(options.denoiser) if options.denoiser else packaged_weights(method.weights)


def sloppy(options: ReconOptions) -> ReconOptions:
    """The same method, fast and at low quality: a coarse dictionary, few coils, components and steps.

    A number of steps given by the user is kept.

    Parameters
    ----------
    options
        The original options.
    """
    steps = method_named(options.method).iterations
    return replace(
        options,
        grid_step=4 * options.grid_step,
        energy=0.999,
        n_virtual_coils=4,
        n_iterations=options.n_iterations or (max(1, steps // 4) if steps else None),
    )
