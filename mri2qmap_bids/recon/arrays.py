"""The kinds of arrays in the reconstruction, with their axes.

Leading axes stack (coil, rank, frame, atom); trailing axes are space, ``z y x``
(``y x`` for a single slice). A *frame* is one time point of the fingerprint, a
*sample* one complex number read out of one frame. All quantities are SI:
seconds, radians, metres; k-space positions are in cycles per metre.
"""

from collections.abc import Callable
from typing import TypeAlias

from jaxtyping import Complex, Float, Int
from torch import Tensor

KSpace: TypeAlias = Complex[Tensor, "coil sample"]
VirtualKSpace: TypeAlias = Complex[Tensor, "virtual_coil sample"]
Trajectory: TypeAlias = Float[Tensor, "sample dim"]  # last axis x, y[, z], as in the file
FrameIndex: TypeAlias = Int[Tensor, " sample"]
SampleWeights: TypeAlias = Float[Tensor, " sample"]
CoilMaps: TypeAlias = Complex[Tensor, "coil *space"]
Basis: TypeAlias = Float[Tensor, "frame rank"] | Complex[Tensor, "frame rank"]
NoiseDeviation: TypeAlias = Float[Tensor, " rank"]  # of the real and of the imaginary part
SubspaceImage: TypeAlias = Complex[Tensor, "rank *space"]
Fingerprints: TypeAlias = Float[Tensor, "atom frame"] | Complex[Tensor, "atom frame"]
CompressedFingerprints: TypeAlias = Float[Tensor, "atom rank"] | Complex[Tensor, "atom rank"]
QuantityMap: TypeAlias = Float[Tensor, "*space"]
ComplexMap: TypeAlias = Complex[Tensor, "*space"]
SplitVariable: TypeAlias = Complex[Tensor, "part rank *space"]
Proximal: TypeAlias = Callable[[slice], SplitVariable]
"""Proximal map of a split variable: from a group of components to that part of the result."""
