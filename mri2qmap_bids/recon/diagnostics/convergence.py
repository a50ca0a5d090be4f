"""How far the last linear solve was from its solution, over k-space."""

import torch

from mri2qmap_bids.recon.arrays import NoiseDeviation, SubspaceImage
from mri2qmap_bids.recon.diagnostics.model import Convergence
from mri2qmap_bids.recon.frequency import frequency_axes

_N_SHELLS = 16


def convergence_of(
    image: SubspaceImage, correction: SubspaceImage, deviation: NoiseDeviation, met: bool
) -> Convergence:
    """Share of the energy of every shell of k-space that is not fitted.

    |c_i(g)|^2 / (|x_i(g)|^2 + 2 s_i^2), with sums over the frequencies g of a shell. c is the
    preconditioned residual of the normal equations, which approximates the distance to their solution.
    Row 0 is for all components together, the others are for one component each.

    Parameters
    ----------
    image
        x, shape (rank, *space).
    correction
        c.
    deviation
        s, of the error in the real and the imaginary part of every component, shape (rank,).
    met
        Whether the solver met its criterion.
    """
    square = torch.zeros((1,) * (image.ndim - 1), device=image.device)
    for frequency in frequency_axes(tuple(image.shape[1:]), image.device):
        square = square + (2 * frequency).square()
    shell = (square.sqrt() * _N_SHELLS).long().flatten()
    inside = shell < _N_SHELLS
    number = torch.bincount(shell[inside], minlength=_N_SHELLS)
    parts = []
    for remaining, own, error in zip(correction, image, deviation, strict=True):
        unfitted, whole = (
            torch.bincount(
                shell[inside],
                torch.fft.fftn(values, norm="ortho").abs().square().flatten()[inside].double(),
                _N_SHELLS,
            )
            for values in (remaining, own)
        )
        parts.append((unfitted, whole + 2 * float(error) ** 2 * number))
    tiny = torch.finfo(torch.float64).tiny
    unfitted, whole = (torch.stack(values) for values in zip(*parts, strict=True))
    unfitted, whole = (torch.cat([v.sum(0, keepdim=True), v]) for v in (unfitted, whole))
    shares = unfitted / whole.clamp_min(tiny)
    return Convergence(shares.float().cpu().numpy(), met)
