"""How a raw file is to be read."""

import pytest

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.acquisition.counters import FRAME_COUNTERS, FrameCounter
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.trajectory import TrajectoryUnits


@pytest.mark.parametrize("counter", FRAME_COUNTERS)
def test_names_in_any_case_become_members(counter):
    layout = ReadLayout(3, frame_counter=str(counter).upper(), trajectory_units="CYCLES/FOV")
    assert layout.frame_counter is counter
    assert layout.trajectory_units is TrajectoryUnits.CYCLES_PER_FOV


def test_frames_are_counted_by_contrast_in_a_unit_to_be_detected():
    layout = ReadLayout(3)
    assert layout.frame_counter is FrameCounter.CONTRAST
    assert (layout.trajectory_units, layout.is_3d, layout.encoding) == (None, None, None)


@pytest.mark.parametrize(
    "changes", [{"n_frames": 0}, {"frame_counter": "frame"}, {"trajectory_units": "furlongs"}]
)
def test_what_there_is_not_is_refused(changes):
    with pytest.raises(ArgumentError, match=next(iter(changes))):
        ReadLayout(**{"n_frames": 3, **changes})
