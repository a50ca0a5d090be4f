"""Figures of the sampling: readouts one by one, cells as they were counted."""

from dataclasses import replace

import numpy as np
from helpers.diagnostics import some_sampling

from mri2qmap_bids.report.kspace import sampling


def test_every_readout_is_a_line_of_its_own():
    figure = sampling(some_sampling())
    lines = figure.axes[0].lines
    assert [len(line.get_xdata()) for line in lines] == [5, 5]
    assert "first 2 readouts" in figure.axes[0].get_title()
    assert np.allclose(np.concatenate([c.get_xdata() for c in lines]), np.linspace(-1, 1, 10))


def test_no_more_than_four_readouts_are_drawn():
    many = replace(
        some_sampling(),
        readouts=np.zeros((12, 2), np.float32),
        readout_frames=np.repeat(np.arange(6), 2).astype(np.int32),
    )
    assert len(sampling(many).axes[0].lines) == 4


def test_cells_without_a_sample_are_left_out_of_the_image():
    one = some_sampling()
    image = sampling(one).axes[1].images[0].get_array()
    assert np.array_equal(np.ma.getmaskarray(image), one.density[0] == 0)
    assert image.max() == 3


def test_a_volume_has_three_projections():
    solid = replace(some_sampling(), density=(some_sampling().density[0],) * 3)
    axes = sampling(solid).axes
    names = [(a.get_xlabel(), a.get_ylabel()) for a in axes[1:4]]
    assert names == [("kx", "ky"), ("kx", "kz"), ("ky", "kz")]


def test_readouts_of_one_frame_are_not_joined():
    """Two spokes of one frame: the step from the end of the first to the beginning of the second is none."""
    spoke = np.stack([np.linspace(-1, 1, 11), np.zeros(11)], 1)
    two = np.concatenate([spoke, spoke[:, ::-1]]).astype(np.float32)
    one_frame = replace(some_sampling(), readouts=two, readout_frames=np.zeros(22, np.int32))
    axes = sampling(one_frame).axes[0]
    assert [len(line.get_xdata()) for line in axes.lines] == [11, 11]
    assert axes.get_title() == "first 2 readouts"
