import numpy as np
from scipy.spatial.transform import Rotation

from mri2qmap_bids.recon.acquisition.geometry import Geometry, affine


def oblique():
    axes = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()
    return Geometry(
        matrix=(7, 10, 12),
        voxel_size=(0.004, 0.003, 0.002),
        position=np.array([0.01, -0.02, 0.03]),
        read_dir=axes[:, 0],
        phase_dir=axes[:, 1],
        slice_dir=axes[:, 2],
    )


def test_origin_voxel_lies_at_the_position_in_ras():
    x, y, z = 12 // 2, 10 // 2, 7 // 2
    world = affine(oblique()) @ [x, y, z, 1]
    assert np.allclose(world[:3], [-0.01, 0.02, 0.03])


def test_steps_follow_the_direction_cosines():
    geometry = oblique()
    matrix = affine(geometry)[:3, :3]
    for column, (direction, size) in enumerate(
        ((geometry.read_dir, 0.002), (geometry.phase_dir, 0.003), (geometry.slice_dir, 0.004))
    ):
        assert np.allclose(matrix[:, column], size * direction * [-1, -1, 1])
