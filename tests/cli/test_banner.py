"""The first lines of a call and of each run's log."""

import logging
from pathlib import Path

from mri2qmap_bids import __version__
from mri2qmap_bids.cli.banner import begin_run_logs, drop_run_logs, log_banner
from mri2qmap_bids.logs import run_log
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


def test_logs_begin_with_their_runs_and_say_why_a_run_cannot(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    for name in ("01", "03"):
        (logs / f"sub-{name}.log").write_text("of an earlier call\n")
    begin_run_logs(settings(tmp_path), ["sub-01", "sub-03"], [("sub-02", "x.h5: must be y")])
    assert (logs / "sub-02.log").read_text().endswith(" ERROR sub-02: failed: x.h5: must be y\n")
    for _ in range(2):  # steps of one run
        with run_log("sub-01", logs / "sub-01.log"):
            logging.getLogger("mri2qmap_bids.room").error("a step")
    begun = (logs / "sub-01.log").read_text()
    assert "earlier" not in begun
    assert begun.count("Command: mri2qmap data out") == 1
    assert begun.count("a step") == 2
    # A run that does not begin keeps what was said of it.
    assert (logs / "sub-03.log").read_text() == "of an earlier call\n"
    drop_run_logs(settings(tmp_path), ["sub-01", "sub-03"])
    assert sorted(path.name for path in logs.iterdir()) == [f"sub-0{n}.log" for n in (1, 2, 3)]
    assert (logs / "sub-01.log").read_text() == begun
