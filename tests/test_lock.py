"""Who locks a file keeps others waiting, and leaves nothing behind."""

import fcntl
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import pytest

from mri2qmap_bids.lock import locked


def test_what_is_read_and_written_under_the_lock_is_not_lost(tmp_path):
    path = tmp_path / "new" / "count.txt"

    def add(_):
        with locked(path):
            count = int(path.read_text()) if path.exists() else 0
            sleep(1e-3)
            path.write_text(str(count + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(80)))
    assert path.read_text() == "80"
    assert list(path.parent.iterdir()) == [path]


def test_a_block_that_fails_gives_the_lock_back(tmp_path):
    path = tmp_path / "x.txt"
    with pytest.raises(ValueError, match="stop"), locked(path):
        raise ValueError("stop")
    with locked(path):
        pass
    assert not list(tmp_path.iterdir())


def test_without_locks_of_files_nobody_waits(tmp_path, monkeypatch):
    def refuse(file, operation):
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path / "x.txt"), locked(tmp_path / "x.txt"):
        pass
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with locked(tmp_path / "file" / "x.txt"):
        pass
