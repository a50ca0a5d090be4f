"""Receiver noise: covariance and whitening."""

import numpy as np
import torch

from mri2qmap_bids.recon.arrays import KSpace


def whitening_matrix(noise: KSpace) -> torch.Tensor:
    """Matrix W = L^-1, where L L^H is the noise covariance.

    W n has unit variance per complex sample and no correlation between coils.

    Parameters
    ----------
    noise
        Samples without signal, shape (coil, sample), at least twice as many samples
        as coils.

    Returns
    -------
    Lower triangular matrix, shape (coil, coil).

    Raises
    ------
    ValueError
        If there are too few samples, or a coil has no noise at all.

    References
    ----------
    Pruessmann et al., Advances in sensitivity encoding (2001), doi:10.1002/mrm.1241,
    appendix A.
    """
    n_coils, n_samples = noise.shape
    if n_samples < 2 * n_coils:
        raise ValueError(f"noise must have at least {2 * n_coils} samples, got {n_samples}")
    double = noise.to(torch.complex128)
    covariance = double @ double.mH / n_samples
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if failed:
        raise ValueError("noise must have a positive definite covariance between coils")
    identity = torch.eye(n_coils, dtype=factor.dtype, device=factor.device)
    whitening: torch.Tensor = torch.linalg.solve_triangular(factor, identity, upper=False)
    return whitening.to(noise.dtype)


def noise_scale(dwell_noise: float, dwell_image: float) -> np.float32:
    """Factor from the noise of a noise scan to that of the image, sqrt(dwell_noise / dwell_image).

    Noise power is proportional to bandwidth.

    Parameters
    ----------
    dwell_noise, dwell_image
        Time between samples, in one unit; with one that is not known (0) the factor is 1.
    """
    known = 0 < dwell_noise < np.inf and 0 < dwell_image < np.inf
    return np.float32(np.sqrt(dwell_noise / dwell_image) if known else 1.0)
