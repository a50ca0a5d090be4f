"""The first lines of a call and of each run's log."""

import logging
from pathlib import Path

from mri2qmap_bids import __version__
from mri2qmap_bids.cli.banner import begin_run_logs, log_banner
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.settings import Settings


def settings(out=Path("/out")):
    return Settings(
        Path("/data"),
        out,
        Path("/w"),
        command="mri2qmap data out",
        recon=ReconOptions(device="cpu"),
    )


def test_the_banner_names_all_that_a_reader_asks_for(caplog):
    caplog.set_level(logging.INFO)
    log_banner(settings(), "some maps")
    text = "\n".join(caplog.messages)
    for words in (
        __version__,
        "mri2qmap data out",
        "some maps",
        "/data",
        "CPU",
        "/out/logs/RUN.log",
    ):
        assert words in text


def test_logs_of_runs_begin_anew_and_say_why_a_run_cannot(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "sub-01.log").write_text("of an earlier call\n")
    begin_run_logs(settings(tmp_path), ["sub-01"], [("sub-02", "x.h5: must be y")])
    first, second = ((tmp_path / "logs" / f"sub-0{n}.log").read_text() for n in (1, 2))
    assert "earlier" not in first
    assert "mri2qmap data out" in first
    assert second.endswith(" ERROR sub-02: failed: x.h5: must be y\n")
