"""Folders of a work directory."""

from enum import StrEnum


class WorkFolder(StrEnum):
    """A folder that the program makes in a work directory, and may remove."""

    CRASHES = "crashes"
    """Tracebacks of steps that failed."""
    DICTIONARIES = "dictionaries"
    """Dictionaries, one file each, for all runs that need them."""
    GROUP = "group"
    """What the group level has found of each run."""
    REPORTS = "reports_wf"
    """Nipype's, of reports without a reconstruction."""
    RUNS = "mri2qmap_wf"
    """Nipype's, of runs and their reports."""
    SCANS = "scans"
    """What was read of raw files' headers."""
