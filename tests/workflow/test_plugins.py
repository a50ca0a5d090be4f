"""Nipype's execution as it is mended: in which order steps run."""

from pathlib import Path

from nipype.interfaces.utility import Function
from nipype.pipeline.engine import Node, Workflow

from mri2qmap_bids.settings import Settings
from mri2qmap_bids.workflow.graph import execute


def note(file, name, seconds=0.0, before=None):
    """Write the begin and the end of a step into a file."""
    import time
    from pathlib import Path

    begin = time.monotonic()
    time.sleep(seconds)
    with Path(file).open("a") as log:
        log.write(f"{name} {begin} {time.monotonic()}\n")
    return name


def step(name: str, file: Path, **inputs) -> Node:
    node = Node(Function(function=note, output_names=["out"]), name=name)
    node.inputs.file, node.inputs.name = str(file), name
    node.inputs.trait_set(**inputs)
    return node


def run(workflow: Workflow, tmp_path: Path, **settings) -> None:
    workflow.base_dir = str(tmp_path)
    execute(workflow, Settings(tmp_path, tmp_path, tmp_path, **settings))


def test_a_run_that_has_begun_goes_before_one_that_has_not(tmp_path):
    workflow, log = Workflow("mri2qmap_wf"), tmp_path / "log"
    for branch in ("a", "b", "c"):
        first, second = step(f"{branch}1", log), step(f"{branch}2", log)
        workflow.connect(first, "out", second, "before")
    run(workflow, tmp_path, n_procs=1)
    order = [line.split()[0] for line in log.read_text().splitlines()]
    assert order == ["a1", "a2", "b1", "b2", "c1", "c2"]
