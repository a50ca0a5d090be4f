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
    found = str(program) if program.exists() else shutil.which("bids-validator-deno")
    if found is None:
        pytest.skip("bids-validator-deno is not installed")

    def run(dataset: Path) -> tuple[int, str]:
        done = subprocess.run([found, "--format", "text", str(dataset)], capture_output=True, text=True)
        output = done.stdout + done.stderr
        findings = [line.strip() for line in output.splitlines() if "[WARNING]" in line or "[ERROR]" in line]
        return done.returncode, "\n".join(findings)

    return run
