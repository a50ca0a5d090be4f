"""Files of a dataset by their entities (the only module that uses pybids)."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from mri2qmap_bids.atomic import write_text

SUFFIX = "MRF"
EXTENSIONS = (".h5", ".mrd")
_SKIPPED = r"^/(code|stimuli|sourcedata|models|derivatives)(/|$)|/\.|/(func|dwi|perf|meg|eeg|ieeg|beh|pet|micr)(/|$)"


@dataclass(frozen=True)
class Index:
    """Directory of the pybids index; None: it is not kept."""

    folder: Path | None = None
    """One database a participant."""
    renewed: bool = False
    """Whether to build it anew."""


def files_with(layout: Any, label: str, entities: Mapping[str, Any]) -> list[Path]:
    """Files of one participant that have these entities, by name."""
    from bids.layout import Query

    special = {None: Query.NONE, "*": Query.ANY}
    query = {
        key: special.get(value, value) if not isinstance(value, list) else value
        for key, value in entities.items()
    }
    return sorted(Path(file.path) for file in layout.get(**{**query, "subject": label}))


def folders_named_as_files(root: Path, label: str) -> list[Path]:
    """Folders of one participant that are named as raw files, which pybids passes over.

    Raises
    ------
    OSError
        If a folder cannot be listed, which pybids passes over, too.
    """
    ends = tuple(f"_{SUFFIX}{extension}" for extension in EXTENSIONS)
    folders = []
    for place, names, _ in _walk(root, label):
        folders += [place / name for name in names if name.endswith(ends)]
    return sorted(folders)


def _walk(
    root: Path, label: str, links: bool = False
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Folders of one participant that pybids looks into, each with its folders and files; perhaps those of links."""

    def refuse(error: OSError) -> None:
        raise error

    for parent, names, files in os.walk(root / f"sub-{label}", onerror=refuse, followlinks=links):
        place = Path(parent)
        inside = f"/{place.relative_to(root).as_posix()}"
        names[:] = [name for name in names if not re.search(_SKIPPED, f"{inside}/{name}")]
        yield place, names, files


def _state(root: Path, label: str) -> str:
    """A hash of what is in pybids' index of one participant: root and names."""
    digest = hashlib.sha256(str(root.absolute()).encode())
    for place, names, files in sorted(_walk(root, label, links=True)):
        folder = place.relative_to(root).as_posix()
        digest.update(json.dumps([folder, sorted(names), sorted(files)]).encode())
    return digest.hexdigest()


def indexed(root: Path, label: str, database: Path | None, renewed: bool) -> Any:
    """pybids' index of one participant; only this participant's files are in it.

    One that is kept is made anew if the dataset is another, or names in it have changed.
    """
    from bids import BIDSLayout
    from bids.layout import BIDSLayoutIndexer

    others = rf"^/sub-(?!{re.escape(label)}(/|_|$))"
    indexer = BIDSLayoutIndexer(
        validate=False, ignore=[re.compile(p) for p in (_SKIPPED, others)], index_metadata=False
    )
    build = partial(
        BIDSLayout, str(root), validate=False, config=[_config_below(root)], indexer=indexer
    )
    if database is None:
        return build()
    state, file = _state(root, label), database / "state.txt"
    if not renewed and file.is_file() and file.read_bytes() == state.encode():
        return build(database_path=database)
    database.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)  # If this call is killed, the next one begins again.
    layout = build(database_path=database, reset_database=True)
    write_text(file, state)
    return layout


def _config_below(root: Path) -> dict[str, Any]:
    """pybids' entities, looked for below the root alone.

    pybids looks for them in the whole path, and takes folders above the dataset for entities.
    """
    content = json.loads(_config_file().read_text(encoding="utf-8"))
    above = f"^{re.escape(str(root.absolute()))}.*?"
    entities = [{**entity, "pattern": above + entity["pattern"]} for entity in content["entities"]]
    return {"name": content["name"], "entities": entities}


@cache
def _config_file() -> Path:
    from bids.config import get_option

    return Path(get_option("config_paths")["bids"])
