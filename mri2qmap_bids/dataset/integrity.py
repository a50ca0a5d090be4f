"""Which files of a run cannot be used, and why."""

import json
from collections.abc import Mapping
from pathlib import Path


def broken_sidecars(root: Path, label: str) -> dict[Path, str]:
    """JSON files of a dataset's root and of one participant that cannot be read.

    Parameters
    ----------
    root
        Where the participant's folder lies.
    label
        The participant, without ``sub-``.

    Returns
    -------
    What is wrong with each.
    """
    reasons = {}
    for path in [*root.glob("*.json"), *(root / f"sub-{label}").rglob("*.json")]:
        try:
            if not isinstance(json.loads(path.read_text(encoding="utf-8")), dict):
                reasons[path] = f"{path}: must be a JSON object, got something else"
        except OSError as error:
            reasons[path] = missing(path) or f"{path}: must be readable, got: {error.strerror}"
        except ValueError as error:
            reasons[path] = f"{path}: must be JSON, got: {error}"
    return reasons


def unusable(path: Path, broken: Mapping[Path, str]) -> str | None:
    """Why a raw file cannot be used, if its bytes are missing or a sidecar of it is broken.

    Parameters
    ----------
    path
        The raw file.
    broken
        From :func:`broken_sidecars`.
    """
    reasons = [reason for sidecar, reason in broken.items() if describes(sidecar, path)]
    return missing(path) or (reasons[0] if reasons else None)


def missing(path: Path) -> str | None:
    """What to do about a link whose target is not there, as DataLad leaves them; else None."""
    if path.exists() or not path.is_symlink():
        return None
    return f"{path}: must have its content, got a link without target; try: datalad get {path}"


def describes(sidecar: Path, path: Path) -> bool:
    """Whether a JSON file holds for a data file by the inheritance principle of BIDS.

    >>> data = Path("d/sub-1/anat/sub-1_acq-a_run-2_MRF.h5")
    >>> describes(Path("d/acq-a_MRF.json"), data), describes(Path("d/acq-b_MRF.json"), data)
    (True, False)
    """
    *entities, suffix = sidecar.stem.split("_")
    *parts, own_suffix = path.name.split(".")[0].split("_")
    return sidecar.parent in path.parents and suffix == own_suffix and set(entities) <= set(parts)
