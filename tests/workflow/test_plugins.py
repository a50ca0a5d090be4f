"""Nipype's execution as it is mended: in which order steps run, and how they end."""

import time
import traceback
from itertools import pairwise
from pathlib import Path

import pytest
from nipype.interfaces.utility import Function
from nipype.pipeline.engine import Node, Workflow
from nipype.pipeline.engine.utils import load_resultfile as load_result

from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.settings import Settings
from mri2qmap_bids.workflow.graph import Outcome, execute, init_mri2qmap_wf
from mri2qmap_bids.workflow.plugins import reason_in
from mri2qmap_bids.workflow.reconstruction import Reconstruct


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


def run(workflow: Workflow, tmp_path: Path, **settings) -> Outcome:
    workflow.base_dir = str(tmp_path)
    return execute(workflow, Settings(tmp_path, tmp_path, tmp_path, **settings))


def test_a_run_that_has_begun_goes_before_one_that_has_not(tmp_path):
    workflow, log = Workflow("mri2qmap_wf"), tmp_path / "log"
    for branch in ("a", "b", "c"):
        first, second = step(f"{branch}1", log), step(f"{branch}2", log)
        workflow.connect(first, "out", second, "before")
    run(workflow, tmp_path, n_procs=1)
    order = [line.split()[0] for line in log.read_text().splitlines()]
    assert order == ["a1", "a2", "b1", "b2", "c1", "c2"]


def test_steps_begin_however_little_memory_they_may_take(tmp_path):
    """As reports of runs that were refused for it."""
    workflow, log = Workflow("mri2qmap_wf"), tmp_path / "log"
    workflow.add_nodes([step("a", log)])
    run(workflow, tmp_path, n_procs=1, memory_gb=0.001)
    assert log.read_text().startswith("a ")


def test_too_little_memory_is_one_line_where_it_is_to_be_an_error(tmp_path):
    workflow = Workflow("mri2qmap_wf")
    workflow.add_nodes([step("a", tmp_path / "log")])
    arguments = {"memory_gb": 0.1, "raise_insufficient": True}
    with pytest.raises(UsageError, match="must suffice for each step .* got 1 and 0.1"):
        run(workflow, tmp_path, n_procs=1, plugin_args=arguments)


def intervals(log: Path) -> list[tuple[float, float]]:
    return sorted(tuple(map(float, line.split()[1:])) for line in log.read_text().splitlines())


def test_one_step_at_a_time_has_the_gpu(tmp_path, caplog):
    workflow, log = Workflow("mri2qmap_wf"), tmp_path / "log"
    for name in ("a", "b", "c"):
        node = Node(
            Function(function=on_gpu, output_names=["out"], imports=["import time"]), name=name
        )
        node.inputs.trait_set(file=str(log), use_gpu=True)
        workflow.add_nodes([node])
    run(workflow, tmp_path, n_procs=3)
    times = intervals(log)
    assert len(times) == 3
    assert all(end <= begin for (_, end), (begin, _) in pairwise(times))
    assert "at your own risk" not in caplog.text


def meet(folder, name):
    """Come to a place, and wait there for the other one."""
    import time
    from pathlib import Path

    (Path(folder) / name).touch()
    deadline = time.monotonic() + 120
    while len(list(Path(folder).iterdir())) < 2:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_steps_without_a_gpu_run_side_by_side(tmp_path):
    workflow, folder = Workflow("mri2qmap_wf"), tmp_path / "place"
    folder.mkdir()
    for name in ("a", "b"):
        node = Node(Function(function=meet, output_names=["met"]), name=name)
        node.inputs.trait_set(folder=str(folder), name=name)
        workflow.add_nodes([node])
    run(workflow, tmp_path, n_procs=2)
    results = [load_result(path) for path in tmp_path.rglob("result_*.pklz")]
    assert [result.outputs.met for result in results] == [True, True]


def on_gpu(file, use_gpu):
    """Hold the GPU for a while."""
    from pathlib import Path

    begin = time.monotonic()
    time.sleep(0.3)
    with Path(file).open("a") as log:
        log.write(f"x {begin} {time.monotonic()}\n")
    return use_gpu


def test_the_reconstruction_asks_for_the_gpu_if_it_computes_there(tmp_path, monkeypatch):
    for there, device, expected in (
        (True, "auto", True),
        (True, "cpu", False),
        (False, "auto", False),
    ):
        monkeypatch.setattr("torch.cuda.is_available", lambda there=there: there)
        recon = ReconOptions(device=device)
        graph = init_mri2qmap_wf(Settings(tmp_path, tmp_path, tmp_path, recon=recon))
        for name in ("build_dictionary", "reconstruct"):
            assert graph.get_node(name).is_gpu_node() == expected
        assert not graph.get_node("write_derivatives").is_gpu_node()


def end_badly(how):
    """Fail in one of the ways in which a step can."""
    import os
    import signal
    import time
    import zlib

    if how == "killed":
        time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "long":
        time.sleep(4.0)
        return how
    raise {
        "key": KeyError("odd"),
        "memory": MemoryError(),
        "compression": zlib.error("Error -3"),
        "lines": OSError("first\nsecond"),
    }[how]


def bad_step(how: str, name: str = "") -> Node:
    node = Node(Function(function=end_badly, output_names=["out"]), name=name or how)
    node.inputs.how = how
    return node


def test_a_failure_has_its_own_cause_and_not_the_wrappers(tmp_path):
    workflow = Workflow("mri2qmap_wf")
    workflow.add_nodes([bad_step(how) for how in ("key", "memory", "compression", "lines")])
    outcome = run(workflow, tmp_path, n_procs=2)
    assert {failure.node.split(".")[1]: failure.reason for failure in outcome.failures} == {
        "key": "KeyError: 'odd'",
        "memory": "MemoryError",
        "compression": "zlib.error: Error -3",
        "lines": "OSError: first",
    }
    assert all("Traceback" in Path(f.crash_file).read_text() for f in outcome.failures)


def test_a_killed_worker_takes_no_other_step_with_it(tmp_path):
    workflow, after = Workflow("mri2qmap_wf"), step("after", tmp_path / "log")
    # One before and one after, in any order: a pool watches first the worker that it started first.
    workflow.add_nodes([bad_step("killed", "a")])
    workflow.connect(bad_step("long"), "out", after, "before")
    workflow.add_nodes([bad_step("killed", "z")])
    failures = run(workflow, tmp_path, n_procs=3).failures
    assert sorted(failure.node.split(".")[1] for failure in failures) == ["a", "z"]
    for failure in failures:
        assert "lower --mem or --nprocs" in failure.reason
        assert "raise --mem" not in failure.reason
    assert (tmp_path / "log").exists()


def test_a_step_of_a_run_names_the_runs_file(tmp_path):
    raw = tmp_path / "x.h5"
    raw.touch()
    node = Node(Reconstruct(), "reconstruct", base_dir=str(tmp_path))
    node.inputs.trait_set(raw_file=str(raw), metadata={}, options=None)
    node.inputs.dictionary_file = node.inputs.scan_file = str(raw)
    with pytest.raises(RuntimeError) as caught:
        node.run()
    reason = reason_in("".join(traceback.format_exception(caught.value)))
    assert reason.startswith(f"{raw}: ")
