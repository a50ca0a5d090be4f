"""Files that make a directory a BIDS derivative dataset."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mri2qmap_bids import __version__
from mri2qmap_bids.atomic import write_json, write_text
from mri2qmap_bids.encoded_text import read_text
from mri2qmap_bids.errors import DatasetError
from mri2qmap_bids.lock import locked

logger = logging.getLogger(__name__)

BIDS_VERSION = "1.11.1"
IMAGE = "MRI2QMAP_IMAGE"
"""Environment variable with name and tag of the container image; the Dockerfile sets it."""
_IGNORED = ("*.html", "figures", "group_*", "*_xfm.*", "*_IEmap.*")
# Variables that these programs set in their containers, the more special one first.
_PLATFORMS = {"APPTAINER_CONTAINER": "apptainer", "SINGULARITY_CONTAINER": "singularity"}
# Names of the address of the source in a package's metadata, as PyPI knows them.
_CODE = ("source", "source code", "repository", "code", "homepage")


def initialise_dataset(
    output_dir: Path,
    name: str,
    generated_by: str = "mri2qmap",
    raw_dataset: Path | None = None,
    derivatives: Sequence[tuple[str, Path]] = (),
    variables: Mapping[str, str] = os.environ,
) -> None:
    """Write the files that make a directory a BIDS derivative dataset.

    Processes that share an output directory do not disturb each other. A README that is
    already there is kept, as are lines of .bidsignore and links, which sidecars of earlier
    calls may refer to.

    Parameters
    ----------
    output_dir
        The dataset's root, made if missing.
    name
        The dataset's title.
    generated_by
        Name of the generating pipeline.
    raw_dataset
        Root of the raw dataset, for ``bids:raw:`` links and its authors.
    derivatives
        (name, root) of further datasets, for ``bids:name:`` links.
    variables
        Environment variables, which tell of a container.

    Raises
    ------
    OutputError
        If the directory cannot be written.
    DatasetError
        If .bidsignore is no text.
    """
    description: dict[str, Any] = {
        "Name": name,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "License": "n/a",
        "Authors": [*_authors(raw_dataset), "mri2qmap_bids developers"],
        "GeneratedBy": [_program(generated_by, variables)],
    }
    if raw_dataset is not None:
        # Inside the raw dataset a relative link survives that dataset's being moved.
        raw, own = raw_dataset.resolve(), output_dir.resolve()
        nested = own.is_relative_to(raw)
        link = quote(Path(os.path.relpath(raw, own)).as_posix()) if nested else _uri(raw_dataset)
        others = {name: _uri(root) for name, root in derivatives}
        description["DatasetLinks"] = {"raw": link, **others}
        description["SourceDatasets"] = [{"URL": link}]
    path = output_dir / "dataset_description.json"
    with locked(path):
        links = _merged(path, description.get("DatasetLinks", {}))
        write_json(path, {**description, **({"DatasetLinks": links} if links else {})})
        extend_bidsignore(output_dir, _IGNORED)
    readme = output_dir / "README.md"
    if not readme.exists():
        write_text(readme, _readme(name, generated_by))


def extend_bidsignore(dataset: Path, patterns: Sequence[str]) -> None:
    """Add lines to a dataset's .bidsignore, keeping those there.

    Raises
    ------
    DatasetError
        If the file is no text.
    OutputError
        If it cannot be written.
    """
    path = dataset / ".bidsignore"
    lines = read_dataset_text(path).splitlines() if path.exists() else []
    further = [pattern for pattern in patterns if pattern not in lines]
    if further:
        write_text(path, "\n".join([*lines, *further]) + "\n")


def read_dataset_text(path: Path) -> str:
    """A text file of a dataset.

    Raises
    ------
    DatasetError
        If it cannot be read, or is no text.
    """
    try:
        return read_text(path)
    except OSError as error:
        raise DatasetError(f"{path}: must be readable, got: {error.strerror}") from error
    except ValueError as error:
        raise DatasetError(f"{path}: must be text in UTF-8, got: {error}") from error


def _merged(path: Path, links: Mapping[str, str]) -> dict[str, str]:
    """Links of the description that is there, and these."""
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))["DatasetLinks"]
        kept = {str(name): str(link) for name, link in earlier.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        kept = {}
    for name, link in links.items():
        if kept.get(name, link) != link:
            logger.warning(
                "%s: the link %s was %s and is now %s, also for maps of earlier calls",
                path,
                name,
                kept[name],
                link,
            )
    return {**kept, **links}


def _program(name: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """What generated the dataset, as BIDS describes it."""
    program: dict[str, Any] = {"Name": name, "Version": __version__}
    address = _code_address()
    if address is not None:
        program["CodeURL"] = address
    tag = variables.get(IMAGE)
    if tag:
        kinds = (kind for variable, kind in _PLATFORMS.items() if variables.get(variable))
        # Podman sets the variable "container" to its name, Docker sets none.
        kind = next(kinds, variables.get("container") or "docker")
        program["Container"] = {"Type": kind, "Tag": tag}
    return program


def _code_address() -> str | None:
    """Where the source of this program is, by its package's metadata; None: it does not say."""
    try:
        links = metadata("mri2qmap_bids").get_all("Project-URL") or []
    except PackageNotFoundError:
        return None
    pairs = (link.partition(",") for link in links)
    addresses = {label.strip().lower(): address.strip() for label, _, address in pairs}
    return next((addresses[label] for label in _CODE if label in addresses), None)


def _uri(root: Path) -> str:
    """Address of a folder, the same from every current folder."""
    return (root.resolve() if ".." in root.parts else root.absolute()).as_uri()


def _authors(raw_dataset: Path | None) -> list[str]:
    """Authors of the raw dataset, who are authors of what is derived from it."""
    file = raw_dataset / "dataset_description.json" if raw_dataset else None
    try:
        authors = json.loads(file.read_text(encoding="utf-8")).get("Authors") if file else None
    except (OSError, ValueError):
        authors = None
    return [str(author) for author in authors] if isinstance(authors, list) and authors else ["n/a"]


def _readme(name: str, generated_by: str) -> str:
    return (
        f"# {name}\n\nWritten by {generated_by} {__version__}.\n\n"
        "Maps lie in `sub-*/[ses-*/]anat/`: `T1map` and `T2map` in seconds, `M0map` in arbitrary "
        "units, `R1map` and `R2map` in 1/s, `desc-head_mask` where they are defined, `desc-brain_mask` where the brain "
        "is, `dseg` and `probseg` tissue classes. Each file has a JSON sidecar that says how it was made.\n"
    )
