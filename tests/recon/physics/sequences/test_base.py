"""Types of pulse sequences: their parameters are those of their builders."""

import inspect

import pytest
from helpers.sequences import CASES
from helpers.trains import train

from mri2qmap_bids.recon.physics.event_sequence import EventSequence
from mri2qmap_bids.recon.physics.sequences.base import own_events
from mri2qmap_bids.recon.physics.sequences.registry import sequence_types

TYPES = [kind for kind in sequence_types() if kind.parameters]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_parameters_are_the_arguments_of_the_builder(kind):
    arguments = dict(inspect.signature(kind.build).parameters)
    # By which types that share a builder differ.
    arguments.pop("kind", None)
    parameters = {parameter.name: parameter for parameter in kind.parameters}
    assert len(parameters) == len(kind.parameters)
    assert set(parameters) == set(arguments)
    for name, argument in arguments.items():
        assert parameters[name].required == (argument.default is inspect.Parameter.empty), name


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_bounds_hold_the_builders_defaults(kind):
    arguments = inspect.signature(kind.build).parameters
    for parameter in kind.parameters:
        assert parameter.low < parameter.high
        default = arguments[parameter.name].default
        if not parameter.required and isinstance(default, int | float):
            assert parameter.low <= default <= parameter.high, parameter.name


def test_events_are_those_that_a_sequence_was_given_by():
    sequences = [sequence for sequence in CASES.values() if isinstance(sequence, EventSequence)]
    assert sequences
    for sequence in sequences:
        assert own_events(sequence) is sequence.events


def test_a_train_has_no_events_of_its_own():
    with pytest.raises(TypeError, match="FISP must be an EventSequence, got PulseSequence"):
        own_events(train("FISP", 4))
