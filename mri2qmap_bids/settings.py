"""What one run of the program is asked to do."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.planning.resources import usable_memory_gb

PLUGINS = ("MultiProc", "SLURM")
"""What can run the steps, as Nipype calls it: processes of this machine, or jobs of a cluster."""


@dataclass(frozen=True)
class Settings:
    """Everything from the command line, checked; made once and passed on."""

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
    """Whether to do without B1 maps."""
    database_dir: Path | None = None
    """Where pybids keeps its index; None: nowhere."""
    database_renewed: bool = False
    """Whether to build that index anew."""
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
    """Memory to use at the same time [GB]; default: 90 % of what is there."""
    low_memory: bool = False
    """Whether to take the way that needs least memory."""
    gpu_memory_gb: float | None = None
    """Memory of the GPU to use [GB]; None: what is free."""
    most_sessions: int = 4
    """Most sessions in one report."""
    command: str = ""
    """The words on the command line."""
    plugin: str = "MultiProc"
    """What runs the steps: one of ``PLUGINS``."""
    plugin_args: Mapping[str, Any] = field(default_factory=dict)
    """Its arguments."""
    log_level: int = logging.INFO
    """As of the logging module."""
    recon: ReconOptions = field(default_factory=ReconOptions)
    """The method and its knobs."""
