"""Actions repeated by a thread."""

import threading

import pytest

from mri2qmap_bids.workflow.periodic import repeated


def test_the_action_is_repeated_until_the_block_ends():
    twice, count = threading.Event(), []

    def action():
        count.append(1)
        if len(count) == 2:
            twice.set()

    with repeated(action, 1e-3, "counter"):
        assert twice.wait(10)
    n = len(count)
    assert n >= 2 and all(thread.name != "counter" for thread in threading.enumerate())


def test_it_ends_with_an_error_in_the_block_too():
    with pytest.raises(ValueError, match="x"), repeated(lambda: None, 1e-3, "failing"):
        raise ValueError("x")
    assert all(thread.name != "failing" for thread in threading.enumerate())
