"""The program as a process: signals, pipes, and a machine that does not play along."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.closed_pipe import run_into_closed_pipe
from helpers.command import one_error, run

PROGRAM = [sys.executable, "-m", "mri2qmap_bids"]


def words(dataset, folder):
    common = [str(dataset), str(folder / "out"), "participant", "-w", str(folder / "work")]
    return [*common, "--recon-method", "gridding", "--nprocs", "1", "--participant-label", "02"]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_read_enough_ends_the_program(small_dataset, tmp_path, unbuffered):
    """As ``mri2qmap ... --dry-run | head -1``."""
    process = run_into_closed_pipe(
        [*PROGRAM, *words(small_dataset, tmp_path), "--dry-run"], unbuffered
    )
    assert process.returncode == 128 + signal.SIGPIPE
    assert "Traceback" not in process.stderr
    assert "BrokenPipe" not in process.stderr


def test_help_into_a_closed_pipe_says_nothing():
    program = f"{' '.join(PROGRAM)} --help | true; echo ${{PIPESTATUS[0]}}"
    process = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    assert process.stderr == ""
    assert process.stdout.strip() in ("0", "141")  # 0: it was quicker than its reader


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("moment", ["run(s) found", "Plan:"])
def test_ctrl_c_ends_the_call_and_all_that_it_has_started(small_dataset, tmp_path, moment):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        # Tests may run in the background, where shells make programs deaf to Ctrl-C.
        ["env", "--default-signal=INT", *PROGRAM, *words(small_dataset, tmp_path)],
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    log = []
    for line in process.stderr:
        log.append(line)
        if moment in line:
            break
    os.killpg(process.pid, signal.SIGINT)  # a terminal signals the whole group
    log += process.communicate(timeout=60)[1].splitlines()
    # A shell gives 130 for both. Python dies of the signal where it has met a module in the making.
    assert process.returncode in (130, -signal.SIGINT)
    assert sum("interrupted" in line for line in log) == 1
    assert not [line for line in log if "Traceback" in line or "KeyboardInterrupt" in line]
    assert not list(temporary.glob("mri2qmap-*"))
    assert not [path for path in tmp_path.rglob(".tmp-*")]
    deadline = time.monotonic() + 10
    while group := members(process.pid):
        assert time.monotonic() < deadline, f"{group} live on"
        time.sleep(0.1)


def members(group: int) -> list[int]:
    """Processes of a process group that have not ended."""
    ids = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, number = path.read_text().rpartition(") ")[2].split()[:3]
        except OSError:
            continue
        if int(number) == group and state != "Z":
            ids.append(int(path.parent.name))
    return ids


def test_a_full_work_directory_is_one_line(small_dataset, tmp_path):
    """A limit of the size of files stands in for the full disk: the system's answer is of the same kind."""
    process = subprocess.run(
        [*PROGRAM, *words(small_dataset, tmp_path)],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
        check=False,
    )
    assert process.returncode == 73
    assert "Traceback" not in process.stderr
    (line,) = [line for line in process.stderr.splitlines() if " ERROR " in line]
    assert f"{tmp_path / 'work'}" in line
    assert "must be writable, with space left, got: File too large" in line


def test_no_shared_memory_is_one_line(small_dataset, tmp_path, monkeypatch, capfd):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("multiprocessing.synchronize._multiprocessing.SemLock", refuse)
    assert run(*words(small_dataset, tmp_path)) == 71
    assert "/dev/shm must be a writable directory in memory, got: Permission" in one_error(capfd)


def test_other_errors_of_the_system_keep_their_traceback(monkeypatch, tmp_path):
    def fail(*_):
        raise FileNotFoundError(2, "No such file", "x")

    monkeypatch.setattr("mri2qmap_bids.cli.command.parse", fail)
    with pytest.raises(FileNotFoundError):
        run("bids", "out", "participant")
