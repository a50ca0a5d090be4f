"""Arguments of every source."""

from argparse import ArgumentParser
from pathlib import Path

import pytest

from mri2qmap_bids.convert.arguments import SOURCES, add_arguments
from mri2qmap_bids.convert.readouts import COUNTERS
from mri2qmap_bids.recon.acquisition.trajectory import TRAJECTORY_UNITS


@pytest.fixture(scope="module")
def parser():
    parser = ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    return parser


@pytest.fixture(scope="module")
def sources(parser):
    (action,) = (action for action in parser._actions if action.choices)
    return action.choices


def choices(source, option):
    return next(a.choices for a in source._actions if option in a.option_strings)


def test_help_of_every_source_names_its_input(sources):
    assert set(sources) == set(SOURCES)
    for name, source in sources.items():
        assert SOURCES[name][1] in " ".join(source.format_help().split())


@pytest.mark.parametrize(("source", "n_inputs"), [(s, 1 + (s == "bart")) for s in SOURCES])
def test_the_last_path_is_the_dataset_and_all_others_are_inputs(parser, source, n_inputs):
    inputs = [f"in{number}" for number in range(n_inputs)]
    arguments = parser.parse_args([source, *inputs, "bids", "--participant-label", "01"])
    assert arguments.source == source
    assert arguments.inputs == [Path(name) for name in inputs]
    assert arguments.bids_dir == Path("bids")


def test_counters_are_those_that_readouts_have(sources):
    for name in ("siemens", "ismrmrd"):
        assert set(choices(sources[name], "--frame-counter")) == {*COUNTERS, "order"}
        assert set(choices(sources[name], "--line-counter")) <= {*COUNTERS, "order"}


def test_units_of_files_are_those_that_the_reconstruction_reads(sources):
    for name in SOURCES:
        units = set(choices(sources[name], "--trajectory-units"))
        extra = {"cycles/m", "rad/m"} if name == "arrays" else set()
        assert units - extra <= set(TRAJECTORY_UNITS)
        assert extra <= units
