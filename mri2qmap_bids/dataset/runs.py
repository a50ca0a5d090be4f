"""Which runs a derivative dataset has maps of."""

from glob import escape
from pathlib import Path

from mri2qmap_bids.dataset.derivatives import relative_path
from mri2qmap_bids.dataset.entities import entities_of, is_plain


def runs_with_maps(
    root: Path, participant: str | None = None, extension: str = ".nii.gz"
) -> list[dict[str, str]]:
    """Entities of every run with a T1 map on its own grid, in the order of the files.

    Files that are not where their names say, as someone else's may be, are none of a run.

    Parameters
    ----------
    root
        Of the derivative dataset.
    participant
        Label without ``sub-``; None: all.
    extension
        ``.nii.gz``: runs with maps; ``.json``: runs with sidecars.
    """
    folders = "sub-*" if participant is None else f"sub-{escape(participant)}"
    files = sorted(root.glob(f"{folders}/**/anat/*_T1map{extension}"))
    return [entities_of(path) for path in files if is_plain(path) and _is_in_place(path, root)]


def _is_in_place(path: Path, root: Path) -> bool:
    entities = entities_of(path)
    if "sub" not in entities:
        return False
    extension = path.name.removeprefix(path.name.split(".")[0])
    return path == root / relative_path(entities, "T1map", extension)
