"""What the log says of a run's progress."""

import logging

import pytest

from mri2qmap_bids.recon.planning.schedule import Schedule
from mri2qmap_bids.workflow.progress import Progress


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def play(progress, clock, name, seconds):
    progress.begin_stage(name)
    clock.now += seconds
    progress.end_stage(name, seconds)


@pytest.mark.parametrize("pace", [0.5, 1.0, 3.0])
def test_where_stages_take_what_was_predicted_the_rest_is_exact(clock, pace):
    """Times a common factor, which is learned from the stages that are over."""
    stages = {"encoding": 10.0, "least squares": 40.0, "matching": 50.0}
    progress = Progress(Schedule({"reading": 100.0}, stages, 1), clock)
    play(progress, clock, "reading", 100 * pace)
    progress.begin_part(0, 1)
    shares = []
    for name, seconds in stages.items():
        shares.append(progress.state[1])
        play(progress, clock, name, seconds * pace)
    assert shares == sorted(shares)
    assert progress.state[1:] == pytest.approx((1.0, 0.0), abs=1e-6)


def test_remaining_time_counts_the_stages_to_come_and_all_slices(clock):
    progress = Progress(Schedule({"reading": 5.0}, {"a": 10.0, "b": 20.0}, 3), clock)
    assert progress.state[2] == pytest.approx(95)
    play(progress, clock, "reading", 5.0)
    progress.begin_part(0, 3)
    assert progress.state[2] == pytest.approx(90)
    play(progress, clock, "a", 10.0)
    progress.begin_stage("b")
    clock.now += 15
    assert progress.state == ("b", pytest.approx(30 / 95), pytest.approx(65))
    clock.now += 100  # longer than predicted: none of this stage is left
    assert progress.state[2] == pytest.approx(60)


def test_a_stage_that_was_never_entered_is_not_waited_for(clock):
    progress = Progress(Schedule({}, {"a": 10.0, "skipped": 1000.0, "b": 10.0}, 1), clock)
    progress.begin_part(0, 1)
    play(progress, clock, "a", 10.0)
    progress.begin_stage("b")
    assert progress.state[2] == pytest.approx(10)


def test_stages_say_when_they_begin_and_end_and_brief_ones_do_not(clock, caplog):
    caplog.set_level(logging.INFO)
    progress = Progress(Schedule({}, {"a": 10.0, "b": 20.0}, 1), clock)
    progress.begin_part(0, 1)
    play(progress, clock, "diagnostics", 0.1)
    play(progress, clock, "a", 10.0)
    assert caplog.messages == [
        "a begins, about 10 s; about 30 s of its reconstruction remain",
        "a: 10.0 s; about 20 s of its reconstruction remain",
    ]


def test_of_many_slices_whole_ones_are_told(clock, caplog):
    caplog.set_level(logging.INFO)
    progress = Progress(Schedule({}, {"a": 10.0}, 3), clock)
    for index in range(3):
        progress.begin_part(index, 3)
        play(progress, clock, "a", 10.0)
    assert caplog.messages == [
        "slice 1 of 3: 10.0 s; about 20 s of its reconstruction remain",
        "slice 2 of 3: 10.0 s; about 10 s of its reconstruction remain",
    ]
    progress.conclude()
    assert caplog.messages[-1] == "Reconstructed in 30.0 s: a 30.0 s"


def test_a_long_stage_reminds_of_itself_every_half_minute(clock, caplog):
    caplog.set_level(logging.INFO)
    progress = Progress(Schedule({}, {"a": 300.0}, 1), clock)
    progress.begin_part(0, 1)
    progress.begin_stage("a")
    for _ in range(100):
        clock.now += 1
        progress.remind()
    assert [m for m in caplog.messages if "so far" in m] == [
        f"a: {n} s so far; about {text} of its reconstruction remain"
        for n, text in ((30, "4 min"), (60, "4 min"), (90, "4 min"))
    ]


def test_a_stage_that_takes_longer_than_predicted_says_so_and_not_that_nothing_remains(
    clock, caplog
):
    caplog.set_level(logging.INFO)
    progress = Progress(Schedule({}, {"a": 40.0, "b": 80.0}, 1), clock)
    progress.begin_part(0, 1)
    for name, seconds in (("a", 100.0), ("b", 200.0)):
        progress.begin_stage(name)
        clock.now += seconds
        progress.remind()
        progress.end_stage(name, seconds)
    late = [message for message in caplog.messages if "so far" in message]
    assert late[0].startswith("a: 100 s so far; longer than predicted, more than")
    assert late[1] == "b: 200 s so far; longer than predicted"


def test_a_slow_machine_is_expected_to_stay_slow_within_a_stage(clock):
    progress = Progress(Schedule({}, {"a": 1000.0, "b": 1000.0}, 1), clock)
    progress.begin_part(0, 1)
    play(progress, clock, "a", 3000.0)
    progress.begin_stage("b")
    before = progress.state[2]
    clock.now += 1000
    assert 2500 < before < 3000
    assert progress.state[2] == pytest.approx(before - 1000)
