"""Reports as files: valid, whole in themselves, and telling what went wrong."""

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import html5lib
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from helpers.diagnostics import some_run

from mri2qmap_bids.cli import main
from mri2qmap_bids.dataset.failures import RunFailure, keep_failures, read_failures
from mri2qmap_bids.report.contents import Page, pages_of
from mri2qmap_bids.report.page import page_part, references_of, write_report
from mri2qmap_bids.report.section import section_of

PAGES = ("sub-01.html", "sub-02.html")
PLOTTED = ("T1map", "T2map", "R1map", "R2map")


class Elements(HTMLParser):
    """Every element's name and attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def attributes(self, name):
        return [a[name] for _, a in self.tags if a.get(name)]


@pytest.fixture(scope="module", params=PAGES)
def text(request, derivatives):
    return (derivatives / request.param).read_text(encoding="utf-8")


def test_html_is_well_formed(text):
    html5lib.HTMLParser(strict=True).parse(text)


def test_identifiers_are_unique_and_every_reference_has_its_target(text):
    elements = Elements(text)
    identifiers = elements.attributes("id")
    assert len(identifiers) == len(set(identifiers))
    for name in ("aria-labelledby", "aria-controls", "for"):
        assert set(elements.attributes(name)) <= set(identifiers)
    inside = [link[1:] for link in elements.attributes("href") if link.startswith("#")]
    assert len(inside) > 20
    assert set(inside) <= set(identifiers)
    references = set(re.findall(r"url\(#([^)]+)\)", text))
    assert references <= set(identifiers)


def test_a_2d_run_without_a_slice_profile_is_told_and_a_volume_is_not(derivatives):
    """In sidecar, log and page; it is no warning, which would change the rating."""
    for page, is_2d in zip(PAGES, (True, False), strict=True):
        label = page.removesuffix(".html")
        assert ("No slice profile is given" in (derivatives / page).read_text("utf-8")) is is_2d
        logs = "".join(path.read_text() for path in (derivatives / "logs").glob(f"{label}_*.log"))
        assert logs and ("No slice profile is given" in logs) is is_2d
        for path in (derivatives / label).rglob("*[0-9d]_T1map.json"):
            sidecar = json.loads(path.read_text())
            assert len(sidecar["QualityNotes"]) == is_2d
            assert not any("profile" in text for text in sidecar["QualityWarnings"])


def test_nothing_is_loaded_from_anywhere(text):
    elements = Elements(text)
    assert all(source.startswith("data:") for source in elements.attributes("src"))
    assert not [tag for tag, a in elements.tags if tag in ("link", "iframe", "object", "embed")]
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    loaded = [a for tag, a in elements.tags if tag in ("image", "use", "img", "script")]
    assert all((a.get("xlink:href") or a.get("href") or "#")[:1] in "#d" for a in loaded)
    # What a script could still ask for, the page itself forbids.
    assert "default-src 'none'" in text


def test_links_lead_to_files_that_are_there(text, derivatives):
    links = [x for x in Elements(text).attributes("href") if x[0] != "#" and "//" not in x]
    assert any(link.endswith("_T1map.nii.gz") for link in links)
    assert any(link.endswith(".svg") for link in links)
    for link in links:
        assert (derivatives / link).is_file(), link


def test_figures_have_no_role_of_their_own(text):
    # Not allowed where there is a caption, and no parser would say so.
    assert not [a for tag, a in Elements(text).tags if tag == "figure" and "role" in a]


def test_images_have_words_for_those_who_do_not_see_them(text):
    images = [a for tag, a in Elements(text).tags if tag == "img"]
    assert len(images) > 10
    assert all(a["alt"] for a in images)
    drawings = [a for tag, a in Elements(text).tags if tag == "svg" and "role" in a]
    assert len(drawings) >= 6
    assert all(a["aria-label"] for a in drawings)


@pytest.mark.parametrize("page", PAGES)
def test_page_is_small(derivatives, page):
    assert (derivatives / page).stat().st_size < 5e6 / 4


def test_page_says_what_was_run(text):
    for words in ("mri2qmap", "Command line", "noise", "FISP, 60 frames", "torchsim", "rank"):
        assert words in text


def test_figures_are_files_named_as_bids_names_them(derivatives):
    figures = sorted(path.name for path in (derivatives / "sub-02" / "figures").iterdir())
    pattern = r"sub-02_ses-1_acq-3d_desc-[a-z]+_[A-Za-z0-9]+\.(png|svg|npz|json)"
    assert [name for name in figures if not re.fullmatch(pattern, name)] == []
    for end in ("mosaic_T1map.png", "mosaicstd_T2map.png", "histogram_MRF.svg", "train_MRF.svg"):
        assert any(name.endswith(end) for name in figures), end


def test_flair_of_thick_voxels_has_a_warning(derivatives):
    thick, thin = ((derivatives / page).read_text(encoding="utf-8") for page in PAGES)
    thickness = [
        max(nib.load(next(derivatives.glob(f"{page[:6]}/**/*_T1map.nii.gz"))).header.get_zooms())
        for page in PAGES
    ]
    for text, size in zip((thick, thin), thickness, strict=True):
        assert ("rims of fluid are bright" in text) == (size > 4)


@pytest.fixture
def copied(derivatives, tmp_path):
    """The derivatives, to spoil."""
    return Path(shutil.copytree(derivatives, tmp_path / "out"))


def test_maps_without_diagnostics_have_a_report(copied):
    for path in (copied / "sub-02" / "figures").glob("*diagnostics*"):
        path.write_bytes(b"")
    text = write_report(copied, Page("02")).read_text()
    html5lib.HTMLParser(strict=True).parse(text)
    assert "not known" in text
    assert "Fingerprints</h3>" not in text


def test_failures_are_on_the_page_until_they_are_mended(copied):
    failure = RunFailure("sub-01_run-9", "a <b> failed", "/crash.txt", "Traceback <x>", "today")
    keep_failures(copied, ["sub-01_run-9"], [failure])
    assert read_failures(copied, "01") == [failure]
    text = write_report(copied, Page("01")).read_text()
    html5lib.HTMLParser(strict=True).parse(text)
    for words in ("a &lt;b&gt; failed", "/crash.txt", "Traceback &lt;x&gt;", "1 failed"):
        assert words in text
    keep_failures(copied, ["sub-01_run-9"], [])
    assert read_failures(copied, "01") == []
    assert "/crash.txt" not in write_report(copied, Page("01")).read_text()


def test_participants_with_nothing_but_failures_have_a_page(tmp_path):
    keep_failures(tmp_path, [], [RunFailure("sub-07", "no sidecar")])
    text = write_report(tmp_path, Page("07")).read_text()
    html5lib.HTMLParser(strict=True).parse(text)
    assert "no sidecar" in text


def test_warnings_and_options_are_shown(copied):
    path = next((copied / "sub-02" / "figures").glob("*_desc-diagnostics_MRF.json"))
    content = json.loads(path.read_text())
    content["Warnings"] = ["the <coil> is cold"]
    path.write_text(json.dumps(content))
    text = write_report(copied, Page("02")).read_text()
    assert "the &lt;coil&gt; is cold" in text
    assert 'class="light look"' in text


def test_sessions_share_a_page_until_there_are_too_many(tmp_path):
    coming = [{"sub": "01", "ses": str(i)} for i in range(3)]
    assert pages_of(tmp_path, ["01"], 3, *coming) == [Page("01")]
    assert pages_of(tmp_path, ["01"], 2, *coming) == [Page("01", str(i)) for i in range(3)]
    assert pages_of(tmp_path, ["02"], 2, {"sub": "02"}) == [Page("02")]


@pytest.fixture
def many_runs(copied, tmp_path):
    """Twelve participants, the last of which is not like the others."""
    source = copied / "sub-02"
    for number in range(3, 13):
        label = f"sub-{number:02d}"
        for path in source.rglob("anat/*"):
            target = copied / label / path.relative_to(source).parent
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target / path.name.replace("sub-02", label))
    for number in range(2, 13):
        (path,) = copied.glob(f"sub-{number:02d}/ses-1/anat/*acq-3d_T1map.nii.gz")
        image = nib.load(path)
        factor = 1.3 if number == 12 else 1 + 0.002 * number
        nib.save(nib.Nifti1Image(image.get_fdata() * factor, image.affine), path)
    words = ["nowhere", copied, "group", "-w", tmp_path / "w"]
    assert main([str(word) for word in words]) == 0
    return copied


def test_group_report_links_every_run_and_marks_those_that_stand_out(many_runs, validator):
    text = (many_runs / "group.html").read_text(encoding="utf-8")
    html5lib.HTMLParser(strict=True).parse(text)
    elements = Elements(text)
    assert "M0map of every run by region" not in text  # its unit is another in every scan
    for measure in PLOTTED:
        assert f"{measure} of every run by region" in elements.attributes("aria-label")
    links = elements.attributes("href")
    # Whoever has a report is linked to its very run; the copies have none.
    tables = [pd.read_csv(many_runs / f"group_{measure}.tsv", sep="\t") for measure in PLOTTED]
    n_points = sum(
        int((table.participant_id == "sub-02").mul(table.n_voxels > 0).sum()) for table in tables
    )
    assert n_points >= 3 * len(PLOTTED)
    assert (
        links.count("sub-02.html#sub-02-ses-1-acq-3d") == n_points + 1
    )  # one in the table of runs
    assert not any(link.startswith("sub-03") for link in links)
    for link in links:
        page, _, anchor = link.partition("#")
        if "//" not in page and page:
            assert (many_runs / page).is_file(), link
            assert not anchor or f'id="{anchor}"' in (many_runs / page).read_text()
    marked = re.findall(r'class="outlier".*?<title>([^,]+)', text)
    assert set(marked) == {"sub-12_ses-1_acq-3d"}
    row = re.search(r"<tr><th scope=\"row\">sub-12.*?</tr>", text, re.DOTALL)
    assert "T1map" in row[0]
    assert validator(many_runs)[0] == 0


def test_the_references_are_those_of_the_ranges_that_are_shown(tmp_path):
    """At 1.5 T other papers than at 3 T."""
    section = section_of(
        replace(some_run(), sidecar={"MagneticFieldStrength": 1.5}), tmp_path, False
    )
    listed = " ".join(text for text, _ in references_of([section]))
    assert "Ma et al." in listed and "Stanisz" in listed and "Wansapura" not in listed


def test_words_have_enough_contrast_on_their_background():
    """4.5 to 1, as WCAG 2 asks for text, in both themes."""

    def luminance(colour):
        channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(
            channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        )
        return linear @ [0.2126, 0.7152, 0.0722]

    blocks = [b for b in re.findall(r"\{([^{}]*)\}", page_part("style.css")) if "--good-back:" in b]
    assert len(blocks) == 3
    for block in blocks:
        colour = dict(re.findall(r"--([\w-]+): (#\w{6})", block))
        pairs = [("text", "page"), ("text", "card"), ("quiet", "page"), ("quiet", "card")]
        pairs += [(name, f"{name}-back") for name in ("good", "look", "bad")]
        pairs += [("accent", "card"), *((f"series-{n}", "card") for n in (1, 2, 3, 4))]
        for pair in pairs:
            dark, light = sorted(luminance(colour[name]) for name in pair)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, pair
