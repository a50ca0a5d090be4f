"""A step of one run, as a Nipype interface."""

from pathlib import Path
from typing import Any

from nipype.interfaces.base import (
    SimpleInterface,
)

from mri2qmap_bids import __version__

# To be raised when the maps or the outputs of a step change between versions.
_RESULTS = 4
PROGRAM = f"{__version__} {_RESULTS}"
"""Version of this program, as steps see it."""


class StepOfRun(SimpleInterface):  # type: ignore[misc]
    """A step of one run: its log lines bear the run's name; any error is one line with the raw file's."""

    def _run_interface(self, runtime: Any) -> Any:
        from mri2qmap_bids.dataset.integrity import guard
        from mri2qmap_bids.logs import run_log, run_log_file

        raw_file, output_dir = Path(self.inputs.raw_file), self.inputs.log_dir
        run = run_named(raw_file)
        with (
            run_log(run, run_log_file(Path(output_dir), run) if output_dir else None),
            guard(raw_file),
        ):
            return self._step(runtime)

    def _step(self, runtime: Any) -> Any:
        raise NotImplementedError


def run_named(raw_file: Path) -> str:
    """A run's name, from that of its raw file.

    >>> run_named(Path("sub-01/anat/sub-01_acq-a_MRF.h5"))
    'sub-01_acq-a'
    """
    return raw_file.name.split(".")[0].removesuffix("_MRF")
