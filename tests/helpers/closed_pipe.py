"""A program whose standard output nobody reads."""

import os
import subprocess


def run_into_closed_pipe(words, unbuffered):
    """The ended process; ``unbuffered`` is the value of PYTHONUNBUFFERED."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = subprocess.run(
        words,
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        check=False,
    )
    os.close(write_end)
    return process
