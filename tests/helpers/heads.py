"""Synthetic T1w images of one digital head on several grids."""

from functools import cache

import numpy as np
from scipy.spatial.transform import Rotation

from mri2qmap_bids.dataset.registration import Volume
from mri2qmap_bids.recon.acquisition.geometry import affine
from mri2qmap_bids.recon.physics.contrasts import synthesise_all
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps
from mri2qmap_bids.simulate.anatomy import centre_and_extent, mni152
from mri2qmap_bids.simulate.grid import make_geometry
from mri2qmap_bids.simulate.phantom import from_anatomy


@cache
def head_on(matrix, voxel_size, oblique=(0.0, 0.0, 0.0)):
    """Maps and T1w image of the head, sampled on a grid of its own: nothing is interpolated."""
    anatomy = mni152()
    centre, _ = centre_and_extent(anatomy)
    geometry = make_geometry(matrix, voxel_size, centre, oblique)
    brain = from_anatomy(anatomy, geometry, 1)
    maps = QuantitativeMaps(brain.t1, brain.t2, brain.m0, brain.labels > 0, affine(geometry))
    image = np.where(maps.mask, synthesise_all(maps)["T1w"], 0).astype(np.float32)
    return maps, Volume(image, maps.affine)


def scan():
    """A coarse oblique scan of it."""
    return head_on((40, 48, 40), (4.5e-3, 4.5e-3, 4.5e-3), (10.0, -5.0, 20.0))


def t1w():
    """A finer image of it, on another grid, noisy and of another scale."""
    _, image = head_on((64, 76, 70), (3e-3, 2.5e-3, 2.5e-3), (0.0, 3.0, 0.0))
    noise = np.random.default_rng(0).normal(0, 0.02, image.values.shape)
    scaled = 700 * (image.values / image.values.max() + noise)
    return Volume(scaled.astype(np.float32), image.affine)


def motion(angles, shift, centre):
    """Turned by three angles [deg] about a centre, then shifted [m]: a matrix, RAS+ [m]."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    matrix[:3, 3] = np.array(shift) + centre - matrix[:3, :3] @ centre
    return matrix


def moved(volume, matrix):
    """The same image elsewhere."""
    return Volume(volume.values, matrix @ volume.affine)


def distances(mask, affine, first, second):
    """How far apart two motions put the voxels of a mask [m]."""
    points = np.argwhere(mask)[:, ::-1] @ affine[:3, :3].T + affine[:3, 3]
    difference = first - second
    return np.linalg.norm(points @ difference[:3, :3].T + difference[:3, 3], axis=1)
