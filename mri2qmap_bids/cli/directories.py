"""The directories of a call: which may be written, and which emptied."""

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mri2qmap_bids.errors import OutputError, UsageError
from mri2qmap_bids.workflow.folders import WorkFolder

_GRAPHS = re.compile(r"graph(_detailed)?(\.(dot|svg|png))+")
# Of all files in folders whose names are usual ones.
_SUFFIXES = {WorkFolder.SCANS: ".pickle", WorkFolder.GROUP: ".json"}
_RAW_FOLDERS = re.compile(r"^(sub-[^/]+|sourcedata|code|stimuli|phenotype)(/|$)")


def check_output(bids_dir: Path, output_dir: Path) -> None:
    """Refuse an output directory that would mix derivatives with raw data.

    Raises
    ------
    UsageError
        If it is the raw dataset, or lies among its raw files.
    """
    suggestion = bids_dir / "derivatives" / "mri2qmap"
    if output_dir == bids_dir:
        raise UsageError(
            f"output_dir must be another directory than bids_dir, got {output_dir}; try {suggestion}"
        )
    if output_dir.is_relative_to(bids_dir):
        inside = output_dir.relative_to(bids_dir).as_posix()
        if _RAW_FOLDERS.match(inside):
            raise UsageError(
                f"output_dir must not lie in the raw data, got {output_dir}; try {suggestion}"
            )


def check_work(bids_dir: Path, output_dir: Path, work_dir: Path) -> None:
    """Refuse a work directory that would mix intermediate files with derivatives or raw data.

    Raises
    ------
    UsageError
        If it is the output directory, or the raw dataset or a folder in it.
    """
    if work_dir == output_dir:
        raise UsageError(f"--work-dir must be another directory than output_dir, got {work_dir}")
    if work_dir.is_relative_to(bids_dir):
        raise UsageError(
            f"--work-dir must not lie in bids_dir ({bids_dir}), got {work_dir}; try -w /tmp/work"
        )


def check_emptied(work_dir: Path, kept: Mapping[str, Path]) -> None:
    """Refuse to empty a directory that contains what is to be kept.

    Parameters
    ----------
    work_dir
        To be emptied.
    kept
        Directories by the option that names them.

    Raises
    ------
    UsageError
        If it is or contains one of them.
    """
    for name, directory in kept.items():
        if directory.is_relative_to(work_dir):
            raise UsageError(
                f"--clean-workdir: --work-dir must not contain {name} ({directory}), got {work_dir}; "
                "try -w /tmp/work"
            )


def empty(work_dir: Path) -> None:
    """Remove what is in a work directory, if all of it is this program's.

    The directory itself stays: it may be a link, or where a disk is mounted.

    Raises
    ------
    UsageError
        If it holds anything else.
    OutputError
        If something in it cannot be removed.
    """
    try:
        entries = sorted(work_dir.iterdir()) if work_dir.exists() else []
        foreign = [name for entry in entries for name in _foreign(entry)]
        if foreign:
            raise UsageError(
                f"--clean-workdir: {work_dir} must hold nothing but {', '.join(WorkFolder)}, got "
                f"{', '.join(foreign[:5])}"
            )
        for entry in entries:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    except OSError as error:
        raise OutputError(
            f"--clean-workdir: what is in {work_dir} must be removable, got: {error.filename or work_dir}: "
            f"{error.strerror or error}"
        ) from error


def _foreign(entry: Path) -> list[str]:
    """What of an entry of a work directory is not this program's, by its name."""
    if _GRAPHS.fullmatch(entry.name):
        return []
    if entry.name not in list(WorkFolder):
        return [entry.name]
    suffix = _SUFFIXES.get(WorkFolder(entry.name))
    if suffix is None or not entry.is_dir():
        return []
    # Others call folders of their own so, too. Hidden files are locks and unfinished ones.
    return [
        f"{entry.name}/{path.name}"
        for path in sorted(entry.iterdir())
        if path.suffix != suffix and not path.name.startswith(".")
    ]


def make_writable(directory: Path, name: str) -> None:
    """Make a directory and try to write in it.

    Raises
    ------
    OutputError
        If that is not possible; ``name`` says which directory it is.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".tmp-"):
            pass
    except OSError as error:
        raise OutputError(
            f"{name} must be writable, got {directory}: {error.strerror or error}"
        ) from error
