"""Twix files: every measurement and block, and what a broken file is called."""

import numpy as np
import pytest
from helpers.twix import block, header_bytes, write_twix

from mri2qmap_bids.convert.twix_file import data_blocks, measurements, opened, read_protocol
from mri2qmap_bids.errors import InputError, RawDataError

twixtools = pytest.importorskip("twixtools")


def blocks(first, n_blocks):
    """Readouts whose samples are their numbers."""
    return [block(np.full((2, 16), first + n)) for n in range(n_blocks)]


@pytest.fixture
def path(tmp_path):
    """Two measurements."""
    scans = [
        (header_bytes(), blocks(10, 2)),
        (header_bytes(**{"sKSpace.lBaseResolution": 16}), blocks(20, 3)),
    ]
    return write_twix(tmp_path / "scan.dat", scans)


def test_every_measurement_has_its_protocol_and_blocks(path):
    with opened(path) as file:
        spans = measurements(path, file)
        matrices = [read_protocol(path, file, start).matrix[0] for start, _ in spans]
        numbers = [
            [complex(np.array(part.data)[0, 0]).real for part in data_blocks(path, file, start)]
            for start, _ in spans
        ]
    assert matrices == [8, 16]
    assert numbers == [[10, 11], [20, 21, 22]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda whole: whole[:-600], "must be a complete Siemens twix file"),
        (lambda whole: whole[:-600] + bytes(600), r"with an end mark \(ACQEND\)"),
        (lambda whole: b"PAR/REC of another vendor " * 800, "must be a Siemens twix file"),
        (lambda whole: b"short", "got 5 bytes"),
    ],
    ids=["cut", "zeros at the end", "another vendor's", "short"],
)
def test_truncated_and_foreign_files_are_named(path, change, words):
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(RawDataError, match=f"scan.dat.*{words}"), opened(path) as file:
        for start, _ in measurements(path, file):
            read_protocol(path, file, start)
            assert all(len(part.data) == 2 for part in data_blocks(path, file, start))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.dat: must be a file"):
        opened(tmp_path / "nowhere.dat")
