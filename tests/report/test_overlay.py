"""The checkerboard of two images."""

import numpy as np

from mri2qmap_bids.report.overlay import checkerboard


def test_squares_alternate_along_every_axis():
    mask = np.ones((4, 4, 6), bool)
    first = np.linspace(0, 1, mask.size).reshape(mask.shape)
    second = np.full(mask.shape, 255, np.uint8)
    board = checkerboard(np.zeros_like(first), second, mask, (10.0, 20.0, 10.0))
    assert np.array_equal(board[0, 0], [0, 0, 1, 1, 0, 0])
    assert np.array_equal(board[0, :, 0], [0, 1, 0, 1])
    assert np.array_equal(board[:, 0, 0], [0, 0, 1, 1])
    board = checkerboard(first, np.zeros_like(second), mask, (10.0, 20.0, 10.0))
    assert board.min() == 0
    assert board.max() == 1


def test_nothing_is_black():
    empty = np.zeros((2, 2, 2), bool)
    assert not checkerboard(
        np.ones((2, 2, 2)), np.ones((2, 2, 2), np.uint8), empty, (1, 1, 1)
    ).any()
