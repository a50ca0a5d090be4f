"""Steps as Slurm jobs: Nipype's plugin, with the resources of each step and a reason for jobs that were killed."""

import getpass
import math
import os
import shutil
import subprocess
from typing import Any

from nipype.pipeline.plugins.slurm import SLURMPlugin

from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.workflow.plugins import Remembering

# No step is smaller: the interpreter and torch alone take one.
_LEAST_MEMORY_GB = 4.0
# Slurm kills what takes more than was asked for, and memory is planned within some per cent.
_RESERVE = 1.1


class SlurmPlugin(Remembering, SLURMPlugin):  # type: ignore[misc]
    """Every step a job of its own, with cores and memory as the step needs.

    Nipype's own asks Slurm for neither, and stops with an error of its own when Slurm has
    killed a job.
    """

    def __init__(self, plugin_args: dict[str, Any]) -> None:
        if shutil.which("sbatch") is None:
            raise UsageError(
                "--use-plugin SLURM must be used where Slurm's sbatch is installed, got none on the PATH; "
                "with containers, submit one container per participant instead"
            )
        # Nipype names jobs by it, and stops where it is not set.
        os.environ.setdefault("LOGNAME", getpass.getuser())
        super().__init__(plugin_args)

    def close(self) -> None:
        """Cancel the jobs that are still waiting or running."""
        if self._pending:
            subprocess.run(["scancel", *map(str, self._pending)], check=False)

    def _submit_batchtask(self, scriptfile: str, node: Any) -> Any:
        memory = math.ceil(1000 * max(_LEAST_MEMORY_GB, _RESERVE * node.mem_gb))
        node.plugin_args = {"sbatch_args": f"--cpus-per-task={node.n_procs} --mem={memory}M"}
        return super()._submit_batchtask(scriptfile, node)

    def _get_result(self, taskid: int) -> Any:
        result = super()._get_result(taskid)
        if result and isinstance(result["traceback"], str):
            # Of a job without a result. Nipype takes lines everywhere else.
            result["traceback"] = [f"{_end_of(taskid)}\n"]
        return result


def _end_of(job: int) -> str:
    """State and reason that Slurm gives for a job without a result."""
    description = subprocess.run(
        ["scontrol", "show", "job", str(job)], capture_output=True, text=True, check=False
    ).stdout
    facts = dict(word.split("=", 1) for word in description.split() if "=" in word)
    state, reason = facts.get("JobState", "unknown"), facts.get("Reason", "None")
    because = "" if reason == "None" else f" ({reason})"
    return (
        f"Slurm job {job} left no result, its state is {state}{because}; see {facts.get('StdErr')}"
    )
