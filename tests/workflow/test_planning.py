"""Which runs can be done is told from their headers."""

from dataclasses import replace

import pytest
from helpers.trains import train

from mri2qmap_bids.dataset.query import MRFRun
from mri2qmap_bids.errors import MemoryLimitError
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.settings import Settings
from mri2qmap_bids.simulate.rawfile import RawFileOptions, write_raw_file
from mri2qmap_bids.simulate.scan import ScanOptions, simulate_scan
from mri2qmap_bids.simulate.sidecar import make_sidecar
from mri2qmap_bids.workflow.planning import forecast_of, survey


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """A run of a small scan."""
    path = tmp_path_factory.mktemp("planning") / "sub-01_MRF.h5"
    sequence = train(n_frames=6)
    scan = simulate_scan(ScanOptions(sequence, matrix=(16, 16), n_coils=3), 1, 1)
    write_raw_file(path, scan.acquired, sequence, scan.geometry, RawFileOptions())
    metadata = make_sidecar(sequence, scan.acquired.trajectory, 3, RawFileOptions())
    return MRFRun(path, {"sub": "01"}, metadata)


def settings_in(folder, **changes):
    recon = ReconOptions(method="subspace", device="cpu")
    return Settings(
        bids_dir=folder, output_dir=folder, work_dir=folder / "work", recon=recon, **changes
    )


def test_runs_that_cannot_be_done_stop_no_other(scanned, tmp_path):
    broken = tmp_path / "sub-02_MRF.h5"
    broken.write_bytes(b"no HDF5")
    runs = [
        scanned,
        MRFRun(broken, {"sub": "02"}, scanned.metadata),
        replace(scanned, entities={"sub": "03"}, metadata={**scanned.metadata, "EchoTime": 2.0}),
    ]
    surveys, problems = survey(runs, settings_in(tmp_path))
    assert set(surveys) == {"sub-01"} and 0 < surveys["sub-01"].memory_gb < 4
    assert "sub-02_MRF.h5" in str(problems["sub-02"])
    assert "EchoTime" in str(problems["sub-03"]) and "ms" in str(problems["sub-03"])
    files = [path for path in (tmp_path / "work").rglob("*") if path.is_file()]
    assert files == [surveys["sub-01"].scan_file]


def test_the_memory_is_that_of_the_first_plan(scanned, tmp_path):
    settings = settings_in(tmp_path)
    plan = forecast_of(scanned, settings).ways[0]
    assert survey([scanned], settings)[0]["sub-01"].memory_gb == (plan.host or plan.device) / 1e9


def test_a_limit_below_every_plan_is_an_error(scanned, tmp_path):
    with pytest.raises(MemoryLimitError, match=r"memory must be at least .*, got 0\.1 GB"):
        forecast_of(scanned, settings_in(tmp_path, memory_gb=0.1))
