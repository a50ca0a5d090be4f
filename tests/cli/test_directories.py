"""Output and work directory."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command import one_error, run, settings

from mri2qmap_bids.cli.directories import empty
from mri2qmap_bids.errors import OutputError, UsageError
from mri2qmap_bids.workflow.folders import WorkFolder


def test_output_must_not_be_the_raw_data(tmp_path, capfd):
    (tmp_path / "sub-01").mkdir()
    assert run(tmp_path, tmp_path, "participant") == 64
    assert "another directory than bids_dir" in one_error(capfd)
    assert run(tmp_path, tmp_path / "sub-01" / "maps", "participant") == 64
    assert "must not lie in the raw data" in one_error(capfd)


def test_work_must_not_be_among_what_is_kept(tmp_path, capfd):
    bids, out = tmp_path / "bids", tmp_path / "out"
    bids.mkdir()
    (tmp_path / "link").symlink_to(bids)
    for work, text in (
        (out, "another directory than output_dir"),
        (bids / "w", "not lie in bids"),
        (tmp_path / "link" / "w", "not lie in bids"),
    ):
        assert run(bids, out, "participant", "-w", work) == 64
        assert f"--work-dir must {'be ' * (work == out)}{text}" in one_error(capfd)
        assert not work.exists()


def test_output_must_be_writable(small_dataset, tmp_path, capfd):
    (tmp_path / "file").write_text("")
    assert run(small_dataset, tmp_path / "file" / "out", "participant", "-w", tmp_path / "w") == 73
    assert "the output directory must be writable" in one_error(capfd)


def test_the_work_directory_is_emptied_only_if_it_is_ours(small_dataset, tmp_path, capfd):
    work = tmp_path / "w"
    (work / "photos").mkdir(parents=True)
    words = [small_dataset, tmp_path / "out", "participant", "-w", work, "--clean-workdir"]
    assert run(*words) == 64
    assert "must hold nothing but crashes, dictionaries, group" in (error := one_error(capfd))
    assert error.endswith("got photos")
    assert (work / "photos").exists()


def test_a_work_directory_of_every_level_is_emptied(small_dataset, tmp_path):
    """What runs, reports, the graph and the group level leave in it is the program's own."""
    work, out = tmp_path / "w", tmp_path / "out"
    words = ["--recon-method", "gridding", "--matrix", "16", "--acquisition-label", "2d"]
    words += ["--session-label", "1", "--nprocs", "1", "--write-graph", "-w", work]
    assert run(small_dataset, out, "participant", *words) == 0
    assert run(small_dataset, out, "participant", "--reports-only", "-w", work) == 0
    assert run(small_dataset, out, "group", "-w", work) == 0
    assert {path.name for path in work.iterdir() if path.is_dir()} == set(WorkFolder)
    old = work / WorkFolder.SCANS / "old.pickle"
    old.touch()
    assert run(small_dataset, out, "participant", *words, "--force", "--clean-workdir") == 0
    assert not old.exists()


def test_what_is_kept_is_not_emptied(tmp_path, capfd):
    """Where a raw dataset and derivatives have the names of folders of this program."""
    study, aside = tmp_path / "scans", tmp_path / "elsewhere"
    bids, maps = study / "scans", study / "group"
    for folder in (bids, maps, aside):
        folder.mkdir(parents=True)
    (tmp_path / "link").symlink_to(study)
    for words, kept in (
        ((bids, aside, "participant", "-w", study), f"bids_dir ({bids})"),
        ((bids, aside, "group", "-w", tmp_path / "link"), f"bids_dir ({bids})"),
        ((aside, maps, "participant", "-w", study), f"output_dir ({maps})"),
        (
            (aside, aside / "o", "group", "-w", study, "-d", f"b1={maps}"),
            f"--derivatives b1 ({maps})",
        ),
    ):
        assert run(*words, "--clean-workdir") == 64
        assert f"--work-dir must not contain {kept}, got {study}" in one_error(capfd)
    assert bids.exists() and maps.exists()


def test_the_pybids_index_is_not_emptied(tmp_path):
    words = ("--bids-database-dir", str(tmp_path / "w" / "group"), "-w", str(tmp_path / "w"))
    with pytest.raises(UsageError, match="must not contain --bids-database-dir"):
        settings(*words, "--clean-workdir")
    assert settings(*words).work_dir == tmp_path / "w"


@pytest.mark.parametrize("name", ["scans/old.dcm", "group/me.tsv", "graph.pptx", "graphs/x.dot"])
def test_files_of_others_in_folders_of_our_names_are_not_removed(tmp_path, name):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.touch()
    (tmp_path / "crashes").mkdir()
    with pytest.raises(UsageError, match="must hold nothing but crashes"):
        empty(tmp_path)
    assert file.exists() and (tmp_path / "crashes").exists()


def test_the_emptied_directory_stays(tmp_path):
    """It may be a link, or a mount point, which cannot be removed."""
    work, link, aside = tmp_path / "w", tmp_path / "link", tmp_path / "aside"
    aside.mkdir()
    (aside / "x.pickle").touch()
    fill(work)
    (work / "scans").symlink_to(aside)
    link.symlink_to(work)
    inode = work.stat().st_ino
    empty(link)
    assert link.is_symlink() and work.stat().st_ino == inode
    assert list(work.iterdir()) == []
    assert (aside / "x.pickle").exists()
    empty(tmp_path / "nowhere")


def test_what_cannot_be_removed_is_said(tmp_path, monkeypatch):
    def refuse(path):
        raise OSError(16, "Device or resource busy", str(path))

    fill(tmp_path)
    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(OutputError, match=f"{tmp_path}/crashes: Device or resource busy"):
        empty(tmp_path)


def fill(work):
    """A work directory as calls leave it."""
    (work / "crashes").mkdir(parents=True)
    (work / "crashes" / "crash.txt").touch()
    (work / "graph.dot").touch()


@pytest.mark.parametrize(
    ("words", "code"),
    [(["group"], 16), (["participant", "--reports-only"], 0), (["participant"], 0)],
)
def test_every_task_that_needs_the_work_directory_empties_it(
    small_dataset, derivatives, tmp_path, words, code
):
    """Also if all runs are up to date."""
    work, out = tmp_path / "w", tmp_path / "out"
    if code == 0:
        shutil.copytree(derivatives, out)
    fill(work)
    assert run(small_dataset, out, *words, "-w", work, "--clean-workdir") == code
    assert not (work / "crashes" / "crash.txt").exists() and not (work / "graph.dot").exists()


def test_nothing_is_emptied_by_a_dry_run(small_dataset, tmp_path):
    fill(tmp_path / "w")
    words = [small_dataset, tmp_path / "out", "participant", "-w", tmp_path / "w", "--dry-run"]
    assert run(*words, "--participant-label", "02", "--clean-workdir") == 0
    assert (tmp_path / "w" / "graph.dot").exists()


def test_the_job_of_a_cluster_has_a_work_directory_of_its_own(tmp_path):
    """Temporary files are beside it, so that it can be emptied, and all are gone at the end."""
    program, scratch = tmp_path / "bin" / "mri2qmap", tmp_path / "scratch"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\n"
        "import os, pathlib, sys\n"
        "from mri2qmap_bids.cli.directories import empty\n"
        "from mri2qmap_bids.cli.environment import private_folder\n"
        "work = pathlib.Path(sys.argv[sys.argv.index('--work-dir') + 1])\n"
        "with private_folder() as private:\n"
        "    empty(work)\n"
        "    sys.stdout.write(f'{work}\\n{private}\\n{sys.argv[1:]}')\n"
    )
    program.chmod(0o755)
    scratch.mkdir()
    (tmp_path / "list.txt").write_text("01\n02\n")
    script = Path(__file__).parents[2] / "cluster" / "participants.sbatch"
    environment = {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(script.parents[1]),
        "SLURM_TMPDIR": str(scratch),
        "SLURM_ARRAY_TASK_ID": "2",
        "SLURM_CPUS_PER_TASK": "3",
        "SLURM_MEM_PER_NODE": "1000",
    }
    environment.pop("MRI2QMAP_IMAGE", None)
    words = ["bash", script, tmp_path, tmp_path / "out", tmp_path / "list.txt", "--clean-workdir"]
    process = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    work, private, arguments = process.stdout.split("\n")
    assert Path(work).is_relative_to(scratch) and Path(private).is_relative_to(scratch)
    assert "'--participant-label', '02'" in arguments and "'900M', '--clean-workdir'" in arguments
    assert list(scratch.iterdir()) == []
