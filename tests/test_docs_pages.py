"""The documentation's pages read as they stand, without being built."""

import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))


@pytest.fixture(scope="module")
def fill():
    place = spec_from_file_location("fill", DOCS / "fill.py")
    module = module_from_spec(place)
    place.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tables_of_a_page_are_the_programs(fill, page):
    text = page.read_text(encoding="utf-8")
    assert "{{" not in text
    assert text == fill.filled(text), "python docs/fill.py rewrites the pages"


def test_a_stale_table_is_replaced_and_the_rest_is_not(fill):
    page = "# Usage\n\n<!-- filled: exit codes -->\nstale\n<!-- end -->\n\nThe rest.\n"
    text = fill.filled(page)
    assert "stale" not in text and "UsageError" in text
    assert text.startswith("# Usage\n\n<!-- filled") and text.endswith(
        "<!-- end -->\n\nThe rest.\n"
    )
    assert fill.filled(text) == text


def test_an_unknown_marker_is_an_error(fill):
    with pytest.raises(KeyError, match="nothing"):
        fill.filled("<!-- filled: nothing -->\n<!-- end -->\n")


def test_pages_that_the_readme_links_to_need_no_building():
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    links = {DOCS / name for name in re.findall(r"\]\(docs/(\w+\.md)", readme)}
    assert links and links <= set(PAGES)
    for page in links:
        assert not re.search(r"^(:::|\{\{)", page.read_text(encoding="utf-8"), re.MULTILINE), page


def test_the_command_leaves_pages_that_are_up_to_date_alone():
    before = {page: page.stat().st_mtime_ns for page in PAGES}
    subprocess.run([sys.executable, str(DOCS / "fill.py")], check=True)
    assert before == {page: page.stat().st_mtime_ns for page in PAGES}
