"""Smoothness term for images with edges, whose energy falls with spatial frequency."""

import torch

from mri2qmap_bids.recon.arrays import SubspaceImage
from mri2qmap_bids.recon.frequency import frequency_axes

_FIT_STEPS = 50

HIDDEN = (0.005, 0.02)
"""Mean of the transfer function at which all, and none, of the smoothness term remains beside a regulariser."""


def power_law(shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """q(g) = (|g|^2 + 1)^(-(d + 1) / 2), g the frequency in cycles per field of view, d dimensions.

    Model of the power spectrum of images with smooth regions and edges between them.

    Parameters
    ----------
    shape
        Of the image.
    device
        Where to keep it.

    Returns
    -------
    In the order of a discrete Fourier transform, shape (*space).

    References
    ----------
    Ruderman, Origins of scaling in natural images (1997), doi:10.1016/S0042-6989(97)00008-4.
    """
    square = torch.ones((1,) * len(shape), device=device)
    for frequency, n in zip(frequency_axes(shape, device), shape, strict=True):
        square = square + (frequency * n).square()
    law: torch.Tensor = square ** (-(len(shape) + 1) / 2)
    return law


def energies(
    image: SubspaceImage, law: torch.Tensor, noise: torch.Tensor | None = None
) -> torch.Tensor:
    """Energy a_i of every component such that its power spectrum is about a_i q(g), shape (rank,).

    Without ``noise``, the mean of |x_i(g)|^2 / q(g). With it, the most likely a_i of a Gaussian
    image of the power a_i q in Gaussian noise (Whittle's likelihood), by multiplicative updates. They end before
    a component that noise hides is at its maximum, which may be 0: its energy would be 0 in later rounds, too.

    Parameters
    ----------
    image
        x, shape (rank, *space).
    law
        q.
    noise
        Power of the noise in every component and frequency, shape (rank, *space).

    References
    ----------
    Whittle, Estimation and information in stationary time series (1953), doi:10.1007/BF02590998.
    Fevotte et al., Nonnegative matrix factorization with the Itakura-Saito divergence (2009),
    doi:10.1162/neco.2008.04-08-771.
    """
    axes = tuple(range(1, image.ndim))
    power = torch.fft.fftn(image, dim=axes, norm="ortho").abs().square()
    if noise is None:
        ratio: torch.Tensor = (power / law).flatten(1).double().mean(1).float()
        return ratio
    # Initial value from the lowest frequencies, where the noise is negligible.
    low = law > torch.quantile(law.flatten()[:: law.numel() // 1_000_000 + 1], 0.98)
    component_energies = []
    law = law.double()  # squares of powers leave the range of single precision
    for own, other in zip(power, noise, strict=True):
        own, other = own.double(), other.double()  # noqa: PLW2901
        energy = (own[low] / law[low]).mean()
        for _ in range(_FIT_STEPS):
            model = energy * law + other
            gain = (law * own / model.square()).sum() / (law / model).sum()
            energy = energy * gain.sqrt()
        component_energies.append(energy)
    return torch.stack(component_energies).float()


def smoothness_penalty(
    energy: torch.Tensor, law: torch.Tensor, noise: float, weight: float
) -> torch.Tensor:
    """weight sigma^2 / (a_i q(g)): Tikhonov term for images with edges (power spectrum a_i q(g)).

    With weight 1, |y - A x|^2 / sigma^2 + sum |x_i(g)|^2 / (a_i q(g)) is the negative logarithm of
    the posterior of a Gaussian image (a Wiener filter, if A were the identity).

    Parameters
    ----------
    energy
        a, shape (rank,).
    law
        q, shape (*space).
    noise
        sigma, of a complex sample.
    weight
        At least 0.

    Returns
    -------
    Of every component and frequency, shape (rank, *space).
    """
    floor = torch.finfo(torch.float32).tiny
    inverse = 1 / (energy.view(-1, *[1] * law.ndim) * law).clamp_min(floor)
    return weight * noise**2 * inverse


def smoothness_share(response: torch.Tensor) -> float:
    """Share of the least-squares image's smoothness term that remains beside a regulariser, 0 to 1.

    A regulariser whose weight follows from the noise takes out a part of it. Where noise hides nearly all frequencies,
    the rest is more than the image: least squares with the smoothness term, which suppress these frequencies, are
    closer to it. 1 if the transfer function of the least-squares image has a mean of at most 0.5 %, 0 from 2 % on.

    Parameters
    ----------
    response
        That transfer function, 0 to 1, shape (*space).
    """
    low, high = HIDDEN
    return float(((high - response.mean()) / (high - low)).clamp(0, 1))
