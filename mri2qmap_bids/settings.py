"""Settings of a call of the program: its data, its resources and the options of the reconstruction."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.planning.resources import usable_memory_gb

PLUGINS = ("MultiProc", "SLURM")
"""Nipype plugins that can run the steps: local processes, or jobs of a cluster."""


@dataclass(frozen=True)
class Settings:
    """What a call works on and with what, validated; how it reconstructs is in the options, ``recon``."""

    bids_dir: Path
    """Root of the raw dataset."""
    output_dir: Path
    """Root of the derivative dataset."""
    work_dir: Path
    """Intermediate files and caches."""
    participants: tuple[str, ...] = ()
    """Labels without ``sub-``; empty is all."""
    sessions: tuple[str, ...] = ()
    """Labels without ``ses-``; empty is all."""
    acquisitions: tuple[str, ...] = ()
    """Labels without ``acq-``; empty is all."""
    runs: tuple[str, ...] = ()
    """Indices without ``run-``; empty is all."""
    derivatives: tuple[tuple[str, Path], ...] = ()
    """(name, root) of further derivative datasets."""
    filter_file: Path | None = None
    """JSON file with pybids entities to match."""
    b1_ignored: bool = False
    """Whether to ignore B1 maps."""
    b0_ignored: bool = False
    """Whether to ignore B0 maps."""
    t1w_ignored: bool = False
    """Whether to ignore T1w images."""
    output_spaces: tuple[str, ...] = ("native",)
    """Grids of the maps: their own (``native``, always), and that of the participant's T1w image (``T1w``)."""
    database_dir: Path | None = None
    """Directory of the pybids index; None: the index is not kept."""
    database_renewed: bool = False
    """Whether to rebuild that index."""
    stop_on_first_crash: bool = False
    """Whether one failed run stops the others."""
    write_graph: bool = False
    """Whether to draw the workflow."""
    clean_work_dir: bool = False
    """Whether to empty the work directory first."""
    n_procs: int = 1
    """Cores to use at the same time."""
    omp_threads: int = 1
    """Cores one step may use."""
    memory_gb: float = field(default_factory=usable_memory_gb)
    """Memory to use at the same time [GB]; default: 90 % of the available memory."""
    low_memory: bool = False
    """Whether to choose the plan that needs least memory."""
    gpu_memory_gb: float | None = None
    """GPU memory to use [GB]; None: the free memory."""
    most_sessions: int = 4
    """Maximum number of sessions in one report."""
    viewer: bool = False
    """Whether to write views of T1 and T2 beside the reports."""
    fail_on: Literal["bad", "look", "never"] = "never"
    """Rating of a run from which the call fails although the run is done."""
    command: str = ""
    """The command line."""
    plugin: str = "MultiProc"
    """Nipype plugin that runs the steps: one of ``PLUGINS``."""
    plugin_args: Mapping[str, Any] = field(default_factory=dict)
    """Its arguments."""
    bar_dir: Path | None = None
    """Folder in which workers leave their progress for the bar; None: no bar is drawn."""
    log_level: int = logging.INFO
    """As of the logging module."""
    recon: ReconOptions = field(default_factory=ReconOptions)
    """The reconstruction method and its parameters."""
