"""Relaxation times of healthy tissue from the literature."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class TissueRange:
    """Relaxation times of one tissue."""

    tissue: str
    """White matter or grey matter."""
    t1: tuple[float, float]
    """[s]"""
    t2: tuple[float, float]
    """[s]"""


@dataclass(frozen=True)
class Literature:
    """Ranges at one field strength, with their sources."""

    field_strength: float
    """[T]"""
    ranges: tuple[TissueRange, ...]
    """By tissue."""
    source: str
    """Sources of the two ends of the ranges."""
    doi: tuple[str, ...]
    """DOIs of the sources."""


_STANISZ = "10.1002/mrm.20605"
_WANSAPURA = "10.1002/(SICI)1522-2586(199904)9:4<531::AID-JMRI4>3.0.CO;2-L"
_MA = "10.1038/nature11971"
PAPERS: Mapping[str, str] = MappingProxyType(
    {
        _STANISZ: "Stanisz et al., T1, T2 relaxation and magnetization transfer in tissue at 3T (2005)",
        _WANSAPURA: "Wansapura et al., NMR relaxation times in the human brain at 3.0 tesla (1999)",
        _MA: "Ma et al., Magnetic resonance fingerprinting (2013)",
    }
)
"""Author, title and year of every source, by its DOI."""

_TABLE = (
    Literature(
        1.5,
        (
            TissueRange("white matter", (0.685, 0.884), (0.065, 0.072)),
            TissueRange("grey matter", (1.124, 1.180), (0.095, 0.097)),
        ),
        "Ma et al. 2013 (MR fingerprinting) and Stanisz et al. 2005",
        (_MA, _STANISZ),
    ),
    Literature(
        3.0,
        (
            TissueRange("white matter", (0.832, 1.084), (0.069, 0.080)),
            TissueRange("grey matter", (1.331, 1.820), (0.099, 0.110)),
        ),
        "Wansapura et al. 1999 and Stanisz et al. 2005",
        (_WANSAPURA, _STANISZ),
    ),
)


def literature_at(field_strength: float | None) -> Literature | None:
    """Ranges at a field strength; None if there are no values.

    Values of one tissue at one field strength differ widely between methods: according to Bojorquez et al., What
    are normal relaxation times of tissues at 3 T? (2017), doi:10.1016/j.mri.2016.08.021, from
    0.70 to 1.74 s for T1 of white matter.

    Parameters
    ----------
    field_strength
        [T]

    >>> literature_at(2.89).field_strength
    3.0
    >>> literature_at(7.0) is None
    True
    """
    if field_strength is None:
        return None
    for entry in _TABLE:
        if abs(entry.field_strength - field_strength) < 0.2:
            return entry
    return None
