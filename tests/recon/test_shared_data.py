from dataclasses import replace

import numpy as np
import pytest
from helpers.scans import N_FRAMES, N_VOXELS, grid_arrays, grid_geometry, grid_scan
from helpers.trains import train

from mri2qmap_bids.recon.acquisition.scan import SliceSamples
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary
from mri2qmap_bids.recon.shared_data import SharedData

pytestmark = pytest.mark.usefixtures("types_unchecked")


def test_a_stack_has_a_middle_slice_and_maps_of_two_axes():
    scan = grid_scan()
    geometry = grid_geometry(matrix=(5, N_VOXELS, N_VOXELS))
    many = replace(scan, slices=scan.slices * 5, geometry=geometry)
    dictionary = build_dictionary(train(n_frames=N_FRAMES), TissueGrid(step=1.0), 2)
    one, stack = (SharedData(s, s.geometry, dictionary, ReconOptions()) for s in (scan, many))
    assert (one.middle, stack.middle) == (0, 2)
    assert one.map_shape == stack.map_shape == (N_VOXELS, N_VOXELS)


def test_a_volume_has_maps_of_three_axes():
    arrays = grid_arrays()
    arrays["trajectory"] = np.pad(arrays["trajectory"], ((0, 0), (0, 1)))
    geometry = grid_geometry(matrix=(6, N_VOXELS, N_VOXELS))
    scan = grid_scan(SliceSamples(**arrays), geometry=geometry, is_3d=True)
    dictionary = build_dictionary(train(n_frames=N_FRAMES), TissueGrid(step=1.0), 2)
    volume = SharedData(scan, geometry, dictionary, ReconOptions())
    assert volume.middle == 0
    assert volume.map_shape == (6, N_VOXELS, N_VOXELS)
