"""Participant report: all runs on one self-contained page."""

import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from mri2qmap_bids import __version__
from mri2qmap_bids.atomic import write_text
from mri2qmap_bids.citation.methods import methods_text
from mri2qmap_bids.dataset.boilerplate import work_of
from mri2qmap_bids.dataset.failures import RunFailure, read_failures
from mri2qmap_bids.dataset.verdict import Level, worst
from mri2qmap_bids.report.contents import Page, runs_of
from mri2qmap_bids.report.literature import PAPERS
from mri2qmap_bids.report.rules import RULES
from mri2qmap_bids.report.run import load_run
from mri2qmap_bids.report.section import RunSection, section_of


def write_report(output_dir: Path, page: Page, viewer: bool = False) -> Path:
    """Write the page of a participant, or of one session, and its figures, in place of pages of the other kind.

    Parameters
    ----------
    output_dir
        Root of the derivative dataset.
    page
        The page to write.
    viewer
        Whether to write views of T1 and T2 beside it; those of an earlier call are removed otherwise.

    Raises
    ------
    DatasetError
        If maps are unreadable.
    OutputError
        If a file cannot be written.
    """
    sections = [
        section_of(load_run(output_dir, entities), output_dir, viewer)
        for entities in runs_of(output_dir, page.participant, page.session)
    ]
    failures = [
        failure
        for failure in read_failures(output_dir, page.participant)
        if page.holds(failure.entities)
    ]
    text = (
        environment()
        .get_template("participant.html.jinja")
        .render(
            title=page.name.replace("_", ", "),
            sections=sections,
            failures=failures,
            level=_overall(sections, failures),
            rules=RULES,
            version=__version__,
            written=time.strftime("%Y-%m-%d %H:%M"),
            group="group.html" if (output_dir / "group.html").is_file() else None,
            methods=_methods(sections, output_dir),
            references=references_of(sections),
            stylesheet=page_part("style.css"),
            script=page_part("script.js"),
        )
    )
    path = output_dir / page.file
    write_text(path, text)
    for other in page.other_files(output_dir):
        other.unlink(missing_ok=True)
    return path


def environment() -> jinja2.Environment:
    """Templates with autoescape and strict undefined variables."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("mri2qmap_bids.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page_part(name: str) -> Markup:
    """A part of the page that is inserted unchanged."""
    folder = files("mri2qmap_bids.report") / "templates"
    return Markup((folder / name).read_text(encoding="utf-8"))


def _methods(sections: Sequence[RunSection], output_dir: Path) -> Markup:
    """The methods section."""
    works = [work_of(section.run.entities, output_dir) for section in sections]
    documented = [work for work in works if work is not None]
    return Markup(methods_text(documented).html) if documented else Markup("")


def _overall(sections: Sequence[RunSection], failures: Sequence[RunFailure]) -> Level:
    if failures or not sections:
        return "bad"
    return worst([section.level for section in sections])


def references_of(sections: Sequence[RunSection]) -> list[tuple[str, str]]:
    """Text and address of the references of the page itself."""
    references = [
        (
            "Fuderer et al., Color-map recommendation for MR relaxometry maps (2024)",
            "https://doi.org/10.1002/mrm.30290",
        ),
        (
            "Bojorquez et al., What are normal relaxation times of tissues at 3 T? (2017)",
            "https://doi.org/10.1016/j.mri.2016.08.021",
        ),
    ]
    dois = (doi for section in sections if section.literature for doi in section.literature.doi)
    references += [
        (PAPERS[doi], f"https://doi.org/{quote(doi, safe='/:;()')}") for doi in dict.fromkeys(dois)
    ]
    return references
