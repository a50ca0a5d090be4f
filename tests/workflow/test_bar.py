"""The bar of all runs."""

import io
import sys
import threading

import pytest

from mri2qmap_bids.workflow.bar import RunState, bar, bar_text, read_states, write_state


def test_states_are_read_as_they_were_written(tmp_path):
    states = [RunState("sub-01", "least squares", 0.25, 12.5), RunState("sub-02_acq-a", "", 1.0, 0)]
    for state in reversed(states):
        write_state(tmp_path, RunState(state.run, "before", 0.0, 1.0))
        write_state(tmp_path, state)
    (tmp_path / "damaged").write_text("x")
    assert read_states(tmp_path) == states


def test_a_folder_that_is_not_there_stops_nothing(tmp_path):
    write_state(tmp_path / "none", RunState("sub-01", "", 0.5, 1.0))
    assert read_states(tmp_path / "none") == []


@pytest.mark.parametrize("columns", [1, 20, 80, 300])
def test_the_text_fits_the_terminal(columns):
    states = [RunState(f"sub-{n:02d}", "plug and play", 0.5, 100.0) for n in range(9)]
    assert len(bar_text(3, 20, states, columns)) < max(columns, 2)


def test_the_bar_is_drawn_and_erased(tmp_path, monkeypatch):
    monkeypatch.setattr("mri2qmap_bids.workflow.bar._PERIOD", 0.01)
    drawn, text = threading.Event(), io.StringIO()
    monkeypatch.setattr(text, "flush", drawn.set)
    monkeypatch.setattr(sys, "stderr", text)
    monkeypatch.setenv("COLUMNS", "120")
    write_state(tmp_path, RunState("sub-07", "lrtv", 0.5, 3.0))
    with bar(tmp_path, 2, lambda: 1):
        assert drawn.wait(10)
    assert "75 %  1 of 2 run(s) done; sub-07: lrtv, about 3 s" in text.getvalue()
    assert text.getvalue().endswith("\r\x1b[K")
