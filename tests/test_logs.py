"""Log levels, and the ear for warnings."""

import logging

import pytest

from mri2qmap_bids.logs import configure_logging, heard_warnings


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
