"""Raw dataset to derivatives through the command line, as a user would."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from mri2qmap_bids import tools
from mri2qmap_bids.cli import main
from mri2qmap_bids.dataset.group import UNITS
from mri2qmap_bids.dataset.scores import compare_datasets

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def truth(small_dataset):
    return small_dataset / "derivatives" / "mri2qmap-simulate"


def test_raw_dataset_passes_the_validator(small_dataset, validator):
    assert validator(small_dataset)[0] == 0


def test_derivatives_pass_the_validator_without_a_warning(derivatives, validator):
    assert validator(derivatives) == (0, "")


def test_what_was_done_is_told_with_its_papers(derivatives):
    text = (derivatives / "logs" / "CITATION.md").read_text()
    assert "2 runs" in text
    assert "1 run more" in text
    assert "torch" in text
    assert "golbabaee2026" in (derivatives / "logs" / "CITATION.bib").read_text()


def test_every_run_has_every_derivative(derivatives):
    stems = [
        "sub-01/ses-1/anat/sub-01_ses-1_acq-2d",
        "sub-01/ses-2/anat/sub-01_ses-2_acq-2d",
        "sub-02/ses-1/anat/sub-02_ses-1_acq-3d",
    ]
    ends = ["T1map", "T2map", "M0map", "R1map", "R2map", "desc-std_T1map", "desc-std_T2map"]
    ends += ["dseg", *(f"label-{tissue}_probseg" for tissue in ("GM", "WM", "CSF"))]
    ends += ["desc-head_mask", "desc-brain_mask"]
    ends += [f"desc-synthetic_{suffix}" for suffix in ("T1w", "T2w", "PDw", "FLAIR")]
    expected = {
        f"{stem}_{end}{ext}" for stem in stems for end in ends for ext in (".nii.gz", ".json")
    }
    expected |= {f"{stem}_dseg.tsv" for stem in stems}
    names = {str(path.relative_to(derivatives)) for path in derivatives.rglob("sub-*/**/anat/*")}
    assert names == expected


def test_well_posed_maps_are_within_two_per_cent(derivatives, truth):
    scores = compare_datasets(derivatives, truth)
    assert set(scores.run) == {"sub-01_ses-1_acq-2d", "sub-01_ses-2_acq-2d", "sub-02_ses-1_acq-3d"}
    tissue = scores[scores.tissue.isin(["GM", "WM"])]
    assert (tissue.n_voxels > 50).all()
    assert (tissue.T1_MAPE < 2).all(), tissue
    assert (tissue.T2_MAPE < 2).all(), tissue
    assert (scores.M0_NRMSE < 5).all(), scores


def test_maps_overlay_the_truth_in_world_coordinates(derivatives, truth):
    name = "sub-01/ses-1/anat/sub-01_ses-1_acq-2d_T1map.nii.gz"
    estimate, reference = nib.load(derivatives / name), nib.load(truth / name)
    assert np.allclose(estimate.affine, reference.affine, atol=1e-3)
    off_diagonal = reference.affine[:3, :3] - np.diag(np.diag(reference.affine[:3, :3]))
    assert np.abs(off_diagonal).max() > 0.1  # oblique indeed


def test_group_tables_hold_every_run_and_region(derivatives):
    for measure, units in UNITS.items():
        table = pd.read_csv(derivatives / f"group_{measure}.tsv", sep="\t")
        assert len(table) == 3 * 4
        assert set(table.region) == {"GM", "WM", "CSF", "mask"}
        described = json.loads((derivatives / f"group_{measure}.json").read_text())
        assert set(described) == set(table.columns)
        assert described["median"]["Units"] == units
    t1 = pd.read_csv(derivatives / "group_T1map.tsv", sep="\t").set_index(["session_id", "region"])[
        "median"
    ]
    assert (t1.xs("WM", level="region") < t1.xs("GM", level="region")).all()


def test_gridding_runs_through_to_maps(small_dataset, tmp_path, truth):
    words = [str(small_dataset), str(tmp_path / "out"), "participant", "--recon-method", "gridding"]
    words += ["--participant-label", "01", "--session-label", "2", "-w", str(tmp_path / "work")]
    assert main(words) == 0
    scores = compare_datasets(tmp_path / "out", truth)
    assert set(scores.run) == {"sub-01_ses-2_acq-2d"}
    assert (scores[scores.tissue == "GM+WM"].T1_MAPE < 15).all()


def test_evaluate_prints_a_table_and_writes_json(derivatives, truth, tmp_path, capsys):
    assert (
        tools.main(["evaluate", str(derivatives), str(truth), "--output", str(tmp_path / "s.json")])
        == 0
    )
    assert "T1_MAPE" in capsys.readouterr().out
    records = json.loads((tmp_path / "s.json").read_text())
    assert {"run", "tissue", "T1_MAPE", "T2_bias", "T2_sd", "M0_NRMSE", "T1_SSIM"} <= set(
        records[0]
    )


def test_a_second_call_finds_the_work_done(small_dataset, tmp_path):
    words = [str(small_dataset), str(tmp_path / "out"), "participant", "--participant-label", "01"]
    words += ["--session-label", "1", "--recon-method", "gridding", "--nprocs", "1"]
    words += ["-w", str(tmp_path / "work")]
    assert main(words) == 0
    maps = next((tmp_path / "work").rglob("maps.npz"))
    stamp = maps.stat().st_mtime_ns
    next((tmp_path / "out").rglob("*_T1map.nii.gz")).unlink()
    assert main(words) == 0
    assert maps.stat().st_mtime_ns == stamp
    assert list((tmp_path / "out").rglob("*_T1map.nii.gz"))


def test_module_and_help_start_without_the_science():
    program = (
        "import sys; from mri2qmap_bids import tools; from mri2qmap_bids.cli.parser import build_parser\n"
        "build_parser(); tools.build_parser()\n"
        "print([m for m in ('torch', 'nipype', 'bids', 'nibabel') if m in sys.modules])"
    )
    assert _output([sys.executable, "-c", program]).strip() == "[]"
    assert "--participant-label" in _output([sys.executable, "-m", "mri2qmap_bids", "--help"])


def _output(command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def command(dataset, out, work, *words):
    program = [sys.executable, "-m", "mri2qmap_bids", str(dataset), str(out), "participant"]
    return [*program, "-w", str(work), "--recon-method", "gridding", "--nprocs", "1", *words]


def descendants(pid: int) -> list[int]:
    """Processes that a process has started, and theirs."""
    pids = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            pids += [child, *descendants(child)]
    return pids


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_killed_call_leaves_nothing_half_written_and_the_next_one_finishes(
    small_dataset, tmp_path
):
    out, work = tmp_path / "out", tmp_path / "work"
    words = command(small_dataset, out, work)
    rng = np.random.default_rng(0)
    # What a killed process cannot remove goes with the test's own folder.
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    for wait in (*rng.uniform(5, 15, 2), None):
        process = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
        )
        try:
            process.communicate(timeout=wait)
        except subprocess.TimeoutExpired:
            children = descendants(process.pid)
            process.kill()
            process.communicate()
            deadline = time.monotonic() + 120
            while any(Path(f"/proc/{pid}").exists() for pid in children):
                assert time.monotonic() < deadline, "a worker lives on"
                time.sleep(0.1)
        for path in out.rglob("sub-*.nii.gz"):
            assert np.isfinite(nib.load(path).get_fdata()).all()
        for path in out.rglob("sub-*.json"):
            json.loads(path.read_text())
    assert process.returncode == 0
    assert len(list(out.rglob("*_desc-head_mask.json"))) == 3


def test_a_call_that_is_told_to_stop_leaves_no_temporary_folder(small_dataset, tmp_path):
    # Sockets lie in it only if its path is short.
    private = Path(tempfile.mkdtemp(prefix="mri2qmap-test-"))
    process = subprocess.Popen(
        command(small_dataset, tmp_path / "out", tmp_path / "work"),
        env={**os.environ, "TMPDIR": str(private)},
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if "run(s) found" in line:
            break
    assert list(private.glob("mri2qmap-*"))
    deadline = time.monotonic() + 60
    while not list(private.glob("pymp-*/*")):  # the socket to the workers
        assert time.monotonic() < deadline, "no worker was started"
        time.sleep(0.05)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    assert list(private.iterdir()) == []
    private.rmdir()


def test_two_calls_share_an_output_directory(small_dataset, tmp_path):
    out = tmp_path / "out"
    calls = [
        subprocess.Popen(
            command(small_dataset, out, tmp_path / label, "--participant-label", label),
            stderr=subprocess.PIPE,
            text=True,
        )
        for label in ("01", "02")
    ]
    for call in calls:
        _, errors = call.communicate(timeout=300)
        assert call.returncode == 0, errors
    assert len(list(out.rglob("*_desc-head_mask.nii.gz"))) == 3
    assert json.loads((out / "dataset_description.json").read_text())["DatasetType"] == "derivative"
    assert len(list((out / "logs").glob("*.toml"))) == 2


REFUSING = """
import socket
from pathlib import Path

def refuse(*words, **_):
    with Path({log!r}).open("a") as log:
        log.write(repr(words) + "\\n")
    raise OSError("no network")

def connect(self, address, real=socket.socket.connect):
    return real(self, address) if self.family == socket.AF_UNIX else refuse(address)

socket.getaddrinfo = socket.gethostbyname = socket.create_connection = refuse
socket.socket.connect = socket.socket.connect_ex = connect
"""


def test_a_whole_run_needs_and_tries_no_network(small_dataset, tmp_path):
    """In a namespace without a network where that can be made, and with every attempt noted."""
    attempts = tmp_path / "attempts"
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(REFUSING.format(log=str(attempts)))
    isolated = ["unshare", "-rn"] if _succeeds(["unshare", "-rn", "true"]) else []
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    words = command(small_dataset, tmp_path / "out", tmp_path / "work", "--participant-label", "02")
    process = subprocess.run(
        [*isolated, *words, "--recon-method", "mri2qmap", "--sloppy"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert len(list((tmp_path / "out").rglob("*_desc-head_mask.nii.gz"))) == 1
    assert not attempts.exists(), attempts.read_text()
    # The refusal itself works.
    program = "import socket; socket.create_connection(('localhost', 9))"
    environment = {**os.environ, "PYTHONPATH": path}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode
    assert "localhost" in attempts.read_text()


def _succeeds(words: list[str]) -> bool:
    return shutil.which(words[0]) is not None and not subprocess.run(words, check=False).returncode
