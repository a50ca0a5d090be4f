"""References in the forms of a list and of BibTeX."""

import re

import pytest

from mri2qmap_bids.citation.references import REFERENCES, Reference, to_bibtex


def reference(authors, doi="10.1/x(y)<z>"):
    return Reference("key2000", authors, "Title", "Venue", 2000, doi)


@pytest.mark.parametrize(
    ("authors", "names"),
    [
        ("Ma, Dan", "Ma"),
        ("Ma, Dan and Gulani, Vikas", "Ma and Gulani"),
        ("A, B and C, D and E, F", "A, C and E"),
        ("A, B and C, D and E, F and G, H", "A et al."),
        ("A, B and others", "A et al."),
        ("A, B and C, D and others", "A et al."),
    ],
)
def test_up_to_three_authors_are_named(authors, names):
    assert reference(authors).markdown.startswith(f"{names} (2000). Title. *Venue*.")


def test_a_doi_becomes_a_link_that_no_page_takes_for_markup():
    link = reference("A, B").link
    assert link.startswith("https://doi.org/10.1/x") and not set(link) & set("<>()")
    assert reference("A, B", "").link == "" and "<" not in reference("A, B", "").markdown


def test_bibtex_has_one_entry_each_with_balanced_braces():
    text = to_bibtex(REFERENCES.values())
    assert re.findall(r"@article\{(\w+),", text) == list(REFERENCES)
    assert text.count("{") == text.count("}")
    for entry in REFERENCES.values():
        assert f"title = {{{{{entry.title}}}}}" in text
        assert re.search(rf"{entry.key}\D*\d{{4}}\b|{entry.key}", text)


def test_keys_name_the_first_author_and_the_year_or_its_neighbour():
    for key, entry in REFERENCES.items():
        family = re.sub(r"[^a-z]", "", entry.authors.split(",")[0].lower())
        name, year = re.fullmatch(r"([a-z]+)(\d{4})", key).groups()
        assert family.startswith(name) or name.startswith(family)
        assert abs(int(year) - entry.year) <= 1
