"""What is built and installed: one version, every data file, every dependency pinned."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# torch names the exact versions of these itself, where it comes with them.
OF_TORCH = ("nvidia-", "cuda-", "triton")


def test_every_file_names_the_version_of_the_project():
    changes = (ROOT / "CHANGELOG.md").read_text()
    heading = re.search(r"^## (\S+)", changes, re.MULTILINE)
    assert heading[1] == PROJECT["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    # It is part of the container's tag in dataset_description.json.
    default = re.search(r"^ARG VERSION=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert default[1] == PROJECT["version"]


def requirements_of(names, extras=frozenset()):
    """Names of all packages that some requirements bring along, these included."""
    versions = {}
    waiting = [(Requirement(name), extras) for name in names]
    while waiting:
        requirement, own_extras = waiting.pop()
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in (*own_extras, "")):
            continue
        name = canonicalize_name(requirement.name)
        if name in versions or name.startswith(OF_TORCH):
            continue
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue  # of another platform
        waiting += [(Requirement(text), requirement.extras) for text in requires(name) or ()]
    return versions


def test_every_package_of_an_installation_is_pinned():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line}
    missing = {
        name: at
        for name, at in requirements_of(PROJECT["dependencies"]).items()
        if name not in pinned
    }
    extras = PROJECT["optional-dependencies"]
    for text in (*extras["gpu"], *extras["siemens"]):
        assert canonicalize_name(Requirement(text).name) in pinned
    assert not missing, "constraints.txt lacks\n" + "\n".join(
        f"{name}=={at.partition('+')[0]}" for name, at in sorted(missing.items())
    )


def test_an_installation_may_take_any_version_in_a_range_and_the_image_takes_one_of_it():
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    for text in PROJECT["dependencies"]:
        requirement = Requirement(text)
        assert all(rule.operator != "==" for rule in requirement.specifier), text
        if requirement.name in pins:
            assert requirement.specifier.contains(pins[requirement.name]), text


def test_the_image_converts_siemens_data_and_has_libraries_for_its_device():
    cases = re.findall(r'^ +(\w+)\) .*extras="([^"]*)"', (ROOT / "Dockerfile").read_text(), re.M)
    assert {device: set(extras.split()) for device, extras in cases} == {
        "cpu": {"siemens"},
        "cuda": {"siemens", "gpu"},
    }


def test_dockerfile_breaks_no_rule_of_hadolint():
    program = Path(sys.executable).with_name("hadolint")
    process = subprocess.run(
        [program, ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stdout


@pytest.mark.slow
def test_sdist_and_the_wheel_made_from_it_hold_every_file_of_the_package(tmp_path):
    tree = tmp_path / "tree"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("mri2qmap_bids", "tests"):
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, tree)
    package = tree / "mri2qmap_bids"
    expected = {path.relative_to(tree).as_posix() for path in package.rglob("*") if path.is_file()}
    for name in ("joint", "separate"):
        assert f"mri2qmap_bids/recon/denoisers/weights/{name}.safetensors" in expected
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path / "dist")]
    subprocess.run([*build, str(tree)], check=True, capture_output=True, cwd=tmp_path)
    sdist = next((tmp_path / "dist").glob("*.tar.gz"))
    with tarfile.open(sdist) as archive:
        members = {name.partition("/")[2] for name in archive.getnames()}
    assert expected <= members
    assert {"LICENSE", "CHANGELOG.md", "CITATION.cff", "constraints.txt"} <= members
    assert "tests/test_packaging.py" in members
    wheel = next((tmp_path / "dist").glob("*.whl"))
    assert sdist.name == f"mri2qmap_bids-{PROJECT['version']}.tar.gz"
    assert wheel.name.startswith(f"mri2qmap_bids-{PROJECT['version']}-py3-none-any")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert expected == {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    assert any(name.endswith("licenses/LICENSE") for name in names)
