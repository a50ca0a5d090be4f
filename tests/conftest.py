"""What several tests need: the BIDS validator, and one small simulated dataset."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


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


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory):
    """Two participants, one with two sessions: noise-free 2D slices and a 3D volume."""
    from mri2qmap_bids import tools

    root = tmp_path_factory.mktemp("small") / "dataset"
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
    return root


@pytest.fixture(scope="session")
def derivatives(small_dataset, tmp_path_factory):
    """What both levels make of the small dataset, with the default method."""
    from mri2qmap_bids.cli import main

    root = tmp_path_factory.mktemp("run")
    words = [str(small_dataset), str(root / "out"), "participant", "-w", str(root / "work")]
    assert main(words) == 0
    assert main([str(small_dataset), str(root / "out"), "group"]) == 0
    return root / "out"
