from argparse import ArgumentParser

import pytest

from mri2qmap_bids.help_formatter import HelpFormatter


@pytest.mark.parametrize(
    ("settings", "has_default"),
    [
        ({"default": 3, "type": int}, True),
        ({"default": 0, "type": int}, True),
        ({"default": "x"}, True),
        ({}, False),
        ({"default": [], "nargs": "+"}, False),
        ({"action": "store_true"}, False),
        ({"action": "count", "default": 0}, False),
    ],
)
def test_a_default_is_shown_only_if_there_is_one(settings, has_default):
    parser = ArgumentParser(formatter_class=HelpFormatter)
    parser.add_argument("--option", help="words", **settings)
    assert ("(default: " in parser.format_help()) == has_default


def test_a_default_of_several_words_is_shown_as_typed():
    parser = ArgumentParser(formatter_class=HelpFormatter)
    parser.add_argument("--option", nargs="+", default=["a", "b"], help="words")
    assert "words (default: a b)" in parser.format_help()
