"""Nipype's parallel execution, mended: it outlives a killed worker and remembers why nodes failed."""

import logging
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import wait
from multiprocessing.util import get_temp_dir
from socket import gethostname
from typing import Any

from nipype.pipeline.plugins.multiproc import MultiProcPlugin, process_initializer

from mri2qmap_bids.errors import MachineError
from mri2qmap_bids.logs import configure_logging

_KILLED = (
    "the worker process died, most often because memory ran out; lower --nprocs or raise --mem"
)
_ERROR_LINE = re.compile(
    r"^(?P<kind>[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit)): (?P<text>.*)$"
)
_OWN = "mri2qmap_bids.errors."
# A socket's path is at most 107 bytes long, of which multiprocessing adds 32.
_LONGEST_FOLDER = 75
# Time that a worker has to remove its temporary files [s].
_GRACE = 2.0


@dataclass(frozen=True)
class Failure:
    """A node that failed."""

    node: str
    """Full name in the graph."""
    reason: str
    """One line."""
    crash_file: str
    """Where the whole traceback is."""


class Remembering:
    """Mixed into one of Nipype's plugins: it remembers why nodes failed and which are done."""

    failures: list[Failure]
    """Nodes that failed."""
    finished: set[str]
    """Full names of the nodes that are done."""

    def __init__(self, plugin_args: dict[str, Any]) -> None:
        self.failures, self.finished = [], set()
        super().__init__(  # type: ignore[call-arg]
            plugin_args={**plugin_args, "status_callback": self._note}
        )

    def _note(self, node: Any, status: str) -> None:
        if status == "end":
            self.finished.add(str(node.fullname))

    def _report_crash(self, node: Any, result: Any = None) -> Any:
        crash_file = super()._report_crash(node, result)  # type: ignore[misc]
        lines = "".join((result or {}).get("traceback") or "")
        self.failures.append(Failure(str(node.fullname), reason_in(lines), str(crash_file)))
        return crash_file


class ForkserverPlugin(Remembering, MultiProcPlugin):  # type: ignore[misc]
    """MultiProc whose workers fork from a clean server.

    A worker forked from a process that has used torch deadlocks; a worker killed for
    memory makes the original wait for ever. A run that has begun goes before one that has
    not, so that its derivatives are there when it is done and not when all are.
    """

    def __init__(self, plugin_args: dict[str, Any], log_level: int = logging.WARNING) -> None:
        _require_semaphores()
        # Processes of a program that this plugin is a part of.
        self._foreign = set(multiprocessing.active_children())
        # The server imports the heavy modules once, and every worker inherits them.
        multiprocessing.get_context("forkserver").set_forkserver_preload(
            ["mri2qmap_bids.workflow.interfaces", "mri2qmap_bids.recon.reconstruct"]
        )
        super().__init__({"raise_insufficient": False, **plugin_args, "mp_context": "forkserver"})
        self._log_level = log_level
        self._depth: dict[int, int] = {}
        self.pool: ProcessPoolExecutor
        _shorten_sockets()
        _start_server()
        self._start_pool()

    def close(self) -> None:
        """End the workers, at once: what they are at nobody waits for."""
        workers = set(multiprocessing.active_children()) - self._foreign
        self.pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join(_GRACE)
            worker.kill()

    def _prerun_check(self, graph: Any) -> None:
        super()._prerun_check(graph)

        def depth(node: Any) -> int:
            return 1 + max((depth(before) for before in graph.predecessors(node)), default=0)

        self._depth = {id(node): depth(node) for node in graph}

    def _sort_jobs(self, jobids: Any, scheduler: str | None = None) -> Any:
        return sorted(jobids, key=lambda job: -self._depth[id(self.procs[job])])

    def _async_callback(self, future: Future[Any]) -> None:
        if future.cancelled() or future.exception() is not None:
            return  # _get_result reports it
        super()._async_callback(future)

    def _get_result(self, taskid: int) -> Any:
        future = self._task_obj.get(taskid)
        if future is not None and future.done() and future.exception() is not None:
            return {
                "result": None,
                "hostname": gethostname(),
                "taskid": taskid,
                "traceback": [f"RuntimeError: {_KILLED} ({future.exception()})\n"],
            }
        return super()._get_result(taskid)

    def _submit_job(self, node: Any, updatehash: bool = False) -> Any:
        if getattr(self.pool, "_broken", False):
            # A process pool is broken for good once a worker died.
            self._start_pool()
        return super()._submit_job(node, updatehash)

    def _start_pool(self) -> None:
        """A pool of workers that log as their parent does."""
        self.pool.shutdown(wait=False)
        self.pool = ProcessPoolExecutor(
            max_workers=self.processors,
            initializer=_start_worker,
            initargs=(self._cwd, self._log_level),
            mp_context=multiprocessing.get_context("forkserver"),
        )


def _require_semaphores() -> None:
    """Refuse a machine on which processes cannot share semaphores.

    Raises
    ------
    MachineError
        If there is no writable /dev/shm.
    """
    try:
        multiprocessing.get_context("forkserver").Lock()
    except (ImportError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise MachineError(
            f"/dev/shm must be a writable directory in memory, got: {reason}; in a container, mount one"
        ) from error


def _start_server() -> None:
    """Start the server that forks workers, deaf to Ctrl-C as all that it forks.

    A terminal sends Ctrl-C to every process of a call. The program alone answers it, and ends
    the workers.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread may change signals
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


def _shorten_sockets() -> None:
    """Keep the sockets to the workers in /tmp where TMPDIR, as on some clusters, is too long."""
    given = tempfile.gettempdir()
    if len(os.fsencode(given)) > _LONGEST_FOLDER:
        tempfile.tempdir = "/tmp"
        try:
            get_temp_dir()  # makes a folder, and keeps to it
        finally:
            tempfile.tempdir = given


def _start_worker(cwd: str, log_level: int) -> None:
    _die_with_the_parent()
    # Not the default, which would leave temporary files.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    process_initializer(cwd)
    configure_logging(log_level)


def _die_with_the_parent() -> None:
    """End this worker when the program is killed.

    Worker and fork server would keep one another alive, and the worker would go on writing
    into the folders of the next call.
    """
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="watch the parent").start()


def reason_in(traceback: str) -> str:
    r"""The line of a traceback that says what went wrong; the package's own errors first.

    >>> reason_in("x\nValueError: no\nmri2qmap_bids.errors.SidecarError: a: b must be c\nX: y")
    'a: b must be c'
    >>> reason_in("x\nValueError: no\n")
    'ValueError: no'
    """
    found = [match for line in traceback.splitlines() if (match := _ERROR_LINE.match(line.strip()))]
    for match in found:
        if match["kind"].startswith(_OWN):
            return match["text"]
    if found:
        # Nipype wraps the cause: the first error is the cause, the last its wrapper.
        return f"{found[0]['kind']}: {found[0]['text']}"
    return traceback.strip().splitlines()[-1] if traceback.strip() else "unknown"
