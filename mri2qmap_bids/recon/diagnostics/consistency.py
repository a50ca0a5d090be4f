"""Motion and errors of the trajectory, estimated from the residual of the samples."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.recon.acquisition.readout_ends import readout_ends
from mri2qmap_bids.recon.arrays import SubspaceImage, Trajectory
from mri2qmap_bids.recon.encoding.forward import Encoding, forward_by_coil

_N_BLOCKS = 20
# Standard errors that noise may explain.
_SIGNIFICANT = 3.0


@dataclass(frozen=True, eq=False)
class Consistency:
    """Displacements and delays that would lower the residual, to first order."""

    displacements: NDArray[np.float32]
    """Of the object in blocks of frames, relative to their median, shape (block, dim), along (z,) y, x [voxel]."""
    delays: NDArray[np.float32]
    """Of the samples relative to the trajectory, along (z,) y, x [sample]."""
    displacement_errors: NDArray[np.float32]
    """Standard errors of ``displacements``, from the residual, shape (block, dim) [voxel]."""
    delay_errors: NDArray[np.float32]
    """Standard errors of ``delays``, from the residual [sample]."""

    @property
    def moved(self) -> float:
        """Largest displacement between two blocks that noise does not explain [voxel]."""
        significant = _significant(self.displacements, self.displacement_errors)
        return float(np.linalg.norm(significant.max(0) - significant.min(0)))

    @property
    def delay(self) -> float:
        """Largest delay along an axis that noise does not explain [sample]."""
        return float(np.abs(_significant(self.delays, self.delay_errors)).max())


def consistency_of(encoding: Encoding, image: SubspaceImage, samples: torch.Tensor) -> Consistency:
    """Fit small displacements and delays to the residual of one coil.

    An object that moved by d gives y = exp(-i omega d) A x, so y - A x = -i (omega d) A x to first order.
    Samples that lag the trajectory by s give y - A x = -s (d omega / d j) dA x / d omega. Both are
    least-squares fits with one number per axis. The image has been fitted to the same samples and
    contains part of the error: values are lower bounds.

    Parameters
    ----------
    encoding
        A of one coil.
    image
        x, shape (rank, *space).
    samples
        y of that coil, shape (sample,).
    """
    predicted = next(forward_by_coil(encoding, image))
    rest = samples - predicted
    omega = encoding.omega
    n_frames = len(encoding.basis)
    n_blocks = min(_N_BLOCKS, n_frames)
    block = encoding.frame * n_blocks // n_frames
    slopes = -1j * omega * predicted[:, None]
    # The outermost samples are noise, and large displacements are not linear there.
    inner = torch.linalg.vector_norm(omega, dim=1) < torch.pi / 4
    fits = [_fit(slopes[m], rest[m]) for m in (inner & (block == b) for b in range(n_blocks))]
    moves, errors = (torch.stack(values) for values in zip(*fits, strict=True))
    # Blocks without samples near the centre say nothing of where the object was.
    known = errors.isfinite()
    moves = (moves - moves.where(known, torch.nan).nanmedian(0).values).where(known, 0)
    speed, within = _speed(omega, encoding.frame)
    axes = []
    for axis, n in enumerate(encoding.shape):
        view = [-1 if a == axis else 1 for a in range(len(encoding.shape))]
        place = (torch.arange(n, device=omega.device) - n // 2).view(view)
        derivative = -1j * next(forward_by_coil(encoding, image * place))
        axes.append(-speed[:, axis] * derivative)
    columns = torch.stack(axes, 1)
    delays, delay_errors = _fit(columns[within], rest[within])
    return Consistency(
        *(values.float().cpu().numpy() for values in (moves, delays, errors, delay_errors))
    )


def _significant(values: NDArray[np.float32], errors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values, brought nearer to zero by three standard errors, at most to zero."""
    size = (np.abs(values) - _SIGNIFICANT * errors).clip(0)
    return np.asarray(np.sign(values) * size, np.float32)


def _fit(columns: torch.Tensor, rest: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Real least squares: argmin over d of |rest - columns d|^2, and its standard error, shape (dim,).

    Without samples the error is infinite.
    """
    matrix = (columns.mH @ columns).real.double()
    target = (columns.mH @ rest).real.double()
    ridge = 1e-9 * matrix.diagonal().sum().clamp_min(1e-30)
    inverse = torch.linalg.inv(matrix + ridge * torch.eye(len(matrix), device=matrix.device))
    solved: torch.Tensor = inverse @ target
    if not len(rest):
        return solved, torch.full_like(solved, torch.inf)
    # The real and the imaginary part of a sample are two measurements.
    n_degrees = max(2 * len(rest) - len(matrix), 1)
    remaining = (rest - columns @ solved.to(columns)).abs().square().sum().double()
    return solved, (inverse.diagonal() * remaining / n_degrees).sqrt()


def _speed(omega: Trajectory, frame: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """d omega / d j [rad/voxel] by central differences, and the samples that have both neighbours."""
    joined = ~readout_ends(omega, frame)
    within = torch.zeros(len(omega), dtype=torch.bool, device=omega.device)
    within[1:-1] = joined[1:] & joined[:-1]
    speed = torch.zeros_like(omega)
    speed[1:-1] = (omega[2:] - omega[:-2]) / 2
    return speed, within
