"""The server that workers are forked from."""

import os
import subprocess
import sys

PROGRAM = """
import sys, time
from multiprocessing import forkserver
from mri2qmap_bids.workflow.server import start_server

if __name__ == "__main__":
    start_server()
    process = forkserver._forkserver._forkserver_pid
    assert "torch" not in sys.modules
    from mri2qmap_bids.workflow.plugins import ForkserverPlugin
    plugin = ForkserverPlugin({"n_procs": 1})
    assert forkserver._forkserver._forkserver_pid == process
    worker = plugin.pool.submit(eval, "__import__('os').getppid()").result()
    assert worker == process
    print(plugin.pool.submit(eval, "'torch' in __import__('sys').modules").result())
"""


def test_workers_come_from_the_server_that_was_started_early_and_inherit_its_modules():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.stdout == "True\n", done.stderr


def test_workers_start_where_the_folder_for_temporary_files_has_a_long_name(tmp_path):
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    program = (
        "from mri2qmap_bids.workflow.plugins import ForkserverPlugin\n"
        "plugin = ForkserverPlugin({'n_procs': 1})\n"
        "print(plugin.pool.submit(abs, -3).result())\n"
    )
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "3\n", done.stderr
    assert list(folder.iterdir()) == []
