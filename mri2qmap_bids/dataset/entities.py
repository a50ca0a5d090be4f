"""BIDS entities as file names spell them."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

ENTITY_ORDER = (
    *(
        "sub",
        "tpl",
        "ses",
        "cohort",
        "sample",
        "task",
        "tracksys",
        "acq",
        "nuc",
        "voi",
        "ce",
        "trc",
    ),
    *("stain", "rec", "dir", "run", "mod", "echo", "flip", "inv", "mt", "part", "proc", "hemi"),
    *(
        "space",
        "split",
        "recording",
        "chunk",
        "atlas",
        "seg",
        "scale",
        "res",
        "den",
        "label",
        "desc",
    ),
)
"""Short keys in the order of the BIDS schema (1.11.1, ``rules.entities``)."""


def entities_in(path: Path) -> dict[str, str]:
    """Entities of a file name by short key, as they are spelt, in the order of the name.

    >>> entities_in(Path("sub-01_ses-a_run-01_MRF.h5"))
    {'sub': '01', 'ses': 'a', 'run': '01'}
    """
    return dict(part.split("-", 1) for part in path.name.split("_")[:-1] if "-" in part)


def entities_of(path: Path) -> dict[str, str]:
    """BIDS entities in a derivative's file name that identify its run, by short key.

    >>> entities_of(Path("sub-01_ses-a_run-1_T1map.nii.gz"))
    {'sub': '01', 'ses': 'a', 'run': '1'}
    """
    return {key: value for key, value in entities_in(path).items() if key != "desc"}


def run_name(entities: Mapping[str, str]) -> str:
    """The name of a run with these entities.

    >>> run_name({"sub": "01", "ses": "a"})
    'sub-01_ses-a'
    """
    return "_".join(f"{key}-{value}" for key, value in entities.items())


def in_counting_order(text: str) -> tuple[list[tuple[str, int]], str]:
    """Key to sort labels or names by, numbers in them by their value.

    >>> sorted(["ses-10", "ses-2", "ses-pre"], key=in_counting_order)
    ['ses-2', 'ses-10', 'ses-pre']
    """
    parts = re.findall(r"([^0-9]*)([0-9]*)", text)
    return [(word, int(number or -1)) for word, number in parts], text


def is_plain(path: Path) -> bool:
    """Whether a file is a map of a run itself: not one of another grid, or of its errors.

    >>> [is_plain(Path(f"sub-01_{words}T1map.nii.gz")) for words in ("", "desc-std_", "space-T1w_")]
    [True, False, False]
    """
    return not {"desc", "space"} & set(entities_in(path))


def ordered(keys: Iterable[str]) -> list[str]:
    """Short keys in the order of the schema; those that it does not know before the description.

    >>> ordered(["desc", "own", "run", "sub"])
    ['sub', 'run', 'own', 'desc']
    """
    last = len(ENTITY_ORDER) - 1.5
    return sorted(keys, key=lambda k: ENTITY_ORDER.index(k) if k in ENTITY_ORDER else last)
