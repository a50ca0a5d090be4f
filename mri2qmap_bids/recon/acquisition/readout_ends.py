"""Where one readout ends and the next begins, from positions alone."""

import torch

from mri2qmap_bids.recon.arrays import FrameIndex, Trajectory

# A step between neighbouring samples this many times the median one is a new readout.
_JUMP = 4.0


def readout_ends(trajectory: Trajectory, frame: FrameIndex) -> torch.Tensor:
    """Whether a readout ends between each sample and the next, boolean, shape (sample - 1,).

    It does where the frame changes, or where the step between positions is four times the median one.

    Parameters
    ----------
    trajectory
        In their order of time, any unit, shape (sample, dim).
    frame
        Of every sample, shape (sample,).
    """
    length = torch.linalg.vector_norm(trajectory[1:] - trajectory[:-1], dim=1)
    changes: torch.Tensor = frame[1:] != frame[:-1]
    if not len(length):
        return changes
    # The median of a subsample: torch sorts all values.
    usual = length[:: len(length) // 1_000_000 + 1].median()
    ends: torch.Tensor = changes | (length > _JUMP * usual)
    return ends
