"""The methods section for a paper, written from the sidecars of the maps."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mri2qmap_bids.citation.references import REFERENCES, Reference, to_bibtex
from mri2qmap_bids.recon.methods.registry import method_named
from mri2qmap_bids.recon.physics.sequences.registry import sequence_type_named

_CITED = re.compile(r"\[@([a-z0-9, @]+)\]")
# Sidecar keys that the text depends on.
_KEYS = (
    "ReconMethodImplementationVersion",
    "MRFReconstruction",
    "PulseSequenceType",
    "MRAcquisitionType",
    "MagneticFieldStrength",
    "InversionTime",
)
_EFFICIENCY = "MRFInversionEfficiency"
_REGISTRATION = "MRFRegistration"


@dataclass(frozen=True)
class Work:
    """One run that was reconstructed."""

    sidecar: Mapping[str, Any]
    """JSON sidecar of its T1 map."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the libraries used."""


@dataclass(frozen=True)
class Methods:
    """A methods section."""

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

    Runs that were processed in the same way share a paragraph; all statements come from the
    sidecars.

    Parameters
    ----------
    works
        The runs, at least one.

    Returns
    -------
    The text, with the references in the order in which it cites them.
    """
    groups: dict[str, list[Work]] = {}
    for work in works:
        groups.setdefault(json.dumps(_facts(work), sort_keys=True, default=str), []).append(work)
    paragraphs = [
        " ".join(_sentences(group, first=index == 0)) for index, group in enumerate(groups.values())
    ]
    paragraphs.append(_software([work.versions for work in works]))
    text, cited = _numbered("\n\n".join(paragraphs))
    listed = "\n".join(f"{n}. {reference.markdown}" for n, reference in enumerate(cited, 1))
    return Methods(f"{text}\n\n{listed}\n", to_bibtex(cited))


def _facts(work: Work) -> dict[str, Any]:
    """What the text depends on."""
    facts = {key: work.sidecar.get(key) for key in _KEYS}
    return {
        **facts,
        "b1": _with_b1(work.sidecar),
        "b0": _with_b0(work.sidecar),
        "registered": _registered(work.sidecar),
        "estimated": _EFFICIENCY in work.sidecar,
    }


def _sentences(works: Sequence[Work], first: bool) -> Iterator[str]:
    """Sentences on a group of runs that were processed in the same way."""
    sidecar, n_runs = works[0].sidecar, len(works)
    options = sidecar["MRFReconstruction"]
    version = sidecar.get("ReconMethodImplementationVersion", "of unknown version")
    runs = f"{n_runs} {'run' if n_runs == 1 else 'runs'}"
    if first:
        yield (
            "Quantitative T1, T2 and M0 maps were reconstructed from raw MR Fingerprinting k-space "
            f"[@ma2013] of {runs} by mri2qmap_bids {version}, a BIDS-App [@gorgolewski2017] on data in "
            "ISMRMRD format [@inati2017] organised after BIDS [@gorgolewski2016]."
        )
    else:
        yield f"Processed differently, by mri2qmap_bids {version}: {runs} more."
    yield _acquisition(sidecar)
    yield _dictionary(options, _with_b1(sidecar))
    efficiencies = [w.sidecar[_EFFICIENCY] for w in works if _EFFICIENCY in w.sidecar]
    if efficiencies:
        of_voxels = options.get("inversion_efficiency") == "map"
        yield (_local_inversion if of_voxels else _inversion)(efficiencies)
    yield (
        "Receive coils were prewhitened if the file contained a noise scan [@pruessmann2001] and compressed "
        f"to at most {options['n_virtual_coils']} virtual coils [@huang2008]; coil sensitivities were "
        "estimated from the centre of k-space by ESPIRiT [@uecker2014]."
    )
    text = method_named(options["method"]).text(options)
    yield text.image
    if _with_b0(sidecar):
        yield (
            "Off-resonance during the readout was corrected with a measured field map: its phase was part of "
            "the encoding, interpolated between time segments [@sutton2003]."
        )
    yield (
        "Every voxel was matched to the dictionary, and the match refined between grid points [@ma2013]. "
        "Uncertainties of T1 and T2 are standard deviations given by the Cramer-Rao bound [@zhao2019], from "
        f"the noise measured in the data {text.error}. "
        "Maps were masked by Otsu's threshold on M0 [@otsu1979], and T1w, T2w, PDw and "
        "FLAIR images synthesised from them by their signal equations."
    )
    registered = _registered(sidecar)
    if registered is not None:
        software, on_t1w = registered
        yield (
            "The synthetic T1w image was registered rigidly to a T1w image of the participant: the mutual information "
            f"[@mattes2003] of the two was maximised at samples of 8, 4 and 2 mm with {software} [@lowekamp2013]."
        )
        if on_t1w:
            yield "Maps were interpolated linearly onto the grid of that image."


def _acquisition(sidecar: Mapping[str, Any]) -> str:
    kind = str(sidecar.get("PulseSequenceType", ""))
    try:
        name = sequence_type_named(kind).phrase
    except ValueError:  # given by its events, under a name of its own
        name = kind
    dimension = sidecar.get("MRAcquisitionType")
    strength = sidecar.get("MagneticFieldStrength")
    train = f"The {f'{dimension} ' if dimension else ''}acquisition was {name}"
    return train + (f" at {strength:g} T." if strength else ".")


def _dictionary(options: Mapping[str, Any], with_b1: bool) -> str:
    (t1_least, t1_most), (t2_least, t2_most) = options["t1_range"], options["t2_range"]
    rank = options.get("rank")
    components = (
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
        f"{100 * options['grid_step']:g} %, and compressed to the {components} of their singular value "
        f"decomposition [@mcgivney2014].{b1}"
    )


def _inversion(efficiencies: Sequence[float]) -> str:
    return (
        "The efficiency of the inversion was estimated from the data of each scan, as the one value whose "
        "fingerprints leave the least residual in the better explained half of the voxels of a least-squares image "
        "(least trimmed squares [@rousseeuw1984], of logarithms), by golden-section search [@kiefer1953]: "
        f"{_span(efficiencies)}."
    )


def _local_inversion(efficiencies: Sequence[float]) -> str:
    return (
        "The efficiency of the inversion was estimated at every voxel of a least-squares image, as the one that "
        "explains the voxels within a Gaussian window (standard deviation 12 mm) best (local likelihood "
        f"[@tibshirani1987], by Gauss-Newton steps); its median was {_span(efficiencies)}."
    )


def _span(efficiencies: Sequence[float]) -> str:
    """The value, or the lowest and the highest."""
    low, high = min(efficiencies), max(efficiencies)
    return f"{low:.3f}" + (f" to {high:.3f}" if high > low else "")


def _with_b1(sidecar: Mapping[str, Any]) -> bool:
    """Whether a map of the transmit field is among the sources of the maps."""
    return any("_TB1map." in str(source) for source in sidecar.get("Sources", ()))


def _with_b0(sidecar: Mapping[str, Any]) -> bool:
    """Whether a map of the static field is among the sources of the maps."""
    return any("_fieldmap." in str(source) for source in sidecar.get("Sources", ()))


def _registered(sidecar: Mapping[str, Any]) -> tuple[str, bool] | None:
    """By which software the run was registered to a T1w image, and whether maps are on its grid; None: it was not."""
    content = sidecar.get(_REGISTRATION)
    if not isinstance(content, dict):
        return None
    return content.get("Software", "SimpleITK"), bool(content.get("OutputSpaces"))


def _software(versions: Sequence[Mapping[str, str]]) -> str:
    """Each library with the versions that runs were made with."""
    names = dict.fromkeys(name for each in versions for name in each if name != "mri2qmap_bids")
    listed = ", ".join(
        f"{name} {' or '.join(dict.fromkeys(each[name] for each in versions if name in each))}"
        for name in names
    )
    return (
        "Runs were scheduled by Nipype [@gorgolewski2011] and computed with PyTorch [@paszke2019]"
        + (f" ({listed})." if listed else ".")
    )


def _numbered(text: str) -> tuple[str, list[Reference]]:
    """Replace keys in brackets by numbers in brackets, in the order of citation."""
    cited: list[str] = []

    def number(citation: re.Match[str]) -> str:
        keys = [key.strip(" @") for key in citation[1].split(",")]
        cited.extend(key for key in keys if key not in cited)
        return "[" + ", ".join(str(cited.index(key) + 1) for key in keys) + "]"

    return _CITED.sub(number, text), [REFERENCES[key] for key in cited]
