"""A step of one run, as a Nipype interface."""

from pathlib import Path
from typing import Any

from nipype.interfaces.base import SimpleInterface, isdefined

from mri2qmap_bids import __version__
from mri2qmap_bids.dataset.entities import run_name

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
        run = run_of(self.inputs)
        with (
            run_log(run, run_log_file(Path(output_dir), run) if output_dir else None),
            guard(raw_file),
        ):
            return self._step(runtime)

    def _step(self, runtime: Any) -> Any:
        raise NotImplementedError


def run_of(inputs: Any) -> str:
    """A run's name as all else that tells of it has it: from its entities, or else from its raw file.

    Entities may be those of folders alone: ``ses-a/anat/sub-01_MRF.h5`` is the run ``sub-01_ses-a``.
    """
    if isdefined(inputs.entities):
        return run_name(inputs.entities)
    return Path(inputs.raw_file).name.split(".")[0].removesuffix("_MRF")
