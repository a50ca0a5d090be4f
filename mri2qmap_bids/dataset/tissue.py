"""Tissue classes from T1, by literature values at the field strength."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

USUAL_FIELD = 3.0
"""Taken where a sidecar names no field strength [T]."""
TISSUES: Mapping[str, int] = MappingProxyType({"GM": 1, "WM": 2, "CSF": 3})
"""Tissue classes and their label, as BIDS numbers them."""
NAMES: Mapping[str, str] = MappingProxyType(
    {"GM": "grey matter", "WM": "white matter", "CSF": "cerebrospinal fluid"}
)
"""Names of tissue classes in words."""
_GYROMAGNETIC = 42.577478e6  # of the proton [Hz/T]
_CSF_T1 = 4.3
_FAT_T1 = 0.37


def literature_t1(field_strength: float) -> dict[str, float]:
    """Typical T1 [s] of fat, white matter (WM), grey matter (GM) and CSF.

    White and grey matter follow T1 = a (gamma B0)^b; CSF and fat hardly depend on the field.

    Parameters
    ----------
    field_strength
        B0 [T].

    References
    ----------
    Rooney et al., Magnetic field and tissue dependencies of human brain longitudinal 1H2O
    relaxation in vivo (2007), doi:10.1002/mrm.21122. Gold et al. (2004),
    doi:10.2214/ajr.183.2.1830343 (fat).

    >>> {tissue: round(t1, 2) for tissue, t1 in literature_t1(3.0).items()}
    {'fat': 0.37, 'WM': 0.89, 'GM': 1.3, 'CSF': 4.3}
    """
    larmor = _GYROMAGNETIC * field_strength
    return {
        "fat": _FAT_T1,
        "WM": 0.00071 * larmor**0.382,
        "GM": 0.00116 * larmor**0.376,
        "CSF": _CSF_T1,
    }


def t1_limits(field_strength: float) -> dict[str, tuple[float, float]]:
    """T1 [s] from which and up to which a voxel counts as a tissue.

    Halfway between neighbours of :func:`literature_t1` on a logarithmic scale.

    >>> {tissue: (round(a, 2), round(b, 2)) for tissue, (a, b) in t1_limits(3.0).items()}
    {'WM': (0.57, 1.07), 'GM': (1.07, 2.36), 'CSF': (2.36, inf)}
    """
    fat, white, grey, fluid = literature_t1(field_strength).values()
    edges = [float(np.sqrt(a * b)) for a, b in ((fat, white), (white, grey), (grey, fluid))]
    return dict(
        zip(("WM", "GM", "CSF"), zip(edges, [*edges[1:], np.inf], strict=True), strict=True)
    )


def tissue_classes(
    t1: NDArray[np.floating], mask: NDArray[np.bool_], field_strength: float
) -> NDArray[np.uint8]:
    """Labels 1, 2, 3 (grey matter, white matter, CSF) by :func:`t1_limits`; 0 elsewhere.

    The same rule for all runs, and none of a run's own: a run whose T1 is off shows, instead of
    moving the limits. Scalp with the T1 of brain counts as brain, and voxels that are half
    fluid, half white matter as grey matter.

    Parameters
    ----------
    t1
        [s], any shape.
    mask
        Where to look.
    field_strength
        B0 [T].
    """
    labels = np.zeros(t1.shape, np.uint8)
    for tissue, (lowest, highest) in t1_limits(field_strength).items():
        labels[mask & (t1 >= lowest) & (t1 < highest)] = TISSUES[tissue]
    return labels


def tissue_probabilities(
    t1: NDArray[np.floating],
    t1_std: NDArray[np.floating],
    mask: NDArray[np.bool_],
    field_strength: float,
) -> dict[str, NDArray[np.float32]]:
    """Probability of each tissue class that T1 lies within its limits; 0 outside the mask.

    P = F((b - T1) / s) - F((a - T1) / s) with the limits a and b of :func:`t1_limits`, the standard
    deviation s of T1's error and the normal distribution function F. Neither the neighbours nor where
    tissues lie in a brain count, and a voxel that is half fluid, half white matter may be grey matter
    for certain. The sum over the classes is below 1 by the probability of a T1 below white matter's.

    Parameters
    ----------
    t1, t1_std
        [s], any shape. Without a positive, finite deviation the probability is 0 or 1.
    mask
        Where to look.
    field_strength
        B0 [T].
    """
    times, deviation = t1[mask].astype(np.float64), t1_std[mask].astype(np.float64)
    has_error = np.isfinite(deviation) & (deviation > 0)
    deviation = np.where(has_error, deviation, 1)
    probabilities = {}
    for tissue, (lowest, highest) in t1_limits(field_strength).items():
        within = (times >= lowest) & (times < highest)
        share = ndtr((highest - times) / deviation) - ndtr((lowest - times) / deviation)
        probabilities[tissue] = np.zeros(t1.shape, np.float32)
        probabilities[tissue][mask] = np.where(has_error, share, within)
    return probabilities
