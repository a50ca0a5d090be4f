"""Spoiled input is taken or refused in one line each: no traceback, nothing half-written."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.helpers.hostile import KINDS, call, complaint, make_base

_EXAMPLES = 20


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("hostile")).parent


@pytest.mark.parametrize("name", KINDS)
def test_spoiled_input_is_taken_or_refused(
    base: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    kind = KINDS[name]

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def attempt(data: st.DataObject) -> None:
        folder = tmp_path_factory.mktemp("case")
        shutil.copytree(base, folder, dirs_exist_ok=True)
        root = folder / "dataset"
        path = root / kind.file
        change = kind.spoil(data.draw, path)
        beside = folder / kind.words[1].removeprefix("../") if kind.words else path
        words = [kind.words[0], str(path if "{}" in kind.words else beside)] if kind.words else []
        code, log = call(root, "--dry-run", *words)
        wrong = complaint(root, code, log)
        shutil.rmtree(folder)
        assert not wrong, f"{name}, {change}: {wrong}\n{log}"

    attempt()
