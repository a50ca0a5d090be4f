"""Display orientation of planes: the left of the patient is on the left, anterior or superior is up."""

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

_NORMALS = ("sagittal", "coronal", "axial")
_LETTERS = ("x", "y", "z")


@dataclass(frozen=True)
class View:
    """Display orientation of a plane normal to an array axis."""

    axis: int
    """Array axis (z, y, x) that it is normal to."""
    name: str
    """axial, coronal or sagittal, whichever is closest."""
    letter: str
    """World axis that it is closest to normal to."""
    transposed: bool
    """Whether rows and columns are swapped first."""
    up: bool
    """Whether rows are then reversed."""
    left: bool
    """Whether columns are then reversed."""
    spacing: tuple[float, float]
    """Distance of rows and of columns in display orientation [mm]."""

    def turned(self, plane: NDArray[np.floating]) -> NDArray[np.floating]:
        """A plane (row, column) of the array in display orientation."""
        image = plane.T if self.transposed else plane
        image = image[::-1] if self.up else image
        return image[:, ::-1] if self.left else image


def view_of(axis: int, affine: NDArray[np.float64]) -> View:
    """The view of planes normal to an array axis.

    Parameters
    ----------
    axis
        Of the array (z, y, x).
    affine
        Voxel indices (x, y, z) to world coordinates, RAS+ [mm].
    """
    orientation = nib.orientations.io_orientation(affine)  # by (x, y, z)
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    world = {2 - index: (int(row[0]), row[1] > 0) for index, row in enumerate(orientation)}
    rows, columns = (a for a in range(3) if a != axis)
    # The vertical axis is the higher world axis (z before y before x).
    transposed = world[rows][0] < world[columns][0]
    if transposed:
        rows, columns = columns, rows
    normal = world[axis][0]
    return View(
        axis=axis,
        name=_NORMALS[normal],
        letter=_LETTERS[normal],
        transposed=transposed,
        up=bool(world[rows][1]),
        left=not world[columns][1],
        spacing=(float(sizes[2 - rows]), float(sizes[2 - columns])),
    )


def position_of(
    axis: int, index: int, affine: NDArray[np.float64], shape: tuple[int, ...]
) -> float:
    """World coordinate of a plane's centre along the world axis that it is normal to [mm]."""
    centre = [(n - 1) / 2 for n in shape]
    centre[axis] = index
    world = affine @ [*centre[::-1], 1.0]
    return float(world[_LETTERS.index(view_of(axis, affine).letter)])
