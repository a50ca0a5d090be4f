"""Siemens raw data (twix, ``.dat``), by twixtools.

Siemens gives the directions of read, phase and slice encoding for signals exp(+2 pi i k r): the positions of
a product sequence are negated here, so that the signal is exp(-2 pi i k r) along them. In a sequence played
by Pulseq the gradients x and y go against these directions, so that its positions stay as they are, unless it
labels its lines for the scanner's own reconstruction, and numbers and reverses them as that expects.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mri2qmap_bids.convert.assembly import conversion_of
from mri2qmap_bids.convert.conversion import Conversion, ConversionOptions
from mri2qmap_bids.convert.played import as_played, with_pulseq
from mri2qmap_bids.convert.positions import Centres, place_readouts, requested_grid
from mri2qmap_bids.convert.pulseq import read_pulseq_scan
from mri2qmap_bids.convert.readouts import Readouts, frames_of
from mri2qmap_bids.errors import InputError, RawDataError
from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.acquisition.noise import noise_scale

logger = logging.getLogger(__name__)

# Siemens' names of the counters.
_COUNTERS = {
    "contrast": "Eco",
    "repetition": "Rep",
    "kspace_encode_step_1": "Lin",
    "kspace_encode_step_2": "Par",
    "phase": "Phs",
    "set": "Set",
    "segment": "Seg",
    "average": "Ave",
    "slice": "Sli",
}
_NOISE = "NOISEADJSCAN"
_3D = 4  # sKSpace.ucDimension


@dataclass(frozen=True)
class Protocol:
    """The parts of a twix header that a conversion needs, in SI units; nobody's name, no date."""

    fov: tuple[float, float, float]
    """Along read, phase and slice (of the slab in 3D) [m]."""
    matrix: tuple[int, int, int]
    """Voxels along them."""
    dwell_time: float
    """Time between samples [s]; 0: unknown."""
    is_pulseq: bool
    """Whether the sequence was played by Pulseq."""
    coil_names: Mapping[int, str]
    """Name of each receive channel."""
    metadata: Mapping[str, Any]
    """Keys for the sidecar, in the units of BIDS."""


@dataclass(frozen=True, eq=False)
class _Lines:
    """Imaging readouts, with properties from their headers."""

    readouts: Readouts
    centres: Centres
    channels: tuple[int, ...]
    is_reversed: NDArray[np.bool_]
    """Whether a readout was turned round, shape (readout,)."""


def convert_siemens(path: Path, options: ConversionOptions) -> Conversion:
    """The last measurement of a twix file; noise from any measurement of the same coils.

    Parameters
    ----------
    path
        The ``.dat`` file.
    options
        What is not in the file: frames, trajectory, and matrix and field of view of a Pulseq sequence.

    Raises
    ------
    InputError
        If there is no such file, or twixtools is not installed.
    RawDataError
        If it is no twix file, or ends too early, or its frames, lines or slices do not fit.
    """
    protocols, lines, noise = _read(path)
    protocol = protocols[-1]
    played = None if options.pulseq is None else read_pulseq_scan(options.pulseq, options.n_frames)
    own_noise: list[NDArray[np.complex64]] = []
    if played is None:
        frame = frames_of(path, lines.readouts, options.frame_counter, options.n_frames)
        stored = None
    else:
        part = as_played(played, _as_sampled(lines), path)
        lines = replace(lines, readouts=part.readouts, centres=_none_of(lines.centres, part.places))
        frame, stored, own_noise = part.frame, part.positions, part.noise
        options = with_pulseq(options, played)
    header = _header(protocol, options, lines.readouts)
    centres, is_labelled = lines.centres, bool(lines.centres.line.any())
    if protocol.is_pulseq:
        # Such a sequence has its central line in the middle, whatever its header has.
        centres = Centres(centres.sample, 0 * centres.line, 0 * centres.partition)
    placement = place_readouts(path, lines.readouts, centres, frame, header, options, stored)
    dwell_time = protocol.dwell_time * placement.oversampling
    against = played is None and (not protocol.is_pulseq or is_labelled)
    reverse = against if options.reverse_k is None else options.reverse_k
    names = protocol.coil_names
    complete = all(channel in names for channel in lines.channels)
    return conversion_of(
        path,
        placement,
        frame,
        [*own_noise, *_scaled(noise, protocols, dwell_time)],
        reverse=reverse,
        dwell_time=dwell_time,
        is_cartesian=options.trajectory is None and played is None,
        coil_names=tuple(names[channel] for channel in lines.channels) if complete else (),
        metadata={**protocol.metadata, **({} if played is None else played.metadata)},
    )


def protocol_of(header: Mapping[str, Any]) -> Protocol:
    """The protocol in a parsed twix header.

    Parameters
    ----------
    header
        Sections ``MeasYaps`` (the protocol), ``Dicom`` and ``Meas``, as twixtools parses them.

    Raises
    ------
    KeyError, IndexError
        If the protocol has no slice or no matrix.
    """
    protocol, dicom = header["MeasYaps"], header.get("Dicom", {})
    slice_, space = protocol["sSliceArray"]["asSlice"][0], protocol["sKSpace"]
    read, phase, thickness = (
        float(slice_[key]) * 1e-3 for key in ("dReadoutFOV", "dPhaseFOV", "dThickness")
    )
    base = int(space["lBaseResolution"])
    is_3d = int(space.get("ucDimension", 2)) == _3D and int(space.get("lPartitions", 1)) > 1
    dwell = protocol.get("sRXSPEC", {}).get("alDwellTime") or [0]
    is_pulseq = "pulseq" in str(protocol.get("tSequenceFileName", "")).lower()
    return Protocol(
        fov=(read, phase, thickness),
        matrix=(base, round(base * phase / read), int(space["lPartitions"]) if is_3d else 1),
        dwell_time=float(dwell[0]) * 1e-9,
        is_pulseq=is_pulseq,
        coil_names=_coil_names(protocol),
        metadata=_metadata(protocol, dicom),
    )


def _metadata(protocol: Mapping[str, Any], dicom: Mapping[str, Any]) -> dict[str, Any]:
    """What BIDS has names for; a list of these keys alone, so that nothing else comes along.

    The protocol's flip angle and times are not those of a train: they are left out.
    """
    nuclei = protocol.get("sTXSPEC", {}).get("asNucleusInfo") or [{}]
    frequency = nuclei[0].get("lFrequency")
    facts = {
        "Manufacturer": dicom.get("Manufacturer"),
        "ManufacturersModelName": dicom.get("ManufacturersModelName"),
        "SoftwareVersions": dicom.get("SoftwareVersions"),
        "MagneticFieldStrength": dicom.get("flMagneticFieldStrength"),
        "ImagingFrequency": frequency and frequency * 1e-6,
    }
    return {key: value for key, value in facts.items() if value}


def _coil_names(protocol: Mapping[str, Any]) -> dict[int, str]:
    """Names of coil elements by the ADC channel that they are connected to."""
    elements = protocol.get("sCoilSelectMeas", {}).get("aRxCoilSelectData")
    elements = elements or protocol.get("asCoilSelectMeas") or [{}]
    names = {}
    for element in elements[0].get("asList") or ():
        if not isinstance(element, Mapping) or "sCoilElementID" not in element:
            continue
        identity = element["sCoilElementID"]
        channel = element.get("lADCChannelConnected", element.get("lRxChannelConnected"))
        if channel is not None:
            coil, name = str(identity.get("tCoilID", "")), str(identity.get("tElement", ""))
            names[int(channel)] = ":".join(part.strip('"') for part in (coil, name) if part)
    return names


def _read(path: Path) -> tuple[list[Protocol], _Lines, list[tuple[int, Any]]]:
    """Protocol of each measurement, the last one's readouts, and noise with its measurement's number."""
    blocks, noise = [], []
    with _opened(path) as file:
        spans = _spans(path, file)
        protocols = [_protocol(path, file, start) for start, _ in spans]
        size = path.stat().st_size
        for number, (start, end) in enumerate(spans):
            last = number == len(spans) - 1
            with tqdm(
                total=end - start, unit="B", unit_scale=True, desc=path.name, disable=None
            ) as bar:
                for block in _blocks(path, file, start, size):
                    bar.update(int(block.dma_len))
                    if block.is_flag_set(_NOISE):
                        noise.append((number, (_channels(block), np.array(block.data))))
                    elif last and block.is_image_scan():
                        blocks.append((block, np.array(block.data)))
    if not blocks:
        raise RawDataError(f"{path}: must hold imaging readouts in its last measurement, got none")
    lines = _lines(path, blocks)
    return protocols, lines, [entry for entry in noise if entry[1][0] == lines.channels]


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: must be a file, got: {error.strerror}") from error


def _library() -> Any:
    try:
        import twixtools
        import twixtools.hdr_def
        import twixtools.helpers
        import twixtools.mdb
        import twixtools.twixprot
    except ImportError as error:
        raise InputError(
            "convert siemens: twixtools must be installed (pip install 'mri2qmap_bids[siemens]'), got: "
            f"{error}"
        ) from error
    return twixtools


def _spans(path: Path, file: BinaryIO) -> list[tuple[int, int]]:
    """Where each measurement begins and ends."""
    library, size = _library(), path.stat().st_size
    if size < library.hdr_def.MultiRaidFileHeader.itemsize:
        raise RawDataError(f"{path}: must be a Siemens twix file, got {size} bytes")
    multiple, count = library.helpers.idea_version_check(file)
    if not multiple:
        return [(0, size)]
    file.seek(0)
    entries = np.fromfile(file, library.hdr_def.MultiRaidFileHeader, count=1)[0]["entry"][
        : int(count)
    ]
    spans = []
    for entry in entries:
        start, length = int(entry["off_"]), int(entry["len_"])
        spans.append((start, start + length if length else size))
    if not spans or max(end for _, end in spans) > size:
        raise RawDataError(
            f"{path}: must be a complete Siemens twix file of {max((e for _, e in spans), default=0)} bytes, "
            f"got {size} bytes"
        )
    return spans


def _protocol(path: Path, file: BinaryIO, start: int) -> Protocol:
    file.seek(start)
    length = int.from_bytes(file.read(4), "little")
    if start + length > path.stat().st_size or b"<XProtocol>" not in file.read(max(length, 4) - 4):
        raise RawDataError(
            f"{path}: must be a Siemens twix file, got no protocol (<XProtocol>) in its header"
        )
    file.seek(start)
    try:
        with redirect_stdout(StringIO()):  # the library prints its warnings
            header = _library().twixprot.parse_twix_hdr(file)
        return protocol_of(header)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise RawDataError(
            f"{path}: the protocol in the twix header must have slices and a matrix, got an error at {error}"
        ) from error


def _blocks(path: Path, file: BinaryIO, start: int, size: int) -> Iterator[Any]:
    """The data blocks of one measurement up to its last one, which says that it is complete."""
    library = _library()
    new, _ = library.helpers.idea_version_check(file)
    file.seek(start)
    place, number = start + int.from_bytes(file.read(4), "little"), 0
    while True:
        file.seek(place)
        truncated = RawDataError(
            f"{path}: must be a complete twix file with an end mark (ACQEND), got {number} readouts and then "
            f"no further one; it has {size} bytes"
        )
        try:
            block = library.mdb.Mdb(file, new)
        except ValueError as error:
            raise truncated from error
        if block.is_flag_set("ACQEND"):
            return
        length = int(block.dma_len)
        is_data = not block.is_flag_set("SYNCDATA")
        empty = is_data and int(block.mdh.UsedChannels) * int(block.mdh.SamplesInScan) == 0
        if length <= 0 or place + length > size or empty:
            raise truncated
        if is_data:
            number += 1
            yield block
        place += length


def _channels(block: Any) -> tuple[int, ...]:
    """Numbers of the receive channels of a block; in old files only their count."""
    if block.channel_hdr:
        return tuple(int(head.ChannelId) for head in block.channel_hdr)
    return tuple(range(int(block.mdh.UsedChannels)))


def _lines(path: Path, blocks: Sequence[tuple[Any, NDArray[np.complex64]]]) -> _Lines:
    """Imaging readouts with samples cut to those acquired, reversed ones turned round."""
    channels = _channels(blocks[0][0])
    samples, heads, centres = [], [], []
    for number, (block, data) in enumerate(blocks):
        if _channels(block) != channels:
            raise RawDataError(
                f"{path}: all readouts must be from the same {len(channels)} coils, got {len(data)} in "
                f"imaging readout {number}"
            )
        cut = (int(block.mdh.CutOff.Pre), int(block.mdh.CutOff.Post))
        reflected = bool(block.is_flag_set("REFLECT"))
        line, (before, after) = (data[:, ::-1], cut[::-1]) if reflected else (data, cut)
        samples.append(line[:, before : line.shape[1] - after])
        centre = int(block.mdh.CenterCol) or line.shape[1] // 2
        centres.append((line.shape[1] - 1 - centre if reflected else centre) - before)
        heads.append(head_of(block.mdh.SliceData))
    counters = {
        name: np.array([int(getattr(block.mdh.Counter, counter)) for block, _ in blocks])
        for name, counter in _COUNTERS.items()
    }
    return _Lines(
        readouts=Readouts(samples, counters, heads),
        centres=Centres(
            sample=np.array(centres),
            line=np.array([int(block.mdh.CenterLin) for block, _ in blocks]),
            partition=np.array([int(block.mdh.CenterPar) for block, _ in blocks]),
        ),
        channels=channels,
        is_reversed=np.array([bool(block.is_flag_set("REFLECT")) for block, _ in blocks]),
    )


def _as_sampled(lines: _Lines) -> Readouts:
    """The readouts with their samples in the order of time."""
    samples = [
        part[:, ::-1] if is_reversed else part
        for part, is_reversed in zip(lines.readouts.samples, lines.is_reversed, strict=True)
    ]
    return replace(lines.readouts, samples=samples)


def _none_of(centres: Centres, places: NDArray[np.int64]) -> Centres:
    """Of some readouts, without central lines, which positions make needless."""
    none = np.zeros(len(places), np.int64)
    return Centres(centres.sample[places], none, none)


def head_of(slice_data: Any) -> dict[str, NDArray[np.float64]]:
    """Position [mm] and directions (LPS) of a readout from its quaternion (w, x, y, z).

    The columns of the rotation are the directions of phase, read and slice encoding.
    """
    w, x, y, z = (float(value) for value in slice_data.Quaternion)
    where = slice_data.SlicePos
    return {
        "position": np.array([where.Sag, where.Cor, where.Tra], np.float64),
        "phase_dir": np.array([1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)]),
        "read_dir": np.array([2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)]),
        "slice_dir": np.array([2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)]),
    }


def _header(protocol: Protocol, options: ConversionOptions, readouts: Readouts) -> ScanHeader:
    """Matrix and field of view: the user's, else the protocol's."""
    (nx, ny, nz), span = requested_grid(protocol.matrix, protocol.fov, options)
    is_3d = len(np.unique(readouts.counters["kspace_encode_step_2"])) > 1
    has_positions = options.trajectory is not None or options.pulseq is not None
    size = (nx, ny, nz if is_3d or has_positions else 1)
    return ScanHeader(size, span, size, span)


def _scaled(
    noise: Sequence[tuple[int, Any]], protocols: Sequence[Protocol], dwell_time: float
) -> list[NDArray[np.complex64]]:
    """Noise samples scaled to the bandwidth of the scan, shape (coil, sample) each."""
    return [
        samples * noise_scale(protocols[number].dwell_time, dwell_time)
        for number, (_, samples) in noise
    ]
