"""The whole reconstruction: scan and pulse sequence to quantitative maps."""

import logging
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.recon.acquisition.extent import extent_of
from mri2qmap_bids.recon.acquisition.faulty_coils import without_faulty_coils
from mri2qmap_bids.recon.acquisition.scan import RawScan
from mri2qmap_bids.recon.agreement import check_agreement
from mri2qmap_bids.recon.denoisers.base import Denoiser
from mri2qmap_bids.recon.denoisers.registry import load_denoiser
from mri2qmap_bids.recon.device import find_device
from mri2qmap_bids.recon.diagnostics.collection import diagnose
from mri2qmap_bids.recon.diagnostics.model import Diagnostics
from mri2qmap_bids.recon.forecast import plans_with
from mri2qmap_bids.recon.grid import field_of_slices, resize, tissue_grid
from mri2qmap_bids.recon.inversion import estimated_efficiency
from mri2qmap_bids.recon.methods.registry import method_named, weights_file
from mri2qmap_bids.recon.off_resonance import frequency_of_slices, span_of, warn_of_bands
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.part import reconstruct_part
from mri2qmap_bids.recon.physics.dictionary import Dictionary, build_dictionary
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.recon.physics.slice_profile import slice_profile_note
from mri2qmap_bids.recon.planning.choice import first_that_fits
from mri2qmap_bids.recon.planning.machine import MemoryLimits
from mri2qmap_bids.recon.problem import whitening_of
from mri2qmap_bids.recon.quality import warn_of_motion
from mri2qmap_bids.recon.record import Listener, Record
from mri2qmap_bids.recon.shared_data import SharedData
from mri2qmap_bids.recon.volume import PartMaps, volume_of
from mri2qmap_bids.recon.weights import fitting_options_with_warning

logger = logging.getLogger(__name__)


def reconstruct(
    scan: RawScan,
    sequence: PulseSequence,
    options: ReconOptions | None = None,
    dictionary: Dictionary | None = None,
    limits: MemoryLimits | None = None,
    b1: NDArray[np.float32] | None = None,
    denoiser: Denoiser | None = None,
    b0: NDArray[np.float32] | None = None,
) -> QuantitativeMaps:
    """T1, T2 and M0 of one scan, without a BIDS dataset.

    Parameters
    ----------
    scan
        Samples, positions, noise and geometry, from :func:`read_raw` or constructed directly.
    sequence
        The pulse sequence of the scan; as many frames as the scan.
    options
        Method, rank, device and so on; None: the defaults.
    dictionary
        Fingerprints of the same sequence, e.g. from a cache.
    limits
        Memory that may be used; None: 90 % of what the machine has.
    b1
        Transmit field relative to nominal on the grid of the maps, axes (z, y, x); None:
        nominal.
    denoiser
        The method's denoiser, on the device to compute on; None: that of the options.
    b0
        Off-resonance frequency [Hz] on the grid of the maps, axes (z, y, x); None: not corrected.

    Raises
    ------
    DeviceError, MemoryLimitError, ArgumentError
        As :func:`reconstruct_and_diagnose` does.
    """
    options = options or ReconOptions()
    return reconstruct_and_diagnose(
        scan, sequence, options, dictionary, limits, b1, denoiser, b0=b0
    )[0]


def reconstruct_and_diagnose(
    scan: RawScan,
    sequence: PulseSequence,
    options: ReconOptions,
    dictionary: Dictionary | None = None,
    limits: MemoryLimits | None = None,
    b1: NDArray[np.float32] | None = None,
    denoiser: Denoiser | None = None,
    listener: Listener | None = None,
    b0: NDArray[np.float32] | None = None,
) -> tuple[QuantitativeMaps, Diagnostics]:
    """T1, T2 and M0 of one scan, and diagnostics of their quality.

    1. Simulate the dictionary and its subspace (unless given), 2. prewhiten, 3. per slice (or
    volume) compress coils, estimate sensitivities, and let the method solve for maps, 4. estimate
    their uncertainty, 5. mask. If the inversion efficiency is to be estimated, that comes first, from
    the middle slice (or the volume); the sequence of the diagnostics has the estimate. If a map of it is, it
    comes before the method in every slice (or the volume), and the sequence has its median within the mask.

    Parameters
    ----------
    scan
        Samples, positions, noise and geometry.
    sequence
        The pulse sequence of the scan; as many frames as the scan.
    options
        Method, rank, device and so on.
    dictionary
        Fingerprints of the same sequence, e.g. from a cache. To estimate the inversion efficiency, those of
        several efficiencies, as :func:`tissue_grid` lists them.
    limits
        Memory that may be used; None: 90 % of what the machine has.
    b1
        Transmit field relative to nominal on the grid of the maps, axes (z, y, x); None:
        nominal. A given dictionary must cover its range (:func:`tissue_grid`).
    denoiser
        The method's denoiser, on the device to compute on; None: that of the options.
    listener
        Receives slices and stages as they begin and end.
    b0
        Off-resonance frequency [Hz] on the grid of the maps, axes (z, y, x); None: not corrected. The
        samples need their times.

    Raises
    ------
    DeviceError
        If the requested GPU is not available.
    MemoryLimitError
        If no plan fits the memory; raised before anything is computed.
    ArgumentError
        If there is no such method, frames or grids disagree, the trajectory is not in cycles per metre, or
        the transmit field has another shape or is not positive, finite and relative to nominal, or
        the off-resonance has another shape, is not finite, or the samples have no times, or the
        inversion efficiency is to be estimated for a sequence without an inversion, or as a map with a
        transmit field.
    """
    check_agreement(scan, sequence, options, dictionary, b1)
    scan = without_faulty_coils(scan)
    method_named(options.method)  # an unknown method is refused before anything is computed
    device, record = find_device(options.device), Record(listener=listener)
    geometry = resize(scan.geometry, options.matrix, scan.is_3d)
    skipped = 0 if scan.is_3d else 1
    options = fitting_options_with_warning(
        options, geometry.matrix[skipped:], geometry.voxel_size[skipped:]
    )
    weights = weights_file(options)
    fields = field_of_slices(b1, geometry, scan.is_3d, device)
    tissue_grid(options, b1)  # refuses a map of the efficiency with one of the field
    frequencies = frequency_of_slices(b0, geometry, scan, device)
    warn_of_bands(sequence, b0)
    note = slice_profile_note(sequence, scan.is_3d)
    if note is not None:
        logger.info("%s", note)
    if dictionary is None:
        dictionary = _dictionary(sequence, options, b1, device, record)
    shared = SharedData(
        scan, geometry, dictionary.to(device), options, whitening_of(scan), record=record
    )
    if options.inversion_efficiency == "estimate":
        with record.stage("inversion efficiency"):
            efficiency = estimated_efficiency(
                shared, fields[shared.middle], frequencies[shared.middle], span_of(b0), limits
            )
        sequence = replace(sequence, inversion_efficiency=round(efficiency.value, 4))
        options = replace(options, inversion_efficiency="given")
        dictionary = _dictionary(sequence, options, b1, device, record)
        shared = replace(shared, dictionary=dictionary.to(device), options=options)
    if denoiser is None and weights is not None:
        denoiser = load_denoiser(weights, device)
    shared = replace(shared, denoiser=denoiser)
    ways = plans_with(shared.dictionary, extent_of(scan), options, limits, span_of(b0))
    logger.info("Plan: %s", ways[0])
    parts: list[PartMaps] = []
    for index, (field, frequency) in enumerate(zip(fields, frequencies, strict=True)):
        record.begin_part(index, len(fields))
        part, ways = first_that_fits(
            partial(reconstruct_part, shared, index, field, frequency), ways
        )
        parts.append(part)
        if part.diagnostics is not None:
            steps = dict(record.steps)  # those of the next slice replace them
    with record.stage("mask"):
        maps = volume_of(parts, geometry)
    if maps.inversion_efficiency is not None:
        median = float(np.median(maps.inversion_efficiency[maps.mask]))
        sequence = replace(sequence, inversion_efficiency=round(median, 4))
    (middle,) = (part.diagnostics for part in parts if part.diagnostics is not None)
    slices = [part.quality for part in parts]
    warn_of_motion(slices)
    return maps, diagnose(
        middle,
        slices,
        sequence,
        shared.dictionary,
        scan.noise,
        record.seconds,
        steps,
        ways[0],
        scan.is_3d,
    )


def _dictionary(
    sequence: PulseSequence,
    options: ReconOptions,
    b1: NDArray[np.float32] | None,
    device: torch.device,
    record: Record,
) -> Dictionary:
    """The dictionary of a scan, on a device."""
    grid = tissue_grid(options, b1)
    with record.stage("dictionary"):
        return build_dictionary(sequence, grid, options.rank, options.energy, device)
