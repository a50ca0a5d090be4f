"""Positions of k-space that several samples share, as where frames repeat the arms of a spiral."""

from dataclasses import dataclass

import torch

from mri2qmap_bids.recon.arrays import Trajectory

# Share of distinct positions up to which they are told apart: an index is not worth fewer repetitions.
_FEW = 0.5
# Odd numbers without structure: the first 64 bits of the fractions of the golden ratio, e and pi, the last bit 1.
_MIXERS = (-7046029254386353131, -5196783011329398165, 2611923443488327891)


@dataclass(frozen=True, eq=False)
class SharedPositions:
    """Distinct positions, and which of them each sample has."""

    omega: Trajectory
    """Distinct positions [rad/voxel], shape (position, dim)."""
    index: torch.Tensor
    """Position of every sample, integer, shape (sample,)."""

    def of_samples(self, values: torch.Tensor) -> torch.Tensor:
        """Values at the positions as those of the samples, shape (..., position) to (..., sample)."""
        return values.index_select(-1, self.index)

    def summed(self, values: torch.Tensor) -> torch.Tensor:
        """Adjoint of :meth:`of_samples`: the sum over all samples of a position."""
        total = values.new_zeros((*values.shape[:-1], len(self.omega)))
        return total.index_add_(-1, self.index, values)


def shared_positions(omega: Trajectory) -> SharedPositions | None:
    """Distinct positions, equal to the last bit; None where more than half of the samples have their own.

    Parameters
    ----------
    omega
        Positions [rad/voxel], shape (sample, dim).
    """
    mixed = torch.zeros(len(omega), dtype=torch.int64, device=omega.device)
    for axis, mixer in zip(range(omega.shape[1]), _MIXERS, strict=False):
        mixed += omega[:, axis].contiguous().view(torch.int32).long() * mixer  # modulo 2^64
    distinct, index = torch.unique(mixed, return_inverse=True)
    if len(distinct) > _FEW * len(omega):
        return None
    positions = omega.new_empty((len(distinct), omega.shape[1]))
    positions[index] = omega  # any of those that are equal
    if not torch.equal(positions[index], omega):  # two positions have one sum
        return None
    return SharedPositions(positions, index.int())
