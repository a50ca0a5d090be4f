"""Nipype's parallel execution, which survives a killed worker and records why nodes failed."""

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from socket import gethostname
from typing import Any

from nipype.pipeline.plugins.multiproc import MultiProcPlugin, process_initializer

from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.logs import configure_logging
from mri2qmap_bids.workflow.server import start_server

_KILLED = (
    "the worker process died, most often because memory ran out; lower --mem or --nprocs, or ask the "
    "scheduler or container for more memory"
)
_OWN = "mri2qmap_bids.errors."
_WRAPPER = "NodeExecutionError"
# Time that a worker has to remove its temporary files [s].
_GRACE = 2.0
# Nipype waits for ever with less than 0.01.
_LEAST_MEMORY_GB = 0.02


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
    """Mixed into one of Nipype's plugins: records why nodes failed and which are done."""

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
        # Nipype appends to this text while it writes the crash file.
        reason = reason_in("".join((result or {}).get("traceback") or ""))
        try:
            crash_file = super()._report_crash(node, result)  # type: ignore[misc]
        except OSError as error:
            crash_file = f"no crash file: {error.strerror or error}"
        self.failures.append(Failure(str(node.fullname), reason, str(crash_file)))
        return crash_file


class ForkserverPlugin(Remembering, MultiProcPlugin):  # type: ignore[misc]
    """MultiProc whose workers fork from a clean server.

    A worker forked from a process that has used torch deadlocks; a worker killed for
    memory makes the original wait for ever. A run that has begun goes before one that has
    not, so that its derivatives are there when it is done and not when all are.
    """

    memory_gb: float

    def __init__(self, plugin_args: dict[str, Any], log_level: int = logging.WARNING) -> None:
        start_server()
        # Processes of a program that this plugin is a part of.
        self._foreign = set(multiprocessing.active_children())
        # Set afterwards: Nipype warns of slots for a GPU that it does not see, as on a CPU.
        gpu_slots = plugin_args.get("n_gpu_procs")
        arguments = {name: value for name, value in plugin_args.items() if name != "n_gpu_procs"}
        super().__init__({"raise_insufficient": False, **arguments, "mp_context": "forkserver"})
        if gpu_slots is not None:
            self.n_gpu_procs = gpu_slots
        self.memory_gb = max(self.memory_gb, _LEAST_MEMORY_GB)
        self._log_level = log_level
        self._depth: dict[int, int] = {}
        self.pool: WorkerPool | ProcessPoolExecutor
        self._start_pool()

    def close(self) -> None:
        """End the workers at once, whatever they are doing."""
        workers = set(multiprocessing.active_children()) - self._foreign
        self.pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join(_GRACE)
            worker.kill()

    def _prerun_check(self, graph: Any) -> None:
        try:
            super()._prerun_check(graph)
        except RuntimeError as error:  # only if the file of the plugin asks for it
            raise UsageError(
                "--use-plugin: n_procs and memory_gb must suffice for each step where raise_insufficient is true, got "
                f"{self.processors} and {self.memory_gb:g}"
            ) from error

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
                "traceback": [f"{_KILLED}\n"],
            }
        return super()._get_result(taskid)

    def _start_pool(self) -> None:
        """Workers that log as their parent does, in place of Nipype's own."""
        self.pool.shutdown(wait=False)
        self.pool = WorkerPool(
            partial(
                ProcessPoolExecutor,
                max_workers=1,
                initializer=_start_worker,
                initargs=(self._cwd, self._log_level),
                mp_context=multiprocessing.get_context("forkserver"),
            )
        )


class WorkerPool:
    """Workers, each in a pool of its own: once a worker died, its pool cannot be used again and all its steps fail."""

    def __init__(self, start: Callable[[], ProcessPoolExecutor]) -> None:
        self._start = start
        self._pools: list[ProcessPoolExecutor] = []
        self._idle: list[ProcessPoolExecutor] = []

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call a function in a worker that has nothing else to do."""
        while self._idle:
            pool = self._idle.pop()
            try:
                return self._submitted(pool, function, *arguments)
            except BrokenExecutor:  # its worker died since
                self._pools.remove(pool)
        pool = self._start()
        self._pools.append(pool)
        return self._submitted(pool, function, *arguments)

    def shutdown(self, wait: bool = True, cancel_futures: bool = False) -> None:
        """End the workers."""
        for pool in self._pools:
            pool.shutdown(wait, cancel_futures=cancel_futures)

    def _submitted(
        self, pool: ProcessPoolExecutor, function: Callable[..., Any], *arguments: Any
    ) -> Future[Any]:
        future = pool.submit(function, *arguments)
        future.add_done_callback(lambda _: self._idle.append(pool))
        return future


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
    r"""What a traceback says went wrong, in one line.

    The package's own errors count first, then the last error raised. Nipype's wrapper, whose text holds
    the traceback of the cause, counts for neither.

    >>> begin = "Traceback (most recent call last):\n  File x\n"
    >>> reason_in(begin + "mri2qmap_bids.errors.SidecarError: a: b must be c\n" + begin + "X: y")
    'a: b must be c'
    >>> reason_in(f"{begin}a.NodeExecutionError: in Node.\n\nTraceback:\n\t{begin}\tzlib.error: no")
    'zlib.error: no'
    """
    last = [line for line in _last_lines(traceback) if _WRAPPER not in line.split(":")[0]]
    own = [line for line in last if line.startswith(_OWN)]
    if own:
        return own[-1].partition(": ")[2]
    lines = last or traceback.strip().splitlines() or ["unknown"]
    return lines[-1].strip()


def _last_lines(traceback: str) -> Iterator[str]:
    """The line after the frames of every traceback in a text: kind and text of an error."""
    in_frames = False
    for line in traceback.splitlines():
        unwrapped = line.removeprefix("\t")
        if unwrapped.startswith("Traceback (most recent call last)"):
            in_frames = True
        elif in_frames and unwrapped.strip() and not unwrapped.startswith((" ", "\t")):
            in_frames = False
            yield unwrapped
