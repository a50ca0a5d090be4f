"""What the command line adds to the errors of the package."""

import pytest

from mri2qmap_bids.cli.advice import advised
from mri2qmap_bids.cli.parser import build_parser
from mri2qmap_bids.errors import DeviceError, MemoryLimitError, RawDataError, UnexpectedError


@pytest.mark.parametrize("kind", [DeviceError, MemoryLimitError, UnexpectedError])
def test_advice_names_options_that_exist(kind):
    text = advised(kind("reason"))
    assert text.startswith("reason; ")
    options = {option for action in build_parser()._actions for option in action.option_strings}
    named = {word.strip(",;()") for word in text.split() if word.startswith("-")}
    # --gpus and --nv are those of Docker and Apptainer.
    assert named - {"--gpus", "--nv"} <= options


def test_other_errors_stay_as_they_are():
    assert advised(RawDataError("reason")) == "reason"
