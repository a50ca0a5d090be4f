"""What each tissue of the head is made of, at 3 T.

Typical values of the literature; where none is measured, those of a like tissue.

References
----------
Wansapura et al. (1999), doi:10.1002/(SICI)1522-2586(199904)9:4<531::AID-JMRI4>3.0.CO;2-L.
Stanisz et al. (2005), doi:10.1002/mrm.20605.
Gold et al. (2004), doi:10.2214/ajr.183.2.1830343 (muscle, fat).
de Bazelaire et al. (2004), doi:10.1148/radiol.2303021331 (bone marrow).
Lu et al. (2004), doi:10.1002/mrm.20178 (blood).
Spijkerman et al. (2018), doi:10.1007/s10334-017-0659-3 (cerebrospinal fluid).
"""

from dataclasses import dataclass, replace

import numpy as np

GREY_MATTER, WHITE_MATTER, FLUID, MIXED, OTHER = 1, 2, 3, 4, 5
"""Values of a digital brain's labels: three pure tissues, brain mixture, everything else."""


@dataclass(frozen=True)
class Tissue:
    """One tissue of the head."""

    name: str
    """Its name."""
    t1: float
    """Longitudinal relaxation time [s]."""
    t2: float
    """Transverse relaxation time [s]."""
    m0: float
    """Proton density relative to water, 0..1; 0: no signal at all."""
    label: int = OTHER
    """Label of a voxel that holds nothing else."""


BACKGROUND = Tissue("background", 1.0, 0.1, 0.0, 0)
GREY = Tissue("grey matter", 1.40, 0.092, 0.82, GREY_MATTER)
WHITE = Tissue("white matter", 0.85, 0.062, 0.70, WHITE_MATTER)
CSF = Tissue("cerebrospinal fluid", 3.90, 1.40, 1.00, FLUID)
FAT = Tissue("fat", 0.37, 0.13, 0.90)
MUSCLE = Tissue("muscle", 1.41, 0.045, 0.75)
SKIN = Tissue("muscle or skin", 1.10, 0.050, 0.70)
# The transverse magnetisation of compact bone is gone before any echo.
SKULL = Tissue("skull", 1.0, 0.1, 0.0)
VESSEL = Tissue("vessels", 1.65, 0.150, 0.85)
CONNECTIVE = Tissue("connective tissue around fat", 0.80, 0.060, 0.60)
DURA = Tissue("dura mater", 1.10, 0.050, 0.50)
MARROW = Tissue("bone marrow", 0.59, 0.050, 0.50)

MNI152_TISSUES = (BACKGROUND, GREY, WHITE, CSF)
BRAINWEB_TISSUES = (
    BACKGROUND, CSF, GREY, WHITE, FAT, MUSCLE, SKIN, SKULL, VESSEL, CONNECTIVE, DURA, MARROW,
)  # fmt: skip
"""In the order of the label values of the BrainWeb anatomies (Aubert-Broche et al. 2006)."""

SUBJECT_SPREAD = 0.03
"""Relative standard deviation of a tissue's T1, T2 and M0 between subjects."""


def of_subject(tissues: tuple[Tissue, ...], rng: np.random.Generator) -> tuple[Tissue, ...]:
    """The tissues of one subject: every value times exp(spread * g), g normal within +-2.

    Parameters
    ----------
    tissues
        Typical tissues.
    rng
        The subject's source of randomness.

    Returns
    -------
    As many tissues, in the same order.
    """
    factors = np.exp(SUBJECT_SPREAD * np.clip(rng.normal(size=(len(tissues), 3)), -2.0, 2.0))
    return tuple(
        replace(tissue, t1=tissue.t1 * f[0], t2=tissue.t2 * f[1], m0=min(1.0, tissue.m0 * f[2]))
        for tissue, f in zip(tissues, factors.tolist(), strict=True)
    )
