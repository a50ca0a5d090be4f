"""The hand-made mutants of benchmarks/robustness fit the code as it is; they are not run here."""

import ast
import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "robustness" / "mutants.py"
# Source distributions come without benchmarks.
pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="needs benchmarks/")


@pytest.fixture(scope="module")
def script():
    place = spec_from_file_location("mutants", SCRIPT)
    module = module_from_spec(place)
    place.loader.exec_module(module)
    return module


def test_every_mutant_has_its_text_once_in_its_module_and_its_test_file(script):
    assert script.misfits(script.MUTANTS, ROOT) == []


def test_every_mutant_is_other_code(script):
    """Not a change of a comment, and none that tests see only because it cannot be read."""
    for mutant in script.MUTANTS:
        text = (ROOT / script.PACKAGE / mutant.file).read_text(encoding="utf-8")
        faulty = ast.parse(text.replace(mutant.old, mutant.new))
        assert ast.dump(faulty) != ast.dump(ast.parse(text)), mutant


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"old": "no such text"}, "the text is gone"),
        ({"old": "return"}, "the text is there"),
        ({"module": "no_such_module"}, "no such file"),
        ({"tests": "test_no_such_module"}, "no test file"),
    ],
)
def test_a_mutant_that_does_not_fit_ends_the_program_by_name(script, change, reason, monkeypatch):
    mutant = replace(script.MUTANTS[0], **change)
    monkeypatch.setattr(script, "MUTANTS", (script.MUTANTS[1], mutant))
    monkeypatch.setattr(script, "outcomes", lambda *_: pytest.fail("mutants were tried"))
    monkeypatch.setattr(sys, "argv", ["mutants"])
    with pytest.raises(SystemExit) as end:
        script.main()
    first, *others = str(end.value.code).splitlines()
    assert "none was tried" in first and len(others) == 1
    assert others[0].startswith(f"{mutant.file}: {mutant.old}: {reason}")
