"""Which step waits for which."""

import logging
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nipype import config as nipype_config
from nipype.interfaces.utility import IdentityInterface
from nipype.pipeline.engine import Node, Workflow

from mri2qmap_bids.dataset.query import MRFRun
from mri2qmap_bids.errors import Mri2QmapError
from mri2qmap_bids.settings import Settings
from mri2qmap_bids.workflow.interfaces import BuildDictionary, Reconstruct, WriteDerivatives
from mri2qmap_bids.workflow.plugins import Failure, ForkserverPlugin

logger = logging.getLogger(__name__)

_RECONSTRUCTED = ("maps_file", "diagnostics_file", "warnings", "seconds", "peak_memory_gb")


def init_mri2qmap_wf(runs: Sequence[MRFRun], settings: Settings) -> Workflow:
    """One branch a run, none waiting for another.

    Parameters
    ----------
    runs
        What to reconstruct.
    settings
        Directories, resources and method.
    """
    workflow = Workflow(name="mri2qmap_wf", base_dir=str(settings.work_dir))
    for run in runs:
        branch = init_run_wf(settings, branch_name(run), _memory_of(run, settings))
        branch.inputs.inputnode.raw_file = str(run.path)
        branch.inputs.inputnode.metadata = dict(run.metadata)
        branch.inputs.inputnode.entities = dict(run.entities)
        branch.inputs.inputnode.source = run.uri
        workflow.add_nodes([branch])
    return workflow


def init_run_wf(settings: Settings, name: str = "run_wf", memory_gb: float = 2.0) -> Workflow:
    """Raw file and sidecar of one run to its derivatives.

    ``memory_gb`` is what the scheduler sets aside for the reconstruction.

    Inputs
    ------
    raw_file
        ISMRMRD file.
    metadata
        Its sidecar as a dictionary, inheritance applied.
    entities
        BIDS entities by short key.
    source
        BIDS URI of the raw file.

    Outputs
    -------
    maps_file
        Quantitative maps (npz).
    out_files
        The NIfTI files written.
    """
    workflow = Workflow(name=name)
    inputs = Node(
        IdentityInterface(["raw_file", "metadata", "entities", "source"]), name="inputnode"
    )
    outputs = Node(IdentityInterface(["maps_file", "out_files"]), name="outputnode")
    dictionary = Node(BuildDictionary(), name="build_dictionary", n_procs=settings.omp_threads)
    dictionary.inputs.cache_dir = str(settings.work_dir / "dictionaries")
    dictionary.inputs.n_threads = settings.omp_threads
    reconstruct = Node(
        Reconstruct(), name="reconstruct", n_procs=settings.omp_threads, mem_gb=memory_gb
    )
    reconstruct.inputs.n_threads = settings.omp_threads
    reconstruct.inputs.memory_gb = settings.memory_gb
    if settings.gpu_memory_gb:
        reconstruct.inputs.gpu_memory_gb = settings.gpu_memory_gb
    if settings.recon.weights_file:
        reconstruct.inputs.weights_file = str(settings.recon.weights_file)
    write = Node(WriteDerivatives(), name="write_derivatives")
    write.inputs.output_dir = str(settings.output_dir)
    write.inputs.command = settings.command
    for node in (dictionary, reconstruct, write):
        node.inputs.options = settings.recon
    scan = [("raw_file", "raw_file"), ("metadata", "metadata")]
    described = [*scan, ("entities", "entities"), ("source", "source")]
    workflow.connect(
        [
            (inputs, dictionary, scan),
            (inputs, reconstruct, scan),
            (dictionary, reconstruct, [("dictionary_file", "dictionary_file")]),
            (inputs, write, described),
            (reconstruct, write, [(name, name) for name in _RECONSTRUCTED]),
            (reconstruct, outputs, [("maps_file", "maps_file")]),
            (write, outputs, [("out_files", "out_files")]),
        ]
    )
    return workflow


@dataclass(frozen=True)
class Outcome:
    """What became of a workflow."""

    failures: tuple[Failure, ...] = ()
    """Nodes that failed."""
    done: frozenset[str] = frozenset()
    """Branches (see :func:`branch_name`) whose derivatives are written."""


def execute(workflow: Workflow, settings: Settings) -> Outcome:
    """Run a workflow in parallel; say which nodes failed instead of raising.

    Nodes that waited for a failed one are left out, all others are done, unless the first
    failure is to stop them. A workflow without nodes, which Nipype refuses to run, is done at
    once.
    """
    if not workflow.list_node_names():
        return Outcome()
    crash_dir = settings.work_dir / "crashes"
    crash_dir.mkdir(parents=True, exist_ok=True)
    workflow.config["execution"] = {
        **nipype_config._sections["execution"],
        "crashdump_dir": str(crash_dir),
        "crashfile_format": "txt",
        "stop_on_first_crash": str(settings.stop_on_first_crash).lower(),
        "poll_sleep_duration": "0.2",
        "check_version": "false",
    }
    if settings.write_graph:
        _draw(workflow, settings.work_dir)
    plugin = ForkserverPlugin(
        {"n_procs": settings.n_procs, "memory_gb": settings.memory_gb}, settings.log_level
    )
    try:
        workflow.run(plugin=plugin)
    except RuntimeError:
        if not plugin.failures:
            raise
    finally:
        plugin.pool.shutdown(wait=False, cancel_futures=True)
    names = [name.split(".") for name in plugin.finished]
    done = frozenset(parts[1] for parts in names if parts[-1] == "write_derivatives")
    return Outcome(tuple(plugin.failures), done)


def _draw(workflow: Workflow, folder: Path) -> None:
    """The graph as a text file for Graphviz, and as a picture where Graphviz is there."""
    picture = shutil.which("dot") is not None
    folder.mkdir(parents=True, exist_ok=True)
    target = str(folder / "graph.dot")
    if picture:
        workflow.write_graph(dotfilename=target, graph2use="colored", format="svg")
    else:
        workflow.write_hierarchical_dotfile(dotfilename=target, colored=True)
    logger.info("Graph: %s", target)


def _memory_of(run: MRFRun, settings: Settings) -> float:
    """The host's memory that a run will take [GB], for the scheduler."""
    from mri2qmap_bids.workflow.planning import plans_of

    try:
        plan = plans_of(run, settings)[0]
    except Mri2QmapError:
        return 1.0  # the run itself will say what is wrong
    return (plan.host or plan.device) / 1e9


def branch_name(run: MRFRun) -> str:
    """A run's name as Nipype allows it.

    >>> from pathlib import Path
    >>> branch_name(MRFRun(Path("x"), {"sub": "01", "acq": "a"}))
    'sub_01_acq_a'
    """
    return re.sub(r"\W", "_", run.name)
