"""Spoiled input is taken or refused in one line each: no traceback, nothing half-written."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.helpers.hostile import KINDS, call, complaint, make_base, options_of

_EXAMPLES = 20


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("hostile")).parent


@pytest.mark.parametrize("name", KINDS)
def test_the_same_input_unspoiled_is_taken(base: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(base, tmp_path, dirs_exist_ok=True)
    code, log = call(tmp_path / "dataset", "--dry-run", *options_of(KINDS[name], tmp_path))
    assert code == 0, log


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
        code, log = call(root, "--dry-run", *options_of(kind, folder))
        wrong = complaint(root, code, log)
        shutil.rmtree(folder)
        assert not wrong, f"{name}, {change}: {wrong}\n{log}"

    attempt()
