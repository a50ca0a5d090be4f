"""The delay of the gradients against the samples, from the centre of k-space."""

import logging
from dataclasses import replace

import torch

from mri2qmap_bids.recon.acquisition.readout_ends import readout_ends
from mri2qmap_bids.recon.arrays import FrameIndex, QuantityMap, Trajectory
from mri2qmap_bids.recon.diagnostics.model import Figures
from mri2qmap_bids.recon.encoding.forward import forward_by_coil
from mri2qmap_bids.recon.golden_section import golden_section
from mri2qmap_bids.recon.grid import resize
from mri2qmap_bids.recon.problem import inverse_problem
from mri2qmap_bids.recon.shared_data import SharedData
from mri2qmap_bids.recon.solvers.conjugate_gradient import conjugate_gradient

logger = logging.getLogger(__name__)

# Voxels along each axis: the centre of k-space, where the signal is strong and the arms meet.
_N_CENTRE = 24
_LARGEST = 3.0
"""Delays that are tried reach so far [sample]."""
_TOLERANCE = 0.1
# Of the fit to the residual, from which a delay is searched for [sample].
_SEEN = 0.03
_STEPS = 10


def with_searched_delay(
    figures: Figures, shared: SharedData, index: int, b0: QuantityMap | None = None
) -> Figures:
    """The figures of a slice or volume, with the delay searched for and warned of if the residual tells of one.

    Parameters
    ----------
    figures
        With the lower bound of :func:`consistency_of`.
    shared, index, b0
        As of :func:`gradient_delay`.
    """
    if figures.delay is None or figures.delay < _SEEN:
        return figures
    delay = gradient_delay(shared, index, b0)
    if abs(delay) < _TOLERANCE:
        logger.warning(
            "The samples look as if they lagged the trajectory, but no delay common to all axes explains it: another "
            "error of the trajectory"
        )
        return figures
    time = shared.scan.slices[index].time
    seconds = ""
    if time is not None:
        seconds = f" ({1e6 * delay * float((time[1:] - time[:-1]).median()):+.2f} us)"
    logger.warning(
        "The samples lag the trajectory by about %+.2f samples%s, a delay of the gradients: MRFGradientDelay in the "
        "sidecar corrects it",
        delay,
        seconds,
    )
    return replace(figures, delay=abs(delay))


def gradient_delay(shared: SharedData, index: int, b0: QuantityMap | None = None) -> float:
    """Delay of the gradients of one slice that leaves the least residual [sample].

    min over s of sum |y - A_s x_s|^2 over the centre of k-space (24 voxels along each axis). A_s has the positions
    k(t - s) and coil sensitivities of its own, x_s is its least-squares image: first at whole samples from -3 to 3,
    then by golden-section search, to 0.1. Every candidate has its image, since that of a late spiral is nearly a
    turned one: a derivative at one image sees a tenth of the delay.

    Parameters
    ----------
    shared
        What all slices share, with the samples in their order of time.
    index
        The slice.
    b0
        Off-resonance frequency of the slice or volume [Hz], shape (*space); None: not corrected.

    References
    ----------
    Golub and Pereyra, Variable projection (2003), doi:10.1088/0266-5611/19/2/201. Kiefer, Sequential minimax search
    for a maximum (1953), doi:10.1090/S0002-9939-1953-0055639-3.
    """
    scan, samples = shared.scan, shared.scan.slices[index]
    n_dim = samples.trajectory.shape[1]
    matrix = tuple(min(_N_CENTRE, n) for n in scan.geometry.matrix[-n_dim:])
    shape = matrix if n_dim == 3 else (scan.geometry.matrix[0], *matrix)
    geometry = resize(scan.geometry, (shape[0], shape[1], shape[2]), scan.is_3d)
    coarse = b0
    if b0 is not None:
        coarse = torch.nn.functional.interpolate(b0[None, None], matrix, mode="area")[0, 0]

    def residual(delay: float) -> float:
        late = replace(samples, trajectory=delayed(samples.trajectory, samples.frame, delay))
        only = replace(shared, scan=replace(scan, slices=(late,)), geometry=geometry)
        problem = inverse_problem(only, 0, b0=coarse)
        image = conjugate_gradient(
            problem.normal, problem.projection, _STEPS, preconditioner=problem.preconditioner()
        ).image
        predicted = forward_by_coil(problem.encoding, image)
        return sum(
            float((own - each).abs().square().mean())
            for own, each in zip(problem.kspace, predicted, strict=True)
        )

    whole = [float(s) for s in range(-int(_LARGEST), int(_LARGEST) + 1)]
    values = [residual(s) for s in whole]
    best = whole[values.index(min(values))]
    return golden_section(residual, best - 1, best + 1, _TOLERANCE)


def delayed(trajectory: Trajectory, frame: FrameIndex, delay: float) -> Trajectory:
    """Positions k(t - delay) of samples in their order of time, by linear interpolation.

    Readouts end where :func:`readout_ends` says; before the first sample of a readout and after its last, the
    position is that one's.

    Parameters
    ----------
    trajectory
        Shape (sample, dim), any unit.
    frame
        Of every sample, shape (sample,).
    delay
        Of all axes [sample].
    """
    ends = readout_ends(trajectory, frame)
    number = torch.cat([torch.zeros(1, dtype=torch.long), ends.long().cumsum(0)])
    counts = torch.bincount(number)
    first = (counts.cumsum(0) - counts)[number]
    last = first + counts[number] - 1
    place = (torch.arange(len(frame)) - delay).double()
    place = torch.minimum(torch.maximum(place, first.double()), last.double())
    lower = place.floor().long()
    upper = torch.minimum(lower + 1, last)
    share = (place - lower).float()[:, None]
    return (1 - share) * trajectory[lower] + share * trajectory[upper]
