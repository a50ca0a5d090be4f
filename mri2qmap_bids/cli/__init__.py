"""The command line of ``mri2qmap``."""

from mri2qmap_bids.cli.command import main

__all__ = ["main"]
