"""A Pulseq file (text format, versions 1.3 to 1.5), read from its published specification.

Reference: Layton et al., Pulseq: a rapid and hardware-independent pulse sequence prototyping framework
(2017), doi:10.1002/mrm.26235; specification at https://pulseq.github.io/specification.pdf.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from mri2qmap_bids.encoded_text import read_text
from mri2qmap_bids.errors import PulseqError
from mri2qmap_bids.pulseq.file import Block, PulseqFile
from mri2qmap_bids.pulseq.rows import (
    Raster,
    adc_of,
    block_of,
    read_shapes,
    rf_of,
    trapezoid_of,
    waveform_of,
)

# Sections and the number of columns of their rows in versions 1.3, 1.4 and 1.5.
_COLUMNS: dict[str, tuple[int, int, int]] = {
    "BLOCKS": (8, 8, 8),
    "RF": (7, 8, 12),
    "GRADIENTS": (4, 5, 7),
    "TRAP": (6, 6, 6),
    "ADC": (6, 6, 9),
}


def read_pulseq(path: Path) -> PulseqFile:
    """Read a Pulseq file.

    Parameters
    ----------
    path
        Text file, ``.seq``.

    Raises
    ------
    PulseqError
        If the file cannot be read, is of another version, is incomplete, or rotates its gradients by
        an extension.
    """
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise PulseqError(f"{path}: must be a Pulseq text file, got: {error}") from error
    sections = dict(_sections(text))
    if "VERSION" not in sections:
        raise PulseqError(f"{path}: must be a Pulseq text file with a [VERSION], got none")
    try:
        return _interpreted(sections, path)
    except (ValueError, IndexError, KeyError) as error:
        raise PulseqError(f"{path}: must be a complete Pulseq file, got: {error!r}") from error


def _interpreted(sections: Mapping[str, list[list[str]]], path: Path) -> PulseqFile:
    numbers = {words[0]: int(words[1]) for words in sections["VERSION"]}
    version = numbers["major"], numbers["minor"]
    if version not in ((1, 3), (1, 4), (1, 5)):
        raise PulseqError(f"{path}: version must be 1.3, 1.4 or 1.5, got {version[0]}.{version[1]}")
    for name in ("BLOCKS", "RF", "ADC"):
        if not sections.get(name):
            raise PulseqError(f"{path}: must have a section [{name}] with events, got none")
    for name, columns in _COLUMNS.items():
        expected = columns[version[1] - 3]
        for words in sections.get(name, []):
            if len(words) != expected:
                raise PulseqError(
                    f"{path}: rows of [{name}] must have {expected} values in version "
                    f"{version[0]}.{version[1]}, got {len(words)}: {' '.join(words)}"
                )
    definitions = {words[0]: tuple(words[1:]) for words in sections.get("DEFINITIONS", [])}
    raster = Raster(
        float(definitions.get("BlockDurationRaster", ("1e-5",))[0]),
        float(definitions.get("GradientRasterTime", ("1e-5",))[0]),
        float(definitions.get("RadiofrequencyRasterTime", ("1e-6",))[0]),
    )
    shapes = read_shapes(sections.get("SHAPES", []))
    rf = {int(words[0]): rf_of(words, version, shapes, raster) for words in sections["RF"]}
    gradients = {
        int(words[0]): waveform_of(words, version, shapes, raster)
        for words in sections.get("GRADIENTS", [])
    } | {int(words[0]): trapezoid_of(words) for words in sections.get("TRAP", [])}
    adc = {int(words[0]): adc_of(words, version) for words in sections["ADC"]}
    blocks = tuple(
        block_of(words, version, raster, sections, gradients, rf, adc)
        for words in sections["BLOCKS"]
    )
    return PulseqFile(
        version, definitions, blocks, rf, gradients, adc, _labels(sections, blocks, path)
    )


def _sections(text: str) -> Iterator[tuple[str, list[list[str]]]]:
    """Every section's name and the words of its rows; of [SHAPES] and extensions, too."""
    name, rows = "", list[list[str]]()
    for raw_line in text.splitlines():
        line = raw_line.split("#", 1)[0].strip()
        if not line:
            continue
        if line.startswith("[") or line.startswith("extension "):
            if name:
                yield name, rows
            name, rows = line.strip("[]"), []
            if name == "SIGNATURE":
                return
        else:
            rows.append(line.split())
    if name:
        yield name, rows


def _labels(
    sections: Mapping[str, list[list[str]]], blocks: tuple[Block, ...], path: Path
) -> dict[int, tuple[tuple[str, str, int], ...]]:
    """What the lists of extensions do to the labels."""
    kinds: dict[int, str] = {}
    values: dict[str, dict[int, list[str]]] = {}
    for name, rows in sections.items():
        if name.startswith("extension "):
            _, kind, kind_number = name.split()
            kinds[int(kind_number)] = kind
            values[kind] = {int(row[0]): row[1:] for row in rows}
    entries = {
        int(row[0]): (int(row[1]), int(row[2]), int(row[3]))
        for row in sections.get("EXTENSIONS", [])
    }
    labels: dict[int, tuple[tuple[str, str, int], ...]] = {}
    for head in {block.extension for block in blocks} - {0}:
        actions, number = list[tuple[str, str, int]](), head
        while number:
            kind_of_entry, reference, number = entries[number]
            kind = kinds.get(kind_of_entry, "")
            if kind == "ROTATIONS":
                raise PulseqError(
                    f"{path}: gradients must be stored as they are played, got the extension ROTATIONS"
                )
            if kind in ("LABELSET", "LABELINC"):
                value, label = values[kind][reference][:2]
                actions.append((kind.removeprefix("LABEL").lower(), label, int(value)))
        labels[head] = tuple(actions)
    return labels
