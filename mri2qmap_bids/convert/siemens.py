"""Conversion of Siemens raw data (twix, ``.dat``).

Siemens gives the directions of read, phase and slice encoding for signals exp(+2 pi i k r): the positions of
a product sequence are negated here, so that the signal is exp(-2 pi i k r) along them. In a sequence played
by Pulseq the gradients x and y go against these directions, so that its positions stay as they are, unless it
labels its lines for the scanner's own reconstruction, and numbers and reverses them as that expects.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mri2qmap_bids.convert.assembly import conversion_of
from mri2qmap_bids.convert.conversion import Conversion, ConversionOptions
from mri2qmap_bids.convert.played import as_played, with_pulseq
from mri2qmap_bids.convert.positions import Centres, place_readouts, requested_grid
from mri2qmap_bids.convert.pulseq import read_pulseq_scan
from mri2qmap_bids.convert.readouts import Readouts, frames_of
from mri2qmap_bids.convert.twix_file import data_blocks, measurements, opened, read_protocol
from mri2qmap_bids.convert.twix_protocol import Protocol
from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.acquisition.noise import noise_scale

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


def _read(path: Path) -> tuple[list[Protocol], _Lines, list[tuple[int, Any]]]:
    """Protocol of each measurement, the last one's readouts, and noise with its measurement's number."""
    blocks, noise = [], []
    with opened(path) as file:
        spans = measurements(path, file)
        protocols = [read_protocol(path, file, start) for start, _ in spans]
        for number, (start, end) in enumerate(spans):
            last = number == len(spans) - 1
            with tqdm(
                total=end - start, unit="B", unit_scale=True, desc=path.name, disable=None
            ) as bar:
                for block in data_blocks(path, file, start):
                    bar.update(int(block.dma_len))
                    if block.is_flag_set(_NOISE):
                        noise.append((number, (_channels(block), np.array(block.data))))
                    elif last and block.is_image_scan():
                        blocks.append((block, np.array(block.data)))
    if not blocks:
        raise RawDataError(f"{path}: must hold imaging readouts in its last measurement, got none")
    lines = _lines(path, blocks)
    return protocols, lines, [entry for entry in noise if entry[1][0] == lines.channels]


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
