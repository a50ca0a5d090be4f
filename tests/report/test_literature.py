"""Ranges of healthy tissue."""

import pytest

from mri2qmap_bids.report.literature import PAPERS, literature_at


@pytest.mark.parametrize("field", [1.5, 3.0])
def test_ranges_are_intervals_and_white_matter_relaxes_first(field):
    literature = literature_at(field)
    white, grey = literature.ranges
    assert (white.tissue, grey.tissue) == ("white matter", "grey matter")
    for name in ("t1", "t2"):
        first, second = getattr(white, name), getattr(grey, name)
        assert first[0] < first[1] < second[0] < second[1]
    assert literature.doi


def test_t1_grows_with_the_field_and_t2_does_not():
    low, high = literature_at(1.5), literature_at(3.0)
    for one, other in zip(low.ranges, high.ranges, strict=True):
        assert one.t1[0] < other.t1[0] and one.t1[1] < other.t1[1]


def test_there_is_nothing_between_or_beyond_the_fields():
    assert literature_at(None) is literature_at(2.0) is literature_at(7.0) is None
    assert literature_at(1.45) is literature_at(1.5)


@pytest.mark.parametrize("field", [1.5, 3.0])
def test_every_source_has_its_title(field):
    """Surname and year of the caption are those of the papers that the page lists."""
    literature = literature_at(field)
    assert len(literature.doi) == literature.source.count(" et al. ")
    for doi in literature.doi:
        assert PAPERS[doi].split()[0] in literature.source
        assert PAPERS[doi][-5:-1] in literature.source
