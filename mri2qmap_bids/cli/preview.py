"""What a call would do, without a reconstruction: its plans, or its methods section."""

import logging
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from mri2qmap_bids.cli.advice import advised
from mri2qmap_bids.cli.directories import make_writable
from mri2qmap_bids.errors import Mri2QmapError
from mri2qmap_bids.logs import run_log
from mri2qmap_bids.settings import Settings

if TYPE_CHECKING:
    from mri2qmap_bids.dataset.query import Selection
    from mri2qmap_bids.recon.planning.plan import Plan

logger = logging.getLogger(__name__)


def list_plans(selection: "Selection", settings: Settings, selecting: float) -> int:
    """Print every run with its plan, log runs that cannot be processed; return the exit code.

    Parameters
    ----------
    selection
        Of the call.
    settings
        Validated.
    selecting
        Time that the selection took [s]. The age of this process, once all modules are imported, shows how long
        start-up takes: all of it for the program, and all but the selection once more for its workers.
    """
    from mri2qmap_bids.recon.device import find_device
    from mri2qmap_bids.recon.planning.dictionary_cost import dictionary_stage
    from mri2qmap_bids.recon.planning.plan import duration
    from mri2qmap_bids.recon.planning.resources import process_seconds
    from mri2qmap_bids.workflow.planning import forecast_of

    start_up = 2 * process_seconds() - selecting
    n_failed = len(selection.problems)
    seconds, n_planned, dictionaries = 0.0, 0, set()
    for run in selection.runs:
        sys.stdout.write(f"{run.name}\t{run.path}\n")
        try:
            with run_log(run.name):
                forecast = forecast_of(run, settings)
        except Mri2QmapError as error:
            logger.error("%s: failed: %s", run.name, advised(error))
            n_failed += 1
            continue
        plan, n_planned = forecast.ways[0], n_planned + 1
        file = forecast.dictionary_file
        # Runs of one sequence share a dictionary.
        if not file.exists() and file not in dictionaries:
            device = find_device(settings.recon.device)
            stage = dictionary_stage(forecast.scan.sequence, forecast.grid, device)
            plan = replace(plan, stages=(stage, *plan.stages))
            dictionaries.add(file)
        seconds += plan.seconds
        sys.stdout.write(_plan_text(plan))
    if n_planned:
        logger.info(
            "Predicted for %d run(s) one after the other: %s, and %s to start the program",
            n_planned,
            duration(seconds),
            duration(start_up),
        )
    return 1 if n_failed else 0


def _plan_text(plan: "Plan") -> str:
    """A plan and its stages, one line each."""
    lines = [f"    {plan}"]
    for stage in plan.stages:
        memory = f"{stage.device / 1e9:6.2f} GB"
        if stage.host:
            memory += f" on the GPU, {stage.host / 1e9:6.2f} GB"
        lines.append(f"    {stage.name:24s} {memory} {stage.seconds:8.1f} s")
    return "\n".join(lines) + "\n"


def write_planned_methods(selection: "Selection", settings: Settings) -> int:
    """Write the methods section for the selected runs; return the exit code."""
    from mri2qmap_bids.dataset.boilerplate import planned_work, write_boilerplate

    works, n_failed = [], len(selection.problems)
    for run in selection.runs:
        try:
            works.append(planned_work(run, settings.recon))
        except Mri2QmapError as error:
            logger.error("%s: failed: %s", run.name, advised(error))
            n_failed += 1
    if works:
        make_writable(settings.output_dir, "the output directory")
        write_boilerplate(works, settings.output_dir)
        logger.info("Methods: %s", settings.output_dir / "logs" / "CITATION.md")
    return 1 if n_failed else 0
