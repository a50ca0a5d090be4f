"""Log levels, and the ear for warnings."""

import logging

import pytest

from mri2qmap_bids.logs import (
    configure_logging,
    heard_warnings,
    no_warnings,
    run_log,
    run_log_file,
)


@pytest.fixture
def loggers():
    """Their levels are as before, afterwards."""
    names = ("", "mri2qmap_bids", "nipype", "nipype.workflow", "nipype.interface", "nipype.utils")
    levels = {name: logging.getLogger(name).level for name in names}
    handlers = {name: logging.getLogger(name).handlers[:] for name in names}
    yield
    for name in names:
        logging.getLogger(name).setLevel(levels[name])
        logging.getLogger(name).handlers[:] = handlers[name]


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.WARNING])
def test_nipype_is_quieter_than_the_package(loggers, level):
    configure_logging(level)
    assert logging.getLogger("mri2qmap_bids.recon").getEffectiveLevel() == level
    assert logging.getLogger("nipype.workflow").getEffectiveLevel() > level


def test_warnings_inside_the_block_are_heard_once_each():
    logger = logging.getLogger("mri2qmap_bids.some.room")
    logger.warning("before")
    with heard_warnings() as warnings:
        logger.warning("first %d", 1)
        logger.info("not this")
        logger.error("second")
        logger.warning("first %d", 1)
        logging.getLogger("other").warning("nor this")
    logger.warning("after")
    assert warnings == ["first 1", "second"]


def test_the_listener_goes_away_even_after_an_error():
    package = logging.getLogger("mri2qmap_bids")
    before = package.handlers[:]
    with pytest.raises(ValueError, match="x"), heard_warnings():
        raise ValueError("x")
    assert package.handlers == before


def test_lines_bear_the_name_of_their_run_once_and_stand_in_its_file(loggers, tmp_path, capsys):
    configure_logging(logging.INFO)
    logger, file = logging.getLogger("mri2qmap_bids.room"), run_log_file(tmp_path, "sub-01")
    for text in ("first", "sub-01: second", "sub-01_MRF.h5: third"):
        with run_log("sub-01", file):
            logger.info(text)
    logger.info("of no run")
    logging.getLogger("other").warning("foreign")
    lines = capsys.readouterr().err.splitlines()
    ends = ["sub-01: first", "sub-01: second", "sub-01: sub-01_MRF.h5: third"]
    assert [line.split("INFO ")[-1] for line in lines[:4]] == [*ends, "of no run"]
    assert file == tmp_path / "logs" / "sub-01.log"
    assert [line.split("INFO ")[-1] for line in file.read_text().splitlines()] == ends


def test_a_log_file_that_cannot_be_written_stops_nothing(loggers, tmp_path, capsys):
    configure_logging(logging.INFO)
    (tmp_path / "logs").write_text("a file in place of the folder")
    with run_log("sub-01", run_log_file(tmp_path, "sub-01")):
        logging.getLogger("mri2qmap_bids.room").info("line")
    assert "sub-01: line" in capsys.readouterr().err


def test_no_warnings_leaves_out_all_but_errors_and_only_inside(loggers, capsys):
    configure_logging(logging.INFO)
    logger = logging.getLogger("mri2qmap_bids.room")
    with no_warnings():
        logger.warning("inside")
        logger.error("error")
    logger.warning("outside")
    text = capsys.readouterr().err
    assert "inside" not in text
    assert "error" in text and "outside" in text
