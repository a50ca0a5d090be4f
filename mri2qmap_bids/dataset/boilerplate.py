"""What was done to a derivative dataset, beside it: ``logs/CITATION.md``, ``.bib`` and ``.html``."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mri2qmap_bids.atomic import write_text
from mri2qmap_bids.citation.methods import Methods, Work, methods_text
from mri2qmap_bids.dataset.figures import read_conditions, versions_in_use
from mri2qmap_bids.dataset.integrity import guard
from mri2qmap_bids.dataset.map_sidecar import read_map_sidecar
from mri2qmap_bids.dataset.provenance import describe_maps
from mri2qmap_bids.dataset.query import MRFRun
from mri2qmap_bids.dataset.runs import runs_with_maps
from mri2qmap_bids.recon.options import ReconOptions

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Methods</title>
<style>body {{ max-width: 45em; margin: 2em auto; padding: 0 1em; font-family: sans-serif;
line-height: 1.5 }}</style></head>
<body>
<h1>Methods</h1>
{body}</body>
</html>
"""


def work_of(entities: Mapping[str, str], output_dir: Path) -> Work | None:
    """How one run was reconstructed, from its derivatives; None if they do not have it.

    Parameters
    ----------
    entities
        BIDS entities of the run.
    output_dir
        Root of the derivative dataset.
    """
    sidecar = read_map_sidecar(output_dir, entities)
    if "MRFReconstruction" not in sidecar:
        return None
    conditions = read_conditions(entities, output_dir)
    return Work(sidecar, conditions.versions if conditions else {})


def works_in(output_dir: Path) -> list[Work]:
    """What was done to every run of a derivative dataset."""
    works = [work_of(run, output_dir) for run in runs_with_maps(output_dir, extension=".json")]
    return [work for work in works if work is not None]


def planned_work(run: MRFRun, options: ReconOptions) -> Work:
    """What would be done to a run.

    Parameters
    ----------
    run
        What would be reconstructed.
    options
        How.

    Raises
    ------
    Mri2QmapError
        If the raw file has no header that can be read.
    """
    from mri2qmap_bids.recon.acquisition.table import read_table

    with guard(run.path):
        sidecar = describe_maps(run.metadata, read_table(run.path).headers[0], options)
    sources = [run.uri, *(each.uri for each in (run.b1, run.b0) if each)]
    return Work({**sidecar, "Sources": sources}, versions_in_use())


def write_boilerplate(works: Sequence[Work], output_dir: Path) -> Methods:
    """Write the text, its references and a page that holds both into ``logs/``.

    Every file appears whole or not at all; one with the same content is not written again.

    Parameters
    ----------
    works
        What was done, or would be; at least one run.
    output_dir
        Root of the derivative dataset.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    methods = methods_text(works)
    logs = output_dir / "logs"
    _write_if_new(logs / "CITATION.md", f"# Methods\n\n{methods.markdown}")
    _write_if_new(logs / "CITATION.bib", methods.bibtex)
    _write_if_new(logs / "CITATION.html", _PAGE.format(body=methods.html))
    return methods


def _write_if_new(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
