"""Contrasts as a reconstruction gives them: of matched images with the noise and the resolution of a scan."""

import logging
from collections.abc import Sequence

import numpy as np
import torch

from mri2qmap_bids.recon.physics.contrasts import DENOISED_CONTRASTS, log_slopes, weighted
from mri2qmap_bids.recon.physics.dictionary import Dictionary, TissueGrid, build_dictionary
from mri2qmap_bids.recon.physics.matching import (
    TissueMaps,
    each_map,
    grid_position,
    match,
    signal_of,
)
from mri2qmap_bids.recon.physics.uncertainty import noise_factors
from mri2qmap_bids.recon.priors.smoothness import energies
from mri2qmap_bids.recon.priors.synthetic_contrasts import contrast_deviations
from mri2qmap_bids.training.data import contrasts_of
from mri2qmap_bids.training.maps import T1_RANGE, T2_RANGE, RandomMaps, smooth_field
from mri2qmap_bids.training.noise import random_sequence

logger = logging.getLogger(__name__)

_MOST_COMPONENTS = 8
# Density of samples |k|^-power, k relative to the edge of k-space, and its floor near the centre.
_POWER, _CENTRE = (0.0, 2.0), 0.03
# Parts of the patches whose k-space ends at a ball, and whose images have no smoothness term.
_BALL, _PLAIN = 0.7, 0.2
# Voxels along the whole field of view.
_MATRIX = (60.0, 240.0)
# Logarithmic standard deviations: of the noise from component to component and over the patch, of the
# smoothness term's weight, and of the deviation that is given to the network.
_OF_COMPONENTS, _OVER_PATCH, _OF_WEIGHT, _OF_NOISE_LEVEL = 0.3, 0.3, 0.2, 0.15
_VOXELS_AT_ONCE = 1 << 20
_STRIDE = 3
_LEAST_ENERGY = 1e-8  # relative to that of the noise


def random_dictionaries(n: int, seed: int, device: torch.device) -> list[Dictionary]:
    """Dictionaries of pulse sequences drawn at random.

    Parameters
    ----------
    n
        How many.
    seed
        Of the draws.
    device
        Where to keep them.
    """
    rng = np.random.default_rng([seed, 78])
    grid = TissueGrid(T1_RANGE, T2_RANGE)
    dictionaries: list[Dictionary] = []
    while len(dictionaries) < n:
        dictionary = build_dictionary(random_sequence(rng), grid)
        if dictionary.basis.shape[1] <= _MOST_COMPONENTS:
            dictionaries.append(dictionary.to(device))
    return dictionaries


def scanned(
    maps: RandomMaps,
    dictionary: Dictionary,
    names: Sequence[str],
    level: torch.Tensor,
    margin: int,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Contrasts of the maps matched to the regularised image of an undersampled scan.

    The subspace image c of the maps, with a smooth phase, is seen through the transfer function of
    penalised least squares, for every component i and frequency k

        x_i(k) = D_i / (D_i + P_i) c_i(k) + sigma sqrt(D_i) / (D_i + P_i) n_i(k),

    with a random density D of the samples and the smoothness term P = sigma^2 / (a_i q) of the
    reconstruction, n white noise. It is matched to the dictionary, and the contrasts are synthesised
    from the matched maps, with the noise levels that follow from the deviation of x from c.

    Parameters
    ----------
    maps
        True maps, shape (batch, z, y, x).
    dictionary
        On the device of the maps.
    names
        Of the contrasts.
    level
        Mean deviation over contrasts and tissue that unregularised noise would cause, shape (batch,).
    margin
        Voxels to cut off at every face.
    generator
        Source of randomness, on the device of the maps.

    Returns
    -------
    Noisy contrasts and their deviations, shape (batch, contrast, z - 2 margin, ...).
    """
    mask = maps.m0 > 0
    t1 = torch.where(mask, maps.t1.clamp(*T1_RANGE), 1.0)
    t2 = torch.where(mask, torch.minimum(maps.t2.clamp_min(T2_RANGE[0]), t1), 0.1)
    phase = 1.5 * smooth_field(maps.m0.shape, 2, generator)
    # The transforms are periodic: signal fades out in the margin, or it would ring inside.
    faded = maps.m0 * _fading(maps.m0.shape[-1], margin, maps.m0.device)
    true = TissueMaps(t1, t2, torch.polar(faded, phase), faded)
    image = signal_of(true, dictionary).to(torch.complex64)
    rank = len(image)

    # A part of the voxels is enough for the mean.
    few, tissue = each_map(true, coarse), coarse(mask)
    ones = torch.ones(rank, device=image.device)
    unit = contrast_deviations(few, noise_factors(few, dictionary, ones), tuple(names))
    images = weighted(names)
    inside = unit[images].mean(0).clamp_max(1e3) * tissue
    typical = inside.flatten(1).sum(1) / tissue.flatten(1).sum(1).clamp_min(1)
    # A patch of air has no tissue to relate the noise to.
    sigma = level / torch.where(typical > 0, typical, 1.0)

    blurred, deviation = _regularised(image, sigma, generator)
    first = match(
        without_margin(blurred, margin),
        dictionary,
        exhaustive=False,
        voxels_at_once=_VOXELS_AT_ONCE,
    )
    noisy = contrasts_of(RandomMaps(first.t1, first.t2, first.m0.abs()), names)
    levels = _noise_levels(dictionary, deviation, names)
    row, column = (
        grid_position(grid, values).round().long()
        for values, grid in ((first.t1, dictionary.t1), (first.t2, dictionary.t2))
    )
    item = torch.arange(len(levels), device=levels.device).view(-1, 1, 1, 1)
    given_levels = levels[item, :, row * len(dictionary.t2) + column].movedim(-1, 1)
    given_levels[:, ~images] /= first.m0.abs().clamp_min(_LEAST_ENERGY)[:, None]
    return noisy, given_levels


def _noise_levels(
    dictionary: Dictionary, deviation: torch.Tensor, names: Sequence[str]
) -> torch.Tensor:
    """Standard deviation of the noise in each contrast of every atom, for M0 = 1.

    Parameters
    ----------
    dictionary
        Its atoms.
    deviation
        Of the components, shape (rank, batch).
    names
        Of the contrasts.

    Returns
    -------
    Shape (batch, contrast, atom).
    """
    t1, t2 = torch.cartesian_prod(dictionary.t1, dictionary.t2).T
    t2, one = torch.minimum(t2, t1), torch.ones_like(t1)
    atoms = TissueMaps(t1, t2, one.to(torch.complex64), one)
    slopes = torch.stack([log_slopes(DENOISED_CONTRASTS[name], t1, t2) for name in names])
    levels = []
    for part in deviation.T:
        factors = noise_factors(atoms, dictionary, part)
        levels.append((factors * slopes[..., None]).sum(-2).norm(dim=-1))
    return torch.stack(levels)


def _fading(edge: int, margin: int, device: torch.device) -> torch.Tensor:
    """1 inside the margin, falling to 0 at every face, shape (edge, edge, edge)."""
    away = torch.arange(edge, device=device).minimum(torch.arange(edge - 1, -1, -1, device=device))
    ramp = torch.sin(torch.pi / 2 * (away / margin).clamp_max(1)).square()
    return ramp[:, None, None] * ramp[:, None] * ramp


def coarse(values: torch.Tensor) -> torch.Tensor:
    """Every third voxel of the last three axes: enough for means and quantiles."""
    return values[..., 1::_STRIDE, 1::_STRIDE, 1::_STRIDE]


def without_margin(values: torch.Tensor, margin: int) -> torch.Tensor:
    """The interior of the last three axes."""
    inside = slice(margin, -margin)
    return values[..., inside, inside, inside]


def _regularised(
    image: torch.Tensor, sigma: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """The image (rank, batch, *space) as penalised least squares give it, and its deviation (rank, batch)."""
    rank, n, *space = image.shape
    device = image.device

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, device=device)

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand((n,), generator=generator, device=device)

    axes = [torch.fft.fftfreq(size, 0.5, device=device) for size in space]
    square = sum(grid.square() for grid in torch.meshgrid(*axes, indexing="ij"))
    assert isinstance(square, torch.Tensor)

    def wide(values: torch.Tensor) -> torch.Tensor:
        return values.view(*values.shape, *[1] * len(space))

    power = wide(uniform(*_POWER))
    density = (square + _CENTRE**2) ** (-power / 2)
    ball = wide(uniform(0, 1) < _BALL) & (square > 1)
    density = density / density.flatten(1).median(1).values.view(n, *[1] * len(space))
    gains = torch.exp(_OF_COMPONENTS * normal(rank, n))
    density = torch.where(ball, 1e-6, density) / wide(gains)
    low, high = np.log(_MATRIX)
    law = (square * wide(torch.exp(uniform(low, high)) / 2).square() + 1) ** (-(len(space) + 1) / 2)
    energy = torch.stack([energies(image[:, item], law[item]) for item in range(n)], 1)
    weight = torch.exp(_OF_WEIGHT * normal(n)) * (uniform(0, 1) >= _PLAIN)
    ratio = sigma.square() / torch.maximum(energy, _LEAST_ENERGY * sigma.square())
    penalty = wide(weight * ratio) / law
    dims = tuple(range(2, image.ndim))
    spectrum = torch.fft.fftn(image, dim=dims, norm="ortho")
    noise = torch.complex(normal(*image.shape), normal(*image.shape))
    total = density + penalty
    sampled = torch.where(ball, 0.0, 1.0)
    transfer, spread = sampled * density / total, sampled * density.sqrt() / total
    # Noise is stronger in some places, as coil sensitivities make it.
    place = torch.exp(_OVER_PATCH * smooth_field((n, *space), 2, generator))
    random = torch.fft.ifftn(spread * noise, dim=dims, norm="ortho") * place * wide(sigma)
    smooth = torch.fft.ifftn(transfer * spectrum, dim=dims, norm="ortho")
    # Of noise and of what the smoothness term removes, where k-space was sampled.
    damped = ((1 - transfer) * sampled * spectrum).abs().square() / 2
    variance = (damped + (spread * wide(sigma)).square()).flatten(2).sum(2)
    share = sampled.expand(n, *space).flatten(1).sum(1)
    deviation = (variance / share).sqrt() * torch.exp(_OF_NOISE_LEVEL * normal(n))
    return smooth + random, deviation
