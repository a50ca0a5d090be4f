from argparse import ArgumentParser

import pytest

from mri2qmap_bids.help_formatter import HelpFormatter


@pytest.mark.parametrize(
    ("settings", "has_default"),
    [
        ({"default": 3, "type": int}, True),
        ({"default": 0, "type": int}, False),
        ({"default": "x"}, True),
        ({}, False),
        ({"default": [], "nargs": "+"}, False),
        ({"action": "store_true"}, False),
    ],
)
def test_a_default_is_shown_only_if_there_is_one(settings, has_default):
    parser = ArgumentParser(formatter_class=HelpFormatter)
    parser.add_argument("--option", help="words", **settings)
    assert ("(default: " in parser.format_help()) == has_default
