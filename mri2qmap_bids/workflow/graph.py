"""Which step waits for which."""

import gc
import logging
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from nipype import config as nipype_config
from nipype.interfaces.utility import IdentityInterface, Merge
from nipype.pipeline.engine import Node, Workflow

from mri2qmap_bids.dataset.checksum import maps_checksum
from mri2qmap_bids.dataset.query import MRFRun
from mri2qmap_bids.errors import Mri2QmapError
from mri2qmap_bids.recon.methods.registry import weights_file
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.report.contents import Page
from mri2qmap_bids.settings import Settings
from mri2qmap_bids.workflow.bar import bar
from mri2qmap_bids.workflow.folders import WorkFolder
from mri2qmap_bids.workflow.output import WriteDerivatives, WriteReport
from mri2qmap_bids.workflow.planning import Survey
from mri2qmap_bids.workflow.plugins import Failure, ForkserverPlugin
from mri2qmap_bids.workflow.reconstruction import BuildDictionary, Reconstruct
from mri2qmap_bids.workflow.slurm import SlurmPlugin

logger = logging.getLogger(__name__)

_RECONSTRUCTED = (
    "maps_file",
    "diagnostics_file",
    "header",
    "warnings",
    "seconds",
    "peak_memory_gb",
)
_WRITTEN = ("t1_map", "t2_map", "m0_map", "mask", "out_files")
_UNKNOWN_MEMORY_GB = 2.0


def init_dataset_wf(
    runs: Sequence[MRFRun],
    settings: Settings,
    surveys: Mapping[str, Survey] | None = None,
    pages: Sequence[Page] = (),
    forced: bool = False,
) -> Workflow:
    """One branch a run, none waiting for another, and one step a page, waiting for its runs.

    Parameters
    ----------
    runs
        What to reconstruct.
    settings
        Directories, resources and method.
    surveys
        Memory and scan of each run, by its name, from its headers; without, every run reads its own headers.
    pages
        Reports to write.
    forced
        Whether to reconstruct anew what the work directory has already.
    """
    surveys = surveys or {}
    workflow = Workflow(name=str(WorkFolder.RUNS), base_dir=str(settings.work_dir))
    for run in runs:
        known = surveys.get(run.name)
        memory_gb = _UNKNOWN_MEMORY_GB if known is None else known.memory_gb
        branch = init_mri2qmap_wf(settings, branch_name(run), memory_gb)
        if known is not None:
            branch.inputs.inputnode.scan_file = str(known.scan_file)
        branch.inputs.inputnode.raw_file = str(run.path)
        branch.inputs.inputnode.metadata = dict(run.metadata)
        branch.inputs.inputnode.entities = dict(run.entities)
        branch.inputs.inputnode.source = run.uri
        branch.inputs.inputnode.checksum = _checksum(run, settings.recon)
        if run.b1 is not None:
            branch.inputs.inputnode.b1_file = str(run.b1.path)
            branch.inputs.inputnode.b1_source = run.b1.uri
        if run.b0 is not None:
            branch.inputs.inputnode.b0_file = str(run.b0.path)
            branch.inputs.inputnode.b0_source = run.b0.uri
        if run.t1w is not None:
            branch.inputs.inputnode.t1w_file = str(run.t1w.path)
            branch.inputs.inputnode.t1w_source = run.t1w.uri
        if forced:
            for step in ("build_dictionary", "reconstruct"):
                branch.get_node(step).overwrite = True
        workflow.add_nodes([branch])
    for page in pages:
        branches = [workflow.get_node(branch_name(r)) for r in runs if page.holds(r.entities)]
        gather = Node(Merge(len(branches)), f"{page.node}_runs", run_without_submitting=True)
        for number, branch in enumerate(branches, 1):
            workflow.connect(branch, "outputnode.out_files", gather, f"in{number}")
        workflow.connect(gather, "out", _report_node(page, settings), "written")
    return workflow


def _checksum(run: MRFRun, options: ReconOptions) -> str:
    """Of all that a run's maps depend on; empty if a file cannot be read, which the steps say."""
    b1, b0 = (None if each is None else each.path for each in (run.b1, run.b0))
    try:
        return maps_checksum(run.path, run.metadata, options, b1, b0)
    except (OSError, Mri2QmapError) as error:
        logger.debug("%s: no checksum: %s", run.name, error)
        return ""


def init_reports_wf(pages: Sequence[Page], settings: Settings) -> Workflow:
    """One step a page, from what is on disk.

    Parameters
    ----------
    pages
        Reports to write.
    settings
        Directories and resources.
    """
    workflow = Workflow(name=str(WorkFolder.REPORTS), base_dir=str(settings.work_dir))
    workflow.add_nodes([_report_node(page, settings) for page in pages])
    return workflow


def _report_node(page: Page, settings: Settings) -> Node:
    node = Node(WriteReport(), name=page.node)
    node.inputs.output_dir = str(settings.output_dir)
    node.inputs.page = page
    node.inputs.viewer = settings.viewer
    return node


def init_mri2qmap_wf(
    settings: Settings, name: str = "mri2qmap_wf", memory_gb: float = _UNKNOWN_MEMORY_GB
) -> Workflow:
    """Workflow from raw file and sidecar of one run to its derivatives, alone or inside another pipeline.

    The derivatives are written below ``settings.output_dir``, without the files that make it a BIDS
    dataset, such as ``dataset_description.json``. Nothing is read or written before the workflow runs.

    Parameters
    ----------
    settings
        Output and work directory, resources and method; the fields that select runs are ignored.
    name
        Of the workflow.
    memory_gb
        Memory that the scheduler reserves for the reconstruction [GB].

    Inputs
    ------
    raw_file
        ISMRMRD file.
    metadata
        Its sidecar as a dictionary, inheritance applied.
    entities
        BIDS entities by short key, in the order of the file name: ``{"sub": "01", "ses": "a"}``.
    source
        BIDS URI of the raw file, for the maps' sidecars; may be left out.
    b1_file
        B1 map in per cent of the nominal flip angle (NIfTI); may be left out.
    b1_source
        BIDS URI of it; may be left out.
    b0_file
        B0 map in Hz, or in the unit of its sidecars (NIfTI); may be left out.
    b0_source
        BIDS URI of it; may be left out.
    scan_file
        What an earlier step has read of the raw file's headers; may be left out.
    t1w_file
        T1w image of the same head, which the maps are registered to (NIfTI); may be left out.
    t1w_source
        BIDS URI of it; may be left out.
    checksum
        Any text that changes with the content of these files; without, a work directory's results are taken
        again as long as a file has the same size and time.

    Outputs
    -------
    t1_map, t2_map
        Relaxation times [s], NIfTI, 0 outside the mask.
    m0_map
        Magnitude of M0, arbitrary unit, NIfTI.
    mask
        Voxels that have maps, NIfTI.
    out_files
        All NIfTI files written, those four included.
    maps_file
        The maps before they are written (npz).
    """
    workflow = Workflow(name=name)
    fields = ["raw_file", "metadata", "entities", "source", "b1_file", "b1_source"]
    fields += ["b0_file", "b0_source", "t1w_file", "t1w_source", "scan_file", "checksum"]
    inputs = Node(IdentityInterface(fields), name="inputnode")
    outputs = Node(IdentityInterface(["maps_file", *_WRITTEN]), name="outputnode")
    dictionary = Node(BuildDictionary(), name="build_dictionary", n_procs=settings.omp_threads)
    dictionary.inputs.cache_dir = str(settings.work_dir / WorkFolder.DICTIONARIES)
    dictionary.inputs.n_threads = settings.omp_threads
    reconstruct = Node(
        Reconstruct(), name="reconstruct", n_procs=settings.omp_threads, mem_gb=memory_gb
    )
    reconstruct.inputs.n_threads = settings.omp_threads
    dictionary.inputs.use_gpu = reconstruct.inputs.use_gpu = _uses_gpu(settings.recon.device)
    reconstruct.inputs.memory_gb = settings.memory_gb
    reconstruct.inputs.low_memory = settings.low_memory
    if settings.gpu_memory_gb is not None:
        reconstruct.inputs.gpu_memory_gb = settings.gpu_memory_gb
    weights = weights_file(settings.recon)
    if weights is not None:
        reconstruct.inputs.weights_file = str(weights)
    write = Node(WriteDerivatives(), name="write_derivatives")
    write.inputs.output_dir = str(settings.output_dir)
    write.inputs.command = settings.command
    write.inputs.output_spaces = list(settings.output_spaces)
    for node in (dictionary, reconstruct, write):
        node.inputs.options = settings.recon
        node.inputs.log_dir = str(settings.output_dir)
    if settings.bar_dir is not None and settings.plugin == "MultiProc":
        reconstruct.inputs.bar_dir = str(settings.bar_dir)
    scan = [(name, name) for name in ("raw_file", "metadata", "entities", "b1_file", "checksum")]
    reconstructed = [*scan, ("b0_file", "b0_file")]
    described = ("source", "b1_source", "b0_source", "t1w_file", "t1w_source")
    documents = [*reconstructed, *((name, name) for name in described)]
    workflow.connect(
        [
            (inputs, dictionary, [*scan, ("scan_file", "scan_file")]),
            (inputs, reconstruct, reconstructed),
            (dictionary, reconstruct, [(name, name) for name in ("dictionary_file", "scan_file")]),
            (inputs, write, documents),
            (reconstruct, write, [(name, name) for name in _RECONSTRUCTED]),
            (reconstruct, outputs, [("maps_file", "maps_file")]),
            (write, outputs, [(name, name) for name in _WRITTEN]),
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
    reported: frozenset[str] = frozenset()
    """Steps (see :class:`Page`) whose reports are written."""


def execute(workflow: Workflow, settings: Settings) -> Outcome:
    """Run a workflow in parallel; say which nodes failed instead of raising.

    Nodes that waited for a failed one are left out, all others are done, unless the first
    failure is to stop them. A workflow without nodes, which Nipype refuses to run, is done at
    once.
    """
    if not workflow.list_node_names():
        return Outcome()
    crash_dir = settings.work_dir / WorkFolder.CRASHES
    crash_dir.mkdir(parents=True, exist_ok=True)
    workflow.config["execution"] = {
        **nipype_config._sections["execution"],
        "crashdump_dir": str(crash_dir),
        "crashfile_format": "txt",
        "stop_on_first_crash": str(settings.stop_on_first_crash).lower(),
        "poll_sleep_duration": f"{_poll_seconds(workflow, settings.plugin):.2f}",
        "check_version": "false",
    }
    if settings.write_graph:
        _draw(workflow, settings.work_dir)
    plugin = _plugin(settings)
    # Nipype collects garbage before each node; going through torch's objects took 0.2 s.
    gc.collect()
    gc.freeze()
    try:
        with _bar(workflow, plugin, settings):
            workflow.run(plugin=plugin)
    except Exception:  # Nipype raises the first error of a node again, of whatever kind
        if not plugin.failures:
            raise
    finally:
        plugin.close()
        gc.unfreeze()
    names = [name.split(".") for name in plugin.finished]
    done = frozenset(parts[1] for parts in names if parts[-1] == "write_derivatives")
    reported = frozenset(parts[-1] for parts in names if parts[-1].startswith("report_"))
    return Outcome(tuple(plugin.failures), done, reported)


def _bar(
    workflow: Workflow, plugin: ForkserverPlugin | SlurmPlugin, settings: Settings
) -> AbstractContextManager[None]:
    """The bar of the runs of a workflow, where there is a terminal."""
    names = [name for name in workflow.list_node_names() if name.endswith(".write_derivatives")]
    if settings.bar_dir is None or settings.plugin == "SLURM" or not names:
        return nullcontext()
    ended = f"{workflow.name}."

    def n_done() -> int:
        done = {name.removeprefix(ended) for name in plugin.finished.copy()}
        return sum(name in done for name in names) + len(plugin.failures)

    return bar(settings.bar_dir, len(names), n_done)


def _plugin(settings: Settings) -> ForkserverPlugin | SlurmPlugin:
    """What runs the steps."""
    if settings.plugin == "SLURM":
        return SlurmPlugin(dict(settings.plugin_args))
    # All runs have the same GPU.
    resources = {"n_procs": settings.n_procs, "memory_gb": settings.memory_gb, "n_gpu_procs": 1}
    return ForkserverPlugin({**resources, **settings.plugin_args}, settings.log_level)


def _uses_gpu(device: str) -> bool:
    if device == "cpu":
        return False
    import torch

    return torch.cuda.is_available()


def _poll_seconds(workflow: Workflow, plugin: str) -> float:
    """How long to wait before looking at all nodes again: longer if that is more work."""
    if plugin == "SLURM":
        return 2.0  # every poll is a request to a scheduler that all users share
    return float(min(max(len(workflow.list_node_names()) / 4000, 0.05), 1.0))


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


def branch_name(run: MRFRun) -> str:
    """A run's name as Nipype allows it, another one for each run.

    >>> from pathlib import Path
    >>> branch_name(MRFRun(Path("x"), {"sub": "01", "acq": "a+b"}))
    'sub_01_acq_a__b'
    """
    return re.sub(r"\W", "_", run.name.replace("+", "__"))
