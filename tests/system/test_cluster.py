"""A real Slurm of one node: three participants as an array of jobs, and as a job for every step.

Not part of the other tests: ``make slurm-test``. One job is cancelled while it runs, and the same
command given again.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from helpers import slurm

from mri2qmap_bids import tools

ROOT = Path(__file__).parents[2]
LABELS = ("01", "02", "03")
# The node has a GPU in name alone, and no more memory than this machine.
REQUEST = ["--gpus=1", "--cpus-per-task=1", "--mem=4000M"]

pytestmark = pytest.mark.skipif(
    slurm.reason_to_skip() is not None, reason=f"Slurm: {slurm.reason_to_skip()}"
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A folder that all nodes see, with a dataset of three participants."""
    root = tmp_path_factory.mktemp("shared")
    words = ["simulate", str(root / "data"), "--participants", "3", "--matrix", "48"]
    words += ["--frames", "100", "--coils", "4", "--acceleration", "4", "--noise", "0.1"]
    assert tools.main(words) == 0
    (root / "participants.txt").write_text("\n".join(LABELS) + "\n")
    return root


@pytest.fixture(scope="module")
def expected(shared):
    """The maps that one call for all makes."""
    words = [str(shared / "data"), str(shared / "alone"), "participant"]
    words += ["-w", str(shared / "work-alone"), "--nprocs", "1"]
    subprocess.run([sys.executable, "-m", "mri2qmap_bids", *words], check=True)
    return shared / "alone"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The environment of a user of the cluster, with this installation on the PATH."""
    with slurm.one_node(tmp_path_factory.mktemp("slurm"), gpus=2) as environment:
        programs = Path(sys.executable).parent
        search = [str(ROOT), environment.get("PYTHONPATH", "")]
        yield {
            **environment,
            "PATH": f"{programs}:{environment['PATH']}",
            "PYTHONPATH": ":".join(filter(None, search)),
        }


def output(command, environment):
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout


def jobs(environment):
    """State by job or task, of all jobs that Slurm remembers."""
    text = output(["scontrol", "show", "job", "-o"], environment)
    nodes = {}
    for line in text.splitlines():
        facts = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if "JobId" in facts:
            task = facts.get("ArrayTaskId")
            nodes[f"{facts['ArrayJobId']}_{task}" if task else facts["JobId"]] = facts
    return nodes


def wait_for(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)
    return result


def submit(shared, environment, folder):
    """The example's array; the job's number."""
    command = ["sbatch", "--parsable", "--array=1-3", *REQUEST, f"--chdir={folder}"]
    command += [str(ROOT / "cluster" / "participants.sbatch"), str(shared / "data")]
    command += [str(shared / "array"), str(shared / "participants.txt")]
    return output(command, environment).strip()


def assert_all_derivatives(folder: Path, expected: Path):
    """Every file of every participant, with the values that one call makes, and no other."""
    names = sorted(path.relative_to(expected) for path in expected.glob("sub-*/**/*.*"))
    assert {name.parts[0] for name in names} == {f"sub-{label}" for label in LABELS}
    assert sorted(path.relative_to(folder) for path in folder.glob("sub-*/**/*.*")) == names
    for name in names:
        if name.name.endswith(".nii.gz"):
            ours, theirs = (nib.load(root / name).get_fdata() for root in (folder, expected))
            assert np.quantile(np.abs(ours - theirs), 0.99) < 1e-3 * np.abs(theirs).max(), name
        elif name.suffix == ".json":
            json.loads((folder / name).read_text())
    assert not [path for path in folder.rglob("*") if path.name.startswith(".tmp-")]


def test_array_with_a_job_that_is_cancelled_and_submitted_again(
    shared, cluster, expected, validator, tmp_path
):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {**cluster, "TMPDIR": str(scratch)}
    first = submit(shared, environment, tmp_path)
    log = tmp_path / f"mri2qmap-{first}_2.log"
    wait_for(lambda: log.exists() and "Dictionary" in log.read_text())
    subprocess.run(["scancel", f"{first}_2"], env=environment, check=True)
    wait_for(
        lambda: all(
            job["JobState"] not in ("PENDING", "RUNNING", "COMPLETING")
            for job in jobs(environment).values()
        )
    )
    states = {name: job["JobState"] for name, job in jobs(environment).items()}
    assert states == {
        f"{first}_1": "COMPLETED",
        f"{first}_2": "CANCELLED",
        f"{first}_3": "COMPLETED",
    }
    assert not list((shared / "array" / "sub-02").rglob("*.nii.gz"))
    assert list(scratch.iterdir()) == []  # the cancelled job's work, too

    second = submit(shared, environment, tmp_path)
    wait_for(
        lambda: all(
            job["JobState"] == "COMPLETED"
            for name, job in jobs(environment).items()
            if name.startswith(second)
        )
    )
    logs = {index: (tmp_path / f"mri2qmap-{second}_{index}.log").read_text() for index in (1, 2, 3)}
    assert "0 done, 1 skipped, 0 failed" in logs[1]
    assert "1 done, 0 skipped, 0 failed" in logs[2]
    assert "0 done, 1 skipped, 0 failed" in logs[3]
    assert_all_derivatives(shared / "array", expected)
    assert validator(shared / "array")[0] == 0
    assert list(scratch.iterdir()) == []


def test_line_that_is_not_there_fails_alone(shared, cluster, tmp_path):
    command = ["sbatch", "--parsable", "--wait", "--array=9", *REQUEST, f"--chdir={tmp_path}"]
    command += [str(ROOT / "cluster" / "participants.sbatch"), str(shared / "data")]
    command += [str(tmp_path / "out"), str(shared / "participants.txt")]
    process = subprocess.run(command, env=cluster, capture_output=True, text=True, check=False)
    assert process.returncode == 64
    assert "has no line 9" in (tmp_path / f"mri2qmap-{process.stdout.strip()}_9.log").read_text()


def test_every_step_a_job_with_one_that_is_cancelled_and_called_again(
    shared, cluster, expected, validator
):
    words = [str(shared / "data"), str(shared / "steps"), "participant", "--nprocs", "1"]
    words += ["--mem", "5G"]
    words += ["-w", str(shared / "work"), "--use-plugin", str(ROOT / "cluster" / "slurm.yml")]
    command = [sys.executable, "-m", "mri2qmap_bids", *words]
    before = set(jobs(cluster))
    call = subprocess.Popen(command, env=cluster, stderr=subprocess.PIPE, text=True)

    def reconstructing():
        return [
            name
            for name, job in jobs(cluster).items()
            if name not in before
            and job["JobName"].startswith("reconstruct.sub_02")
            and job["JobState"] == "RUNNING"
        ]

    try:
        (job,) = wait_for(reconstructing)
        facts = jobs(cluster)[job]
        subprocess.run(["scancel", job], env=cluster, check=True)
        _, errors = call.communicate(timeout=500)
    finally:
        call.kill()
    assert "cpu=1,mem=5500M" in facts["TRES"]
    assert facts["TresPerJob"].endswith("gpu:1")
    assert call.returncode == 1, errors
    assert f"sub-02: failed: RuntimeError: Slurm job {job} left no result" in errors
    assert "its state is CANCELLED" in errors
    assert "2 done, 0 skipped, 1 failed" in errors
    assert not list((shared / "steps" / "sub-02").rglob("*.nii.gz"))

    again = subprocess.run(command, env=cluster, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "1 done, 2 skipped, 0 failed" in again.stderr
    assert_all_derivatives(shared / "steps", expected)
    assert validator(shared / "steps")[0] == 0
