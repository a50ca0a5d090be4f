"""Homes, caches and temporary directories that cannot be used."""

import os
import tempfile

import pytest

from mri2qmap_bids.cli.environment import prepare_environment, private_folder
from mri2qmap_bids.errors import OutputError


@pytest.fixture
def environment(monkeypatch):
    """A copy of the environment, to be changed at will."""
    copy = dict(os.environ)
    monkeypatch.setattr(os, "environ", copy)
    for name in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR", "XDG_CACHE_HOME", "NIPYPE_CONFIG_DIR"):
        copy.pop(name, None)
    return copy


@pytest.mark.parametrize("home", [None, "file", "file/below", "missing"])
def test_an_unusable_home_is_replaced(environment, tmp_path, home):
    (tmp_path / "file").write_text("")
    environment.pop("HOME", None)
    if home is not None:
        environment["HOME"] = str(tmp_path / home)
    prepare_environment(tmp_path / "private")
    assert environment["HOME"] == str(tmp_path / "private")
    assert not (tmp_path / "missing").exists()


def test_a_usable_home_and_usable_caches_stay(environment, tmp_path):
    names = ("HOME", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
    for name in names:
        environment[name] = str(tmp_path)
    prepare_environment(tmp_path / "private")
    assert {environment[name] for name in names} == {str(tmp_path)}
    assert list(tmp_path.iterdir()) == [tmp_path / "mri2qmap"]  # nothing is left of the trial


@pytest.mark.parametrize("cache", [None, "elsewhere"])
def test_machine_code_and_fonts_are_kept_below_the_users_cache(environment, tmp_path, cache):
    environment["HOME"] = str(tmp_path)
    if cache is not None:
        environment["XDG_CACHE_HOME"] = str(tmp_path / cache)
    prepare_environment(tmp_path / "private")
    own = tmp_path / (cache or ".cache") / "mri2qmap"
    assert environment["NUMBA_CACHE_DIR"] == str(own / "numba_cache_dir")
    assert environment["MPLCONFIGDIR"] == str(own / "mplconfigdir")


def test_they_are_private_without_a_place_for_them(environment, tmp_path):
    environment["HOME"] = str(tmp_path)
    (tmp_path / ".cache").write_text("")
    prepare_environment(tmp_path / "private")
    assert environment["NUMBA_CACHE_DIR"] == str(tmp_path / "private" / "numba_cache_dir")


@pytest.mark.parametrize(
    "name", ["MPLCONFIGDIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "NIPYPE_CONFIG_DIR", "TORCH_HOME"]
)
def test_an_unusable_cache_goes_to_the_private_folder(environment, tmp_path, name):
    (tmp_path / "file").write_text("")
    environment[name] = str(tmp_path / "file" / "cache")
    prepare_environment(tmp_path / "private")
    assert environment[name].startswith(str(tmp_path / "private"))


@pytest.mark.parametrize(
    ("name", "default"), [("OMP_WAIT_POLICY", "PASSIVE"), ("THP_MEM_ALLOC_ENABLE", "1")]
)
def test_settings_of_libraries_for_speed_are_defaults(environment, tmp_path, name, default):
    environment.pop(name, None)
    prepare_environment(tmp_path / "private")
    assert environment[name] == default
    environment[name] = "other"
    prepare_environment(tmp_path / "private")
    assert environment[name] == "other"


def test_no_place_for_temporary_files_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    with (
        pytest.raises(OutputError, match=r"temporary files .*must be writable, got .*nowhere"),
        private_folder(),
    ):
        pass
