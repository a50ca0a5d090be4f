"""Interface of a reconstruction method: its inputs, its result and its description."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, TypeVar

import torch

from mri2qmap_bids.recon.arrays import NoiseDeviation, QuantityMap, SubspaceImage
from mri2qmap_bids.recon.denoisers.base import Denoiser
from mri2qmap_bids.recon.grid import centre
from mri2qmap_bids.recon.methods.least_squares import PenalisedImage
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, match
from mri2qmap_bids.recon.planning.work import Work
from mri2qmap_bids.recon.problem import InverseProblem
from mri2qmap_bids.recon.record import Record

Settings = TypeVar("Settings")


@dataclass(frozen=True, eq=False)
class Matcher:
    """Everything needed to match a subspace image."""

    dictionary: Dictionary
    """Fingerprints and subspace."""
    target: tuple[int, ...]
    """Number of central voxels of the encoded field of view to keep, along (z,) y, x."""
    b1: QuantityMap | None = None
    """Transmit field of these voxels, relative to nominal; None: nominal."""
    voxels_at_once: int = 4096
    """Voxels matched together."""


def matched(image: SubspaceImage, matcher: Matcher) -> TissueMaps:
    """Maps of the image's central voxels.

    Parameters
    ----------
    image
        On the encoded grid, shape (rank, *space).
    matcher
        Fingerprints and target grid.
    """
    return match(
        centre(image, matcher.target),
        matcher.dictionary,
        exhaustive=False,
        voxels_at_once=matcher.voxels_at_once,
        b1=matcher.b1,
    )


@dataclass(frozen=True, eq=False)
class Solution:
    """One slice or volume, solved and matched."""

    maps: TissueMaps
    """On the requested grid."""
    deviation: NoiseDeviation
    """Standard deviation of the error in the real and the imaginary part of every component of the
    least-squares image (gridding: of its noise), shape (rank,)."""
    image: SubspaceImage
    """Subspace image that the maps were computed from, on the encoded grid."""
    least_squares: PenalisedImage | None = None
    """The penalised least-squares image without a learned prior, and its problem; None for gridding."""
    start: SubspaceImage | None = None
    """Initial image of a plug-and-play iteration; None: the method has none."""
    correction: SubspaceImage | None = None
    """Estimated difference between ``image`` and the minimiser of the last linear problem, on the
    encoded grid; None for gridding."""
    converged: bool = True
    """Whether that problem's solver met its criterion."""
    prior_error: tuple[torch.Tensor, torch.Tensor] | None = None
    """Standard deviation of the prior's error in T1 and T2 [s]; None: no prior, or its error is not
    estimated."""
    blur_error: tuple[torch.Tensor, torch.Tensor] | None = None
    """Standard deviation of T1 and T2 by blur [s], which adds to that of noise and prior; None: not estimated."""


@dataclass(frozen=True)
class MethodText:
    """Description of a method for the methods section; ``[@key]`` cites :mod:`mri2qmap_bids.citation.references`."""

    image: str
    """How images were reconstructed: whole sentences."""
    error: str
    """How noise in the data was propagated to the maps: completes a sentence that ends in "from the
    noise measured in the data"."""


@dataclass(frozen=True)
class Curve:
    """Convergence curve of a method's solver in the report."""

    label: str
    """Text of the legend."""
    figure: str
    """Key of the recorded quantity to plot; a relative value."""


@dataclass(frozen=True)
class Method:
    """A reconstruction method, with everything the rest of the program needs."""

    name: str
    """As of ``ReconOptions.method``."""
    title: str
    """In sidecars, as ``ReconMethodName``."""
    solve: Callable[
        [InverseProblem, Matcher, Denoiser | None, ReconOptions, Record | None], Solution
    ]
    """Maps of one slice or volume."""
    work: Callable[[ReconOptions], Work]
    """Upper bound of the computational work, for the cost model."""
    text: Callable[[Mapping[str, Any]], MethodText]
    """Description for the methods section, from ``MRFReconstruction`` of a sidecar."""
    image: Callable[[InverseProblem, ReconOptions, Record | None], PenalisedImage] | None = None
    """Computes only the image, for methods that match a penalised least-squares image; None otherwise."""
    iterations: int | None = None
    """Default maximum number of iterations; None: it does not iterate."""
    regularisation: float | None = None
    """Default weight; None: the method has no weight."""
    weights: str | None = None
    """Name of the packaged weights that its denoiser uses by default; None: it has no denoiser."""
    curve: Curve | None = None
    """Convergence curve of its solver, recorded under the method's name; None: none."""
    explains_samples: bool = True
    """Whether A x is close to the samples y for its image x."""
    settings: Any = None
    """Further parameters, a frozen dataclass; written to sidecars."""

    def n_iterations(self, options: ReconOptions) -> int:
        """Maximum number of iterations with these options; 0 if it does not iterate."""
        return options.n_iterations or self.iterations or 0

    def weight(self, options: ReconOptions) -> float:
        """Weight with these options; 0 if the method has none."""
        default = self.regularisation or 0.0
        return default if options.regularisation is None else options.regularisation


def restored(default: Settings, values: Mapping[str, Any] | None) -> Settings:
    """Settings from a sidecar; values missing there are taken from ``default``."""
    changes: dict[str, Any] = {}
    for name, value in (values or {}).items():
        own = getattr(default, name, None)
        if is_dataclass(own):
            changes[name] = restored(own, value)
        elif own is not None:
            # JSON knows neither tuples nor, in other hands, 1.0 from 1.
            changes[name] = tuple(value) if isinstance(value, list) else type(own)(value)
    return replace(default, **changes)  # type: ignore[type-var]
