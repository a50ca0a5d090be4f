"""Whether the files of a run can be used: their content, their sidecars, and what goes wrong with them."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mri2qmap_bids.errors import Mri2QmapError, SidecarError, UnexpectedError, one_line

logger = logging.getLogger(__name__)

# What git-annex leaves in place of a file whose content is elsewhere: a link, or a small text file.
_POINTER = b"/annex/objects/"


@contextmanager
def guard(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside the block is an error of the run that this file belongs to.

    The whole traceback is logged at the level of debugging.

    Raises
    ------
    Mri2QmapError
        As raised inside; of any other error, its kind and text in one line.
    """
    try:
        yield
    except Mri2QmapError:
        raise
    except Exception as error:
        logger.debug("%s: traceback of what follows", path, exc_info=True)
        raise UnexpectedError(
            f"{path}: unexpected {type(error).__name__}: {one_line(error)}"
        ) from error


def missing(path: Path) -> str | None:
    """What to do about a file whose content is elsewhere, as git-annex and DataLad leave it; else None."""
    if path.is_symlink() and not path.exists():
        return f"{path}: must have its content, got a link without target; try: datalad get {path}"
    try:
        with path.open("rb") as file:
            is_pointer = file.read(len(_POINTER)) == _POINTER
    except OSError:
        return None  # whoever reads it says more
    if is_pointer:
        return f"{path}: must have its content, got a pointer of git-annex; try: datalad get {path}"
    return None


class Sidecars:
    """JSON files of a dataset, each read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: dict[Path, list[Path]] = {}
        self._contents: dict[Path, Mapping[str, Any]] = {}

    def metadata(self, path: Path) -> dict[str, Any]:
        """What the sidecars of a data file say, by the inheritance principle of BIDS.

        Nearer folders count more, and within a folder names with more entities. An entry of null is as none.

        Parameters
        ----------
        path
            A data file below the root.

        Raises
        ------
        SidecarError
            If a sidecar cannot be read.
        """
        metadata: dict[str, Any] = {}
        parents = [parent for parent in path.parents if parent.is_relative_to(self._root)]
        for folder in reversed(parents):
            for sidecar in self._in(folder):
                if describes(sidecar, path):
                    metadata |= self._content(sidecar)
        return {key: value for key, value in metadata.items() if value is not None}

    def _in(self, folder: Path) -> list[Path]:
        """JSON files of a folder, those with few entities first."""
        if folder not in self._names:
            names = sorted(folder.glob("*.json"), key=lambda p: (p.name.count("_"), p.name))
            self._names[folder] = names
        return self._names[folder]

    def _content(self, sidecar: Path) -> Mapping[str, Any]:
        if sidecar not in self._contents:
            self._contents[sidecar] = read_object(sidecar)
        return self._contents[sidecar]


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises
    ------
    SidecarError
        If it is no such file.
    """
    absent = missing(path)
    if absent:
        raise SidecarError(absent)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SidecarError(f"{path}: must be a readable file, got: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SidecarError(f"{path}: must be encoded in UTF-8, got: {one_line(error)}") from error
    except (ValueError, RecursionError) as error:
        raise SidecarError(f"{path}: must be JSON, got: {one_line(error)}") from error
    if not isinstance(content, dict):
        raise SidecarError(f"{path}: must be a JSON object, got {type(content).__name__}")
    return content


def describes(sidecar: Path, path: Path) -> bool:
    """Whether a JSON file holds for a data file by the inheritance principle of BIDS.

    >>> data = Path("d/sub-1/anat/sub-1_acq-a_run-2_MRF.h5")
    >>> describes(Path("d/acq-a_MRF.json"), data), describes(Path("d/acq-b_MRF.json"), data)
    (True, False)
    """
    *entities, suffix = sidecar.stem.split("_")
    *parts, own_suffix = path.name.split(".")[0].split("_")
    return sidecar.parent in path.parents and suffix == own_suffix and set(entities) <= set(parts)
