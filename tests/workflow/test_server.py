"""The server that workers are forked from."""

import subprocess
import sys
import time

from helpers.program import printed_by

PROGRAM = """
import sys
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
    compiled = "__import__('sys').modules['mri2qmap_bids.recon.encoding.compiled']"
    print(plugin.pool.submit(eval, f"{compiled}._compiled.cache_info().currsize").result())
"""


def test_workers_come_from_the_server_that_was_started_early_and_inherit_its_modules():
    """And the machine code of the loops of A^H A."""
    assert printed_by(PROGRAM) == "True\n3\n"


def test_workers_start_where_the_folder_for_temporary_files_has_a_long_name(tmp_path):
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    program = (
        "from mri2qmap_bids.workflow.plugins import ForkserverPlugin\n"
        "plugin = ForkserverPlugin({'n_procs': 1})\n"
        "print(plugin.pool.submit(abs, -3).result())\n"
    )
    assert printed_by(program, TMPDIR=str(folder)) == "3\n"
    assert list(folder.iterdir()) == []


def test_the_output_of_a_program_ends_with_it_while_the_server_still_imports():
    program = "from mri2qmap_bids.workflow.server import start_server\nstart_server()\n"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.wait() == 0
        after = time.monotonic()
        assert process.stdout.read() == b""
        assert time.monotonic() - after < 1
