"""The directories of a call: which may be written, and which emptied."""

import re
import shutil
import tempfile
from pathlib import Path

from mri2qmap_bids.errors import OutputError, UsageError
from mri2qmap_bids.workflow.folders import WorkFolder

_WORK_FILES = ("graph",)
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


def empty(work_dir: Path) -> None:
    """Remove a work directory, if it is one of this program's.

    Raises
    ------
    UsageError
        If it holds anything else.
    """
    if not work_dir.exists():
        return
    foreign = sorted(
        path.name
        for path in work_dir.iterdir()
        if path.name not in list(WorkFolder)
        and path.name.split(".")[0].split("_")[0] not in _WORK_FILES
    )
    if foreign:
        raise UsageError(
            f"--clean-workdir: {work_dir} must hold nothing but {', '.join(WorkFolder)}, got "
            f"{', '.join(foreign[:5])}"
        )
    shutil.rmtree(work_dir)


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
