"""What becomes of a program whose reader is gone."""

import os
import sys

import pytest

from mri2qmap_bids.standard_output import leave_closed_output, open_standard_output


@pytest.fixture
def pipe():
    """Both ends of a pipe."""
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "w") as stream, os.fdopen(read_end) as reader:
        yield reader, stream


def test_a_closed_reader_is_a_quiet_end(pipe, monkeypatch):
    reader, stream = pipe
    monkeypatch.setattr(sys, "stdout", stream)
    reader.close()
    assert leave_closed_output(BrokenPipeError()) == 141
    stream.write("nobody reads this")
    stream.flush()


def test_the_error_of_another_pipe_stays(pipe, monkeypatch):
    monkeypatch.setattr(sys, "stdout", pipe[1])
    error = BrokenPipeError()
    with pytest.raises(BrokenPipeError) as caught:
        leave_closed_output(error)
    assert caught.value is error


def test_without_a_standard_output_text_is_taken(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    open_standard_output()
    assert sys.stdout.write("text") == 4
