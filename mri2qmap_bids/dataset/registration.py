"""Rigid registration of a scan to another image of the same head, by mutual information.

By SimpleITK, which is imported when it is needed: its import takes a quarter of a second.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, center_of_mass
from skimage.filters import threshold_otsu

from mri2qmap_bids.errors import RegistrationError

if TYPE_CHECKING:
    import SimpleITK as sitk

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""RAS, as NIfTI has it, to LPS, as ITK has it, and back."""
_BINS = 32
_SPACINGS = (8.0, 4.0, 2.0)  # of the samples, coarse to fine [mm]
METRIC = (
    f"Mattes mutual information, {_BINS} bins, all samples near the head, at "
    f"{', '.join(f'{spacing:g}' for spacing in _SPACINGS[:-1])} and {_SPACINGS[-1]:g} mm"
)
"""What :func:`register` maximises, in words."""
_MARGIN = 6.0  # around the mask, so that the edge of the head counts [mm]
_BRIGHT = 99.5  # percentile above which values count as this one: vessels, fat, a bright edge
_STEPS = 200  # most in each resolution
_LEAST_STEP = 1e-3  # at which the search ends [mm]
_LEAST_SHARED = 0.5  # of the mask inside the target, for a placement to be tried


@dataclass(frozen=True, eq=False)
class Volume:
    """An image and where it lies."""

    values: NDArray[np.float32]
    """Axes (z, y, x)."""
    affine: NDArray[np.float64]
    """Voxel indices (x, y, z) to world coordinates, RAS+ [m], shape (4, 4)."""


@dataclass(frozen=True, eq=False)
class Registration:
    """Where a scan lies in another image."""

    matrix: NDArray[np.float64]
    """World coordinates of the scan to those of the target, RAS+ [m], shape (4, 4)."""
    centre: NDArray[np.float64]
    """Centre of the scan's mask, world coordinates, RAS+ [m]."""
    mutual_information: float
    """Mattes mutual information at the finest resolution [nat]."""
    shared: float
    """Share of the scan's mask that lies inside the head of the target."""
    steps: tuple[int, ...]
    """Of the optimiser in each resolution."""

    @property
    def converged(self) -> bool:
        """Whether the search at the finest resolution ended by itself."""
        return self.steps[-1] < _STEPS

    @property
    def angle(self) -> float:
        """Of the rotation [rad]."""
        cosine = (np.trace(self.matrix[:3, :3]) - 1) / 2
        return float(np.arccos(np.clip(cosine, -1, 1)))

    @property
    def distance(self) -> float:
        """By which the centre of the scan's mask moves [m]."""
        moved = self.matrix[:3, :3] @ self.centre + self.matrix[:3, 3]
        return float(np.linalg.norm(moved - self.centre))


def register(scan: Volume, mask: NDArray[np.bool_], target: Volume) -> Registration:
    """The rigid motion that maximises the mutual information of two images.

    Mattes mutual information over all samples around the scan's mask is maximised by gradient steps of decreasing
    length, at samples of 8, 4 and 2 mm, images smoothed to half of that. The search begins at the scanner's
    coordinates and, if this is better at 8 mm, where the centres of both heads coincide. Nothing is random, and
    one thread sums up, so that the same images give the same numbers.

    Parameters
    ----------
    scan
        Image that is placed, with a contrast like the target's; at least 4 voxels along each axis.
    mask
        Where it shows the head, axes (z, y, x).
    target
        Image in which it is placed.

    Raises
    ------
    RegistrationError
        If an image is empty, or the heads share no space from any beginning.

    References
    ----------
    Mattes et al. (2003), doi:10.1109/TMI.2003.809072; Lowekamp et al. (2013), doi:10.3389/fninf.2013.00045.
    """
    if not mask.any() or not np.ptp(scan.values[mask]):
        raise RegistrationError(
            "the synthetic T1w image must show something, got one value or an empty mask"
        )
    head = target.values > threshold_otsu(target.values)
    if not head.any():
        raise RegistrationError("the target must show a head, got one value everywhere")
    centre = _world(scan.affine, center_of_mass(mask))
    offset = _world(target.affine, center_of_mass(head)) - centre
    levels = _levels(
        _image(scan, _BRIGHT, mask),
        _image(target, _BRIGHT, head),
        _image(Volume(_dilated(mask, scan.affine), scan.affine)),
    )
    starts = [
        _Placement(_euler(centre, shift), 0.0, ())
        for shift in (np.zeros(3), offset)
        if _share(scan, mask, target, None, _translation(shift)) >= _LEAST_SHARED
    ]
    tried = [_improved(levels[0], start) for start in starts]
    placed = [placement for placement in tried if placement is not None]
    if not placed:
        raise RegistrationError(
            "the heads must share space, in scanner coordinates or centred on one another, got none"
        )
    best = max(placed, key=lambda placement: placement.mutual_information)
    for level in levels[1:]:
        best = _improved(level, best) or best
    matrix = _matrix(best.transform)
    return Registration(
        matrix=matrix,
        centre=centre,
        mutual_information=best.mutual_information,
        shared=_share(scan, mask, target, head, matrix),
        steps=best.steps,
    )


@dataclass(frozen=True)
class _Placement:
    """A motion of the scan that was tried."""

    transform: "sitk.Euler3DTransform"
    """Points of the scan to those of the target, LPS [mm]."""
    mutual_information: float
    """[nat]"""
    steps: tuple[int, ...]
    """Of the optimiser so far, in each resolution."""


@dataclass(frozen=True)
class _Level:
    """Both images at one resolution."""

    spacing: float
    """Of the scan's samples, about [mm]."""
    scan: "sitk.Image"
    target: "sitk.Image"
    near: "sitk.Image"
    """Samples of the scan that count."""


def _levels(scan: "sitk.Image", target: "sitk.Image", near: "sitk.Image") -> list[_Level]:
    """The images at every resolution, coarse to fine; each is made of the next finer one."""
    levels = []
    for spacing in reversed(_SPACINGS):
        # The target is interpolated: its samples lie closer.
        scan, target = _sampled(scan, spacing, spacing), _sampled(target, spacing, spacing / 2)
        near = _shrunk(near, spacing)
        levels.append(_Level(spacing, scan, target, near))
    return levels[::-1]


def _sampled(image: "sitk.Image", spacing: float, apart: float) -> "sitk.Image":
    """An image smoothed to half a spacing, with samples about so far apart [mm]."""
    import SimpleITK as sitk

    return _shrunk(sitk.SmoothingRecursiveGaussian(image, spacing / 2), apart)


def _shrunk(image: "sitk.Image", apart: float) -> "sitk.Image":
    """An image with fewer samples, about so far apart [mm]."""
    import SimpleITK as sitk

    factors = [
        max(1, min(int(apart / size + 0.5), n // 4))
        for size, n in zip(image.GetSpacing(), image.GetSize(), strict=True)
    ]
    return sitk.Shrink(image, factors)


def _improved(level: _Level, start: _Placement) -> _Placement | None:
    """The best placement near a start; None: the samples lie outside the target."""
    import SimpleITK as sitk

    transform = sitk.Euler3DTransform(start.transform)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.NONE)  # every sample: nothing is drawn
    method.SetMetricFixedMask(level.near)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=level.spacing / 2,  # the first step [mm]
        minStep=_LEAST_STEP,
        numberOfIterations=_STEPS,
        relaxationFactor=0.5,
        gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    try:
        with _one_thread():
            method.Execute(level.scan, level.target)
    except RuntimeError:
        return None
    steps = (*start.steps, int(method.GetOptimizerIteration()))
    return _Placement(transform, -float(method.GetMetricValue()), steps)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for ITK inside the block: sums of several come in any order. The metric takes no number of its own."""
    import SimpleITK as sitk

    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def _image(
    volume: Volume, percentile: float = 100.0, inside: NDArray[np.bool_] | None = None
) -> "sitk.Image":
    """A volume as ITK has it, its brightest values cut off at a percentile of those inside a mask."""
    import SimpleITK as sitk

    values = np.asarray(volume.values, np.float32)
    if inside is not None:
        values = np.minimum(values, np.percentile(values[inside], percentile))
    image = sitk.GetImageFromArray(np.ascontiguousarray(values))
    placed = RAS_TO_LPS @ _in_mm(volume.affine)
    sizes = np.linalg.norm(placed[:3, :3], axis=0)
    image.SetSpacing(sizes.tolist())
    image.SetDirection((placed[:3, :3] / sizes).ravel().tolist())
    image.SetOrigin(placed[:3, 3].tolist())
    return image


def _euler(centre: NDArray[np.float64], shift: NDArray[np.float64]) -> "sitk.Euler3DTransform":
    """A shift [m] that turns about a centre [m], both RAS+."""
    import SimpleITK as sitk

    transform = sitk.Euler3DTransform()
    transform.SetCenter((1e3 * RAS_TO_LPS[:3, :3] @ centre).tolist())
    transform.SetTranslation((1e3 * RAS_TO_LPS[:3, :3] @ shift).tolist())
    return transform


def _matrix(transform: "sitk.Euler3DTransform") -> NDArray[np.float64]:
    """The same motion as a matrix, RAS+ [m]."""
    turn = np.array(transform.GetMatrix()).reshape(3, 3)
    centre = np.array(transform.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = (np.array(transform.GetTranslation()) + centre - turn @ centre) / 1e3
    return np.asarray(RAS_TO_LPS @ matrix @ RAS_TO_LPS)


def _share(
    scan: Volume,
    mask: NDArray[np.bool_],
    target: Volume,
    head: NDArray[np.bool_] | None,
    matrix: NDArray[np.float64],
) -> float:
    """Share of the mask that a motion brings into the target's field of view, or into its head."""
    index = np.argwhere(mask)[:, ::-1]
    step = max(1, len(index) // 100_000)
    there = np.linalg.inv(target.affine) @ matrix @ scan.affine
    places = np.rint(index[::step] @ there[:3, :3].T + there[:3, 3]).astype(int)[:, ::-1]
    inside = ((places >= 0) & (places < target.values.shape)).all(axis=1)
    if head is None:
        return float(inside.mean())
    return float(head[tuple(places[inside].T)].sum() / len(places))


def _dilated(mask: NDArray[np.bool_], affine: NDArray[np.float64]) -> NDArray[np.float32]:
    """A mask with a margin around it, along each axis of the grid."""
    wide = mask
    for axis, size in enumerate(np.linalg.norm(_in_mm(affine)[:3, :3], axis=0)[::-1]):
        shape = np.ones(3, int)
        shape[axis] = 3
        n = round(_MARGIN / size)
        wide = binary_dilation(wide, np.ones(shape, bool), iterations=n) if n else wide
    return wide.astype(np.float32)


def _world(affine: NDArray[np.float64], index: Sequence[float]) -> NDArray[np.float64]:
    """World coordinates of an index (z, y, x)."""
    return np.asarray(affine[:3, :3] @ np.array(index[::-1]) + affine[:3, 3])


def _in_mm(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.diag([1e3, 1e3, 1e3, 1.0]) @ affine)


def _translation(shift: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, 3] = shift
    return matrix
