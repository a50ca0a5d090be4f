"""The tree of errors."""

import inspect

from mri2qmap_bids import errors


def test_docstring_draws_every_error_with_its_exit_code():
    tree = {
        words[1]: words[2]
        for words in map(str.split, errors.__doc__.splitlines())
        if "──" in str(words)
    }
    there = {
        name: str(kind.exit_code)
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if kind is not errors.Mri2QmapError
    }
    assert tree == there
