"""The methods section of a paper, written from the sidecars of the maps."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from mri2qmap_bids.citation.references import REFERENCES, Reference, to_bibtex
from mri2qmap_bids.recon.options import (
    CG_STEPS,
    DEFAULT_ITERATIONS,
    DEFAULT_REGULARISATION,
    DENSITY_STEPS,
    LEAST_SQUARES_STEPS,
    REPLICA_STEPS,
    RESIDUAL_LEVEL,
    RESIDUAL_WEIGHT,
    START,
)

_CITED = re.compile(r"\[@([a-z0-9, @]+)\]")
# A format, for the number of steps.
_DATA_STEP = "a data-consistency step (at most {} preconditioned conjugate-gradient steps) with a quadratic penalty"
# Sidecar keys that the text depends on.
_TOLD = (
    "ReconMethodImplementationVersion",
    "MRFReconstruction",
    "PulseSequenceType",
    "MRAcquisitionType",
    "MagneticFieldStrength",
    "InversionTime",
)


@dataclass(frozen=True)
class Work:
    """One run that was reconstructed."""

    sidecar: Mapping[str, Any]
    """JSON sidecar of its T1 map."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of the libraries that did it."""


@dataclass(frozen=True)
class Methods:
    """What was done, in words."""

    markdown: str
    """Paragraphs, then the numbered references."""
    bibtex: str
    """The same references."""

    @property
    def html(self) -> str:
        """The paragraphs and references as an HTML fragment, without a heading of its own."""
        from markdown_it import MarkdownIt

        return str(MarkdownIt("commonmark", {"html": False}).render(self.markdown))


def methods_text(works: Sequence[Work]) -> Methods:
    """Describe what was done to some runs: method, parameters, versions and papers.

    Runs that were treated alike share a paragraph; nothing is said that their sidecars do not
    say.

    Parameters
    ----------
    works
        The runs, at least one.

    Returns
    -------
    The text, with the references in the order in which it cites them.
    """
    alike: dict[str, list[Work]] = {}
    for work in works:
        alike.setdefault(json.dumps(_facts(work), sort_keys=True, default=str), []).append(work)
    paragraphs = [
        " ".join(_sentences(group[0], len(group), first=index == 0))
        for index, group in enumerate(alike.values())
    ]
    versions = {name: version for work in works for name, version in work.versions.items()}
    paragraphs.append(_software(versions))
    text, cited = _numbered("\n\n".join(paragraphs))
    listed = "\n".join(f"{n}. {reference.markdown}" for n, reference in enumerate(cited, 1))
    return Methods(f"{text}\n\n{listed}\n", to_bibtex(cited))


def _facts(work: Work) -> dict[str, Any]:
    """What the text depends on."""
    facts = {key: work.sidecar.get(key) for key in _TOLD}
    return {**facts, "b1": _with_b1(work.sidecar)}


def _sentences(work: Work, n_runs: int, first: bool) -> Iterator[str]:
    """What was done to runs that were treated alike."""
    sidecar, options = work.sidecar, work.sidecar["MRFReconstruction"]
    version = sidecar.get("ReconMethodImplementationVersion", "of unknown version")
    runs = f"{n_runs} {'run' if n_runs == 1 else 'runs'}"
    if first:
        yield (
            "Quantitative T1, T2 and M0 maps were reconstructed from raw MR Fingerprinting k-space "
            f"[@ma2013] of {runs} by mri2qmap_bids {version}, a BIDS-App [@gorgolewski2017] on data in "
            "ISMRMRD format [@inati2017] organised after BIDS [@gorgolewski2016]."
        )
    else:
        yield f"Otherwise treated, by mri2qmap_bids {version}: {runs} more."
    yield _acquisition(sidecar)
    yield _dictionary(options, _with_b1(sidecar))
    yield (
        "Receive coils were whitened where the file holds a noise scan [@pruessmann2001], compressed "
        f"to at most {options['n_virtual_coils']} virtual ones [@huang2008], and their sensitivities "
        "estimated from the centre of k-space by ESPIRiT [@uecker2014]."
    )
    yield _solver(options)
    limited = (
        ", limited by the error of the prior: detail it cannot know, and what the data took back of it"
        if options["method"] == "mri2qmap"
        else ""
    )
    yield (
        "Every voxel was matched to the dictionary and refined between its grid points [@ma2013]. "
        "Uncertainties of T1 and T2 are standard deviations by the Cramer-Rao bound [@zhao2019], from "
        f"the noise measured in the data {_carried(options['method'])}{limited}. "
        "Maps were masked by Otsu's threshold on M0 [@otsu1979], and T1w, T2w, PDw and "
        "FLAIR images synthesised from them by their signal equations."
    )


def _acquisition(sidecar: Mapping[str, Any]) -> str:
    kind = str(sidecar.get("PulseSequenceType", ""))
    names = {
        "fisp": "gradient-spoiled (FISP) [@jiang2015]",
        "bssfp": "balanced (bSSFP)",
    }
    name = next((text for key, text in names.items() if key in kind.lower()), kind)
    dimension = sidecar.get("MRAcquisitionType")
    strength = sidecar.get("MagneticFieldStrength")
    train = f"The {f'{dimension} ' if dimension else ''}acquisition was {name}"
    return train + (f" at {strength:g} T." if strength else ".")


def _dictionary(options: Mapping[str, Any], with_b1: bool) -> str:
    (t1_least, t1_most), (t2_least, t2_most) = options["t1_range"], options["t2_range"]
    rank = options.get("rank")
    kept = (
        f"{rank} components"
        if rank
        else f"fewest components with {100 * options['energy']:g} % of the energy"
    )
    b1 = (
        " The measured transmit field scaled the flip angles of every voxel's fingerprints."
        if with_b1
        else ""
    )
    return (
        "Fingerprints were simulated by extended phase graphs [@weigel2015] for T1 of "
        f"{t1_least:g} to {t1_most:g} s and T2 of {t2_least:g} to {t2_most:g} s in steps of at most "
        f"{100 * options['grid_step']:g} %, and compressed to the {kept} of their singular value "
        f"decomposition [@mcgivney2014].{b1}"
    )


def _carried(method: str) -> str:
    """How noise in the data became an error of the image."""
    if method == "gridding":
        return "and carried through the reconstruction as a replica [@robson2008]"
    return (
        "and the posterior distribution of the least-squares image, of which one sample was drawn "
        f"(perturb-and-MAP [@papandreou2011]; at most {REPLICA_STEPS} conjugate-gradient steps a round)"
    )


def _solver(options: Mapping[str, Any]) -> str:
    """How images were reconstructed."""
    method, steps = options["method"], options.get("n_iterations")
    weight = options.get("regularisation")
    encoded = "Non-uniform fast Fourier transforms [@barnett2019] took images to k-space. "
    if method == "gridding":
        return (
            encoded
            + "Images in the subspace were reconstructed by the density-compensated adjoint "
            "(gridding) [@pipe1999]."
        )
    if method == "subspace":
        return encoded + _least_squares(int(steps or 0), float(weight or 0))
    if method in ("lrtv", "llr"):
        return encoded + _least_squares(LEAST_SQUARES_STEPS) + _split(method, steps, weight)
    if method == "pnp":
        return (
            encoded
            + _least_squares(DEFAULT_ITERATIONS["subspace"], DEFAULT_REGULARISATION["subspace"])
            + f" From there, plug-and-play [@venkatakrishnan2013, @fatania2022]: {_turns(steps)} of a "
            f"learned denoiser of the components ({_weights(options)} [@zhang2022], told {weight:g} "
            f"times the noise) and {_DATA_STEP.format(CG_STEPS)} towards the denoised image."
        )
    return (
        encoded
        + _least_squares(LEAST_SQUARES_STEPS)
        + _split(START, DEFAULT_ITERATIONS[START], DEFAULT_REGULARISATION[START])
        + " From there, plug-and-play [@venkatakrishnan2013] after MRI2Qmap [@golbabaee2026] with "
        f"half-quadratic splitting [@zhang2022]: {_turns(steps)} of matching, synthesis of weighted "
        f"images, a learned denoiser of them ({_weights(options)}), fusion of the maps by their "
        f"precision, and {_DATA_STEP.format(CG_STEPS)} towards the image that the fused maps predict. "
        "The image was then matched, denoised and fused once more, and the maps corrected by what they "
        "leave of the data: solved for as an image with the same smoothness term (weight "
        f"{RESIDUAL_WEIGHT:g}) and a Tikhonov term of {RESIDUAL_LEVEL:g} times the median sampling density "
        f"against errors of the model (at most {CG_STEPS} preconditioned conjugate-gradient steps), and averaged "
        "over alike neighbours with bilateral weights [@tomasi1998]."
    )


def _least_squares(steps: int, weight: float = 1.0) -> str:
    """The image without a learned prior that all methods but gridding begin with."""
    smooth = (
        f"a Tikhonov term of weight {weight:g} towards smooth images: a Gaussian prior with the power "
        "spectrum of images with edges [@ruderman1997], its energy in every component fitted to the "
        "data (empirical Bayes)"
        if weight
        else "no smoothness term (weight 0)"
    )
    return (
        "Images in the subspace were reconstructed by least squares with preconditioned conjugate "
        "gradients [@hestenes1952] and a circulant preconditioner [@chan1988]. At most "
        f"{DENSITY_STEPS} steps with density-compensated samples [@pipe1999] gave a first image; the "
        "variance of what it left in shells of k-space gave the noise and, where the model erred by more, the "
        "weights of the samples (generalised least squares [@aitken1936]). The image was then solved "
        f"for with {smooth}, in rounds of at most {steps} steps, each of which ends once the estimated "
        "distance to the minimiser is small against the image's uncertainty."
    )


def _split(method: str, steps: int | None, weight: float | None) -> str:
    """The regulariser that takes the place of the smoothness term; nothing for weight 0."""
    if not weight:
        return ""
    return (
        f" From that image on, {_penalty(method)} took the place of the smoothness term, weight "
        f"{weight:g} relative to the noise, minimised by the alternating direction method of "
        f"multipliers [@boyd2011] in at most {steps} steps."
    )


def _turns(steps: int | None) -> str:
    return "one iteration" if steps == 1 else f"at most {steps} iterations"


def _penalty(method: str) -> str:
    if method == "lrtv":
        return "total variation of the subspace images [@rudin1992]"
    return "a locally low rank of the subspace images [@zhang2015]"


def _weights(options: Mapping[str, Any]) -> str:
    given = options.get("denoiser")
    return f"weights {PurePath(given).name}" if given else "weights of the package"


def _with_b1(sidecar: Mapping[str, Any]) -> bool:
    """Whether a map of the transmit field is among what the maps were made from."""
    return any("_TB1map." in str(source) for source in sidecar.get("Sources", ()))


def _software(versions: Mapping[str, str]) -> str:
    listed = ", ".join(f"{n} {v}" for n, v in versions.items() if n != "mri2qmap_bids")
    return (
        "Runs were scheduled by Nipype [@gorgolewski2011] and computed with PyTorch [@paszke2019]"
        + (f" ({listed})." if listed else ".")
    )


def _numbered(text: str) -> tuple[str, list[Reference]]:
    """Keys in brackets to numbers in brackets, in the order in which they come."""
    cited: list[str] = []

    def number(found: re.Match[str]) -> str:
        keys = [key.strip(" @") for key in found[1].split(",")]
        cited.extend(key for key in keys if key not in cited)
        return "[" + ", ".join(str(cited.index(key) + 1) for key in keys) + "]"

    return _CITED.sub(number, text), [REFERENCES[key] for key in cited]
