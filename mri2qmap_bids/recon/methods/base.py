"""What a reconstruction method is, what it is given, and what it gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, TypeVar

from mri2qmap_bids.recon.arrays import NoiseDeviation, QuantityMap, SubspaceImage
from mri2qmap_bids.recon.denoisers.base import Denoiser
from mri2qmap_bids.recon.grid import centre
from mri2qmap_bids.recon.methods.least_squares import PenalisedImage
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, match
from mri2qmap_bids.recon.planning.cost import Work
from mri2qmap_bids.recon.problem import InverseProblem
from mri2qmap_bids.recon.record import Record

Settings = TypeVar("Settings")


@dataclass(frozen=True, eq=False)
class Matcher:
    """All that turns a subspace image into maps."""

    dictionary: Dictionary
    """Fingerprints and subspace."""
    target: tuple[int, ...]
    """Voxels to keep of the encoded field of view, along (z,) y, x."""
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
        Fingerprints, and where to match.
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
    """On the grid that was asked for."""
    deviation: NoiseDeviation
    """Of the noise in the real and the imaginary part of every component of the image before any
    regularisation, shape (rank,)."""
    image: SubspaceImage
    """What the maps were made of, on the encoded grid."""
    least_squares: PenalisedImage | None = None
    """The image without a learned prior, and how it came about; None for gridding."""
    start: SubspaceImage | None = None
    """Where a plug-and-play iteration started from; None: there was none."""
    correction: SubspaceImage | None = None
    """About what is missing from ``image`` to the minimiser of the last linear problem, on the
    encoded grid; None for gridding."""
    converged: bool = True
    """Whether that problem's solver met its criterion."""
    prior_error: tuple[QuantityMap, QuantityMap] | None = None
    """Standard deviation of the prior's own error in T1 and T2 [s]; None: there was no prior whose
    error is known."""


@dataclass(frozen=True)
class MethodText:
    """A method in the words of a paper; ``[@key]`` cites :mod:`mri2qmap_bids.citation.references`."""

    image: str
    """How images were reconstructed: whole sentences."""
    error: str
    """How noise in the data became an error of the maps: the end of a sentence on "the noise measured
    in the data"."""


@dataclass(frozen=True)
class Curve:
    """What to draw of every step of a method's solver."""

    label: str
    """In the legend."""
    figure: str
    """Which of the step's figures, relative."""


@dataclass(frozen=True)
class Method:
    """One way from samples to maps, with all that the rest of the program asks of it."""

    name: str
    """As of ``ReconOptions.method``."""
    title: str
    """In sidecars, as ``ReconMethodName``."""
    solve: Callable[
        [InverseProblem, Matcher, Denoiser | None, ReconOptions, Record | None], Solution
    ]
    """Maps of one slice or volume."""
    work: Callable[[ReconOptions], Work]
    """What that takes, at most."""
    text: Callable[[Mapping[str, Any]], MethodText]
    """What was done, from ``MRFReconstruction`` of a sidecar."""
    image: Callable[[InverseProblem, ReconOptions, Record | None], PenalisedImage] | None = None
    """The image alone, of methods that match a penalised least-squares image; None: of others."""
    iterations: int | None = None
    """Most steps by default; None: it does not iterate."""
    regularisation: float | None = None
    """Weight by default; None: there is nothing to weigh."""
    weighs: str = ""
    """What the weight is of."""
    weights: str | None = None
    """Weights of the package that its denoiser takes by default; None: it has no denoiser."""
    curve: Curve | None = None
    """Of its solver, recorded under the method's name; None: none."""
    explains_samples: bool = True
    """Whether its image, seen by the scan, comes close to the samples."""
    settings: Any = None
    """What else it depends on, a frozen dataclass; written to sidecars."""

    def n_iterations(self, options: ReconOptions) -> int:
        """Most steps with these options; 0 if it does not iterate."""
        return options.n_iterations or self.iterations or 0

    def weight(self, options: ReconOptions) -> float:
        """Weight with these options; 0 if there is nothing to weigh."""
        default = self.regularisation or 0.0
        return default if options.regularisation is None else options.regularisation


def restored(default: Settings, values: Mapping[str, Any] | None) -> Settings:
    """Settings as a sidecar holds them; what it does not hold is as in ``default``."""
    changes: dict[str, Any] = {}
    for name, value in (values or {}).items():
        own = getattr(default, name, None)
        if is_dataclass(own):
            changes[name] = restored(own, value)
        elif own is not None:
            changes[name] = tuple(value) if isinstance(value, list) else value
    return replace(default, **changes)  # type: ignore[type-var]
