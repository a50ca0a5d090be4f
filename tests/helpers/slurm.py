"""A real Slurm with one node, on the loopback interface, all of it in one folder."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
_PORTS = (16817, 16818)
_CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={munge}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PropagateResourceLimits=NONE
MpiDefault=none
SwitchType=switch/none
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
InactiveLimit=0
KillWait=5
MinJobAge=600
ReturnToService=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=test Nodes={host} Default=YES MaxTime=01:00:00 State=UP
"""


def reason_to_skip() -> str | None:
    """Why Slurm cannot be started here; None if it can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"needs {' '.join(missing)} (apt-get install slurmctld slurmd slurm-client munge)"
    return None if os.geteuid() == 0 else "needs root, to start slurmd"


@contextmanager
def one_node(folder: Path, gpus: int) -> Iterator[dict[str, str]]:
    """A cluster of this machine; yields the environment in which its commands find it.

    The GPUs are names only: Slurm hands them out, one job each, but there is nothing behind them.
    """
    host = socket.gethostname().split(".")[0]
    # munge refuses sockets and keys below folders that others may write to.
    munge = Path(f"/run/mri2qmap-test-{os.getpid()}")
    munge.mkdir(mode=0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    configuration = folder / "slurm.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            host=host,
            ports=_PORTS,
            munge=munge,
            folder=folder,
            cpus=os.cpu_count(),
            memory=pages // 2**20 - 512,
            gpus=gpus,
        )
    )
    for index in range(gpus):
        (folder / f"gpu{index}").touch()
    (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File={folder}/gpu[0-{gpus - 1}]\n")
    environment = {**os.environ, "SLURM_CONF": str(configuration)}
    daemons = {"munged": munge, "slurmctld": folder, "slurmd": folder}
    try:
        _start_munge(munge)
        subprocess.run(["slurmctld", "-f", configuration, "-c"], check=True)
        subprocess.run(["slurmd", "-f", configuration, "-N", host, "-c"], check=True)
        _wait_until_idle(environment, folder)
        yield environment
        subprocess.run(["scancel", "--user=root"], env=environment, timeout=20, check=False)
    finally:
        for name in reversed(daemons):
            _stop(name, daemons[name] / f"{name}.pid")
        shutil.rmtree(munge)


def _start_munge(folder: Path) -> None:
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(1024))
    places = {"key-file": "key", "socket": "sock", "log-file": "log", "seed-file": "seed"}
    options = [f"--{option}={folder}/munge.{end}" for option, end in places.items()]
    subprocess.run(["munged", "--force", f"--pid-file={folder}/munged.pid", *options], check=True)


def _wait_until_idle(environment: dict[str, str], folder: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        command = ["sinfo", "-h", "-o", "%T"]
        state = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        ).stdout
        if state.strip() == "idle":
            return
        time.sleep(0.5)
    logs = "\n".join(path.read_text()[-2000:] for path in folder.glob("*.log"))
    raise RuntimeError(f"Slurm did not come up\n{logs}")


def _stop(name: str, pid_file: Path) -> None:
    """End a daemon by the id it wrote, and wait until it is gone."""
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    program = Path(f"/proc/{pid}/comm")
    if not program.exists() or program.read_text().strip() != name:
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while _alive(pid):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.1)


def _alive(pid: int) -> bool:
    """Whether a process runs: a zombie, which nobody has waited for, does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"
