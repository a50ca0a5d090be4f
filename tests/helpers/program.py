"""Python programs in a process of their own."""

import os
import subprocess
import sys


def printed_by(program: str, **environment: str) -> str:
    """What a program prints, which must end well, with changes of the environment."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
