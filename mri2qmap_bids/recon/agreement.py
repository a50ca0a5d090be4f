"""Whether the arguments of a reconstruction agree with each other."""

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.acquisition.scan import RawScan
from mri2qmap_bids.recon.acquisition.trajectory import TrajectoryUnits, extent_fault
from mri2qmap_bids.recon.grid import encoded_support
from mri2qmap_bids.recon.methods.registry import OWN_OPTIONS, has_option
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import Dictionary, transmit_fields
from mri2qmap_bids.recon.physics.inversion_efficiency import check_inverted
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence

# Of transmit fields in single precision, relative to nominal.
_ROUNDING = 1e-5


def check_agreement(
    scan: RawScan,
    sequence: PulseSequence,
    options: ReconOptions,
    dictionary: Dictionary | None,
    b1: NDArray[np.float32] | None = None,
) -> None:
    """Refuse arguments that were each valid but do not belong together.

    Parameters
    ----------
    scan, sequence, options, dictionary, b1
        As of :func:`mri2qmap_bids.recon.reconstruct.reconstruct`.

    Raises
    ------
    ArgumentError
        If there is no such method, or it does not have an option that is given, scan, sequence, dictionary and rank
        differ in the number of frames, the positions are not in
        cycles per metre, the inversion efficiency cannot be estimated from this sequence and dictionary, the
        dictionary does not cover the transmit field, or a slice has no signal.
    """
    for name in OWN_OPTIONS:
        value = getattr(options, name)
        if value is not None and not has_option(options.method, name):
            raise ArgumentError(f"{name} must be None for the method {options.method}, got {value}")
    frames = {"sequence.n_frames": sequence.n_frames}
    if dictionary is not None:
        frames["frames of dictionary.basis"] = len(dictionary.basis)
    for name, n_frames in frames.items():
        if n_frames != scan.n_frames:
            raise ArgumentError(f"{name} must be scan.n_frames = {scan.n_frames}, got {n_frames}")
    if (options.rank or 0) > scan.n_frames:
        raise ArgumentError(
            f"rank must be at most the number of frames, {scan.n_frames}, got {options.rank}"
        )
    if options.inversion_efficiency != "given":
        check_inverted(sequence)
    if dictionary is not None:
        _check_dictionary(options, dictionary, b1)
    _check_samples(scan)


def _check_dictionary(
    options: ReconOptions, dictionary: Dictionary, b1: NDArray[np.float32] | None
) -> None:
    """Refuse a dictionary without the efficiencies or the transmit fields that are needed."""
    estimated = options.inversion_efficiency != "given"
    if estimated != bool(len(dictionary.efficiencies)):
        several = "several inversion efficiencies" if estimated else "one inversion efficiency"
        raise ArgumentError(
            f"dictionary must have {several} for inversion_efficiency {options.inversion_efficiency}, got "
            f"{len(dictionary.efficiencies) or 1}"
        )
    if b1 is None:
        return
    fields, needed = dictionary.b1.cpu().numpy(), transmit_fields(b1)
    if fields[0] > needed[0] + _ROUNDING or fields[-1] < needed[-1] - _ROUNDING:
        raise ArgumentError(
            f"dictionary must cover the transmit field b1, {needed[0]:g} to {needed[-1]:g} of nominal "
            f"(tissue_grid(options, b1)), got {fields[0]:g} to {fields[-1]:g}"
        )


def _check_samples(scan: RawScan) -> None:
    """Refuse slices without signal, and positions in another unit."""
    for number, part in enumerate(scan.slices):
        if not any(bool(coil.any()) for coil in part.kspace):
            raise ArgumentError(f"slices[{number}].kspace must not be zero everywhere")
    n_dim = 3 if scan.is_3d else 2
    fov = scan.encoded_fov[-n_dim:]
    matrix = (
        encoded_support(scan.geometry.matrix[-n_dim:], scan.geometry.voxel_size[-n_dim:], fov)
        if scan.encoded_matrix is None
        else scan.encoded_matrix[-n_dim:]
    )
    for number, part in enumerate(scan.slices):
        largest = part.trajectory.abs().amax(0).double().numpy()
        text = extent_fault(
            largest.astype(np.float64),
            matrix[::-1],
            fov[::-1],
            TrajectoryUnits.PER_METRE,
            named=True,
        )
        if text:
            raise ArgumentError(f"slices[{number}].trajectory {text}")
