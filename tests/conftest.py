"""What several tests need: the BIDS validator, and one small simulated dataset."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jaxtyping
import pytest


@pytest.fixture
def types_unchecked():
    """As for users: the tests' checks of types would refuse first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def validator():
    """Run the BIDS validator on a dataset: exit code, and its findings (empty: none)."""
    program = Path(sys.executable).with_name("bids-validator-deno")
    command = str(program) if program.exists() else shutil.which("bids-validator-deno")
    if command is None:
        pytest.skip("bids-validator-deno is not installed")

    def run(dataset: Path) -> tuple[int, str]:
        process = subprocess.run(
            [command, "--format", "text", str(dataset)], capture_output=True, text=True, check=False
        )
        output = process.stdout + process.stderr
        findings = [
            line.strip() for line in output.splitlines() if "[WARNING]" in line or "[ERROR]" in line
        ]
        return process.returncode, "\n".join(findings)

    return run


def made_once(tmp_path_factory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that one process of the tests fills and all of them read."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # each worker has its own below
    folder = base / name
    with (base / f"{name}.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            lock.seek(0)
            if not lock.read():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                lock.write("complete")
                lock.flush()
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)
    return folder


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory):
    """Two participants, one with two sessions: noise-free 2D slices and a 3D volume; not to be changed."""
    return made_once(tmp_path_factory, "small", _simulate) / "dataset"


def _simulate(folder: Path) -> None:
    from mri2qmap_bids import tools

    root = folder / "dataset"
    common = ["simulate", str(root), "--noise", "0", "--coils", "4", "--frames"]
    flat = [
        "60",
        "--acq",
        "2d",
        "--matrix",
        "32",
        "--acceleration",
        "2",
        "--oblique",
        "10",
        "-5",
        "20",
    ]
    solid = ["60", "--acq", "3d", "--dimension", "3D", "--matrix", "24", "--acceleration", "4"]
    assert tools.main([*common, *flat, "--sub", "01", "--ses", "1", "2", "--slices", "2"]) == 0
    assert tools.main([*common, *solid, "--sub", "02", "--ses", "1"]) == 0


@pytest.fixture(scope="session")
def derivatives(small_dataset, tmp_path_factory):
    """What both levels make of the small dataset, with the default method; not to be changed."""
    from mri2qmap_bids.cli import main

    def reconstruct(root: Path) -> None:
        words = [str(small_dataset), str(root / "out"), "participant", "-w", str(root / "work")]
        assert main(words) == 0
        assert main([str(small_dataset), str(root / "out"), "group"]) == 0

    return made_once(tmp_path_factory, "run", reconstruct) / "out"
