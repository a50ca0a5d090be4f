"""Files that make a directory a BIDS derivative dataset."""

import json
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mri2qmap_bids import __version__
from mri2qmap_bids.atomic import write_json, write_text

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

    Each file is replaced as a whole, so that processes that share an output directory
    do not disturb each other; a README that is already there is kept.

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
        nested = output_dir.is_relative_to(raw_dataset)
        link = (
            quote(Path(os.path.relpath(raw_dataset, output_dir)).as_posix())
            if nested
            else _uri(raw_dataset)
        )
        others = {name: _uri(root) for name, root in derivatives}
        description["DatasetLinks"] = {"raw": link, **others}
        description["SourceDatasets"] = [{"URL": link}]
    write_json(output_dir / "dataset_description.json", description)
    write_text(output_dir / ".bidsignore", "\n".join(_IGNORED) + "\n")
    readme = output_dir / "README.md"
    if not readme.exists():
        write_text(readme, _readme(name, generated_by))


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
    """Address of a folder; a relative path is of the current folder."""
    return root.absolute().as_uri()


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
