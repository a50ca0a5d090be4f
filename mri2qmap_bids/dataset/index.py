"""Files of a dataset by their entities (the only module that uses pybids)."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

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

    def refuse(error: OSError) -> None:
        raise error

    ends = tuple(f"_{SUFFIX}{extension}" for extension in EXTENSIONS)
    folders = []
    for parent, names, _ in os.walk(root / f"sub-{label}", onerror=refuse):
        place = Path(parent)
        inside = f"/{place.relative_to(root).as_posix()}"
        names[:] = [name for name in names if not re.search(_SKIPPED, f"{inside}/{name}")]
        folders += [place / name for name in names if name.endswith(ends)]
    return sorted(folders)


def indexed(root: Path, label: str, database: Path | None, renewed: bool) -> Any:
    """pybids' index of one participant; only this participant's files are in it."""
    from bids import BIDSLayout
    from bids.layout import BIDSLayoutIndexer

    others = rf"^/sub-(?!{re.escape(label)}(/|_|$))"
    indexer = BIDSLayoutIndexer(
        validate=False, ignore=[re.compile(p) for p in (_SKIPPED, others)], index_metadata=False
    )
    if database is not None:
        database.parent.mkdir(parents=True, exist_ok=True)
    return BIDSLayout(
        str(root),
        validate=False,
        config=[_config_below(root)],
        indexer=indexer,
        database_path=database,
        reset_database=renewed,
    )


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
