"""Noise as a reconstruction leaves it: coloured, shared by contrasts, carried through the maps."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from mri2qmap_bids.recon.physics.contrasts import (
    DENOISED_CONTRASTS,
    log_slopes,
    synthesise,
    weighted,
)
from mri2qmap_bids.recon.physics.epg import simulate
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence, SequenceKind
from mri2qmap_bids.simulate.sequences import make_sequence
from mri2qmap_bids.training.map_errors import TISSUES, cell_of, scale_of, tissue_pairs
from mri2qmap_bids.training.maps import T1_RANGE, T2_RANGE, RandomMaps

_LOG_STEP = 0.02
# The noise level that is given to the network is off by a factor with about this standard deviation of its logarithm.
_NOISE_LEVEL_ERROR = 0.1


@dataclass(frozen=True, eq=False)
class NoiseTables:
    """How noise in a fingerprint becomes noise in log T1, log T2 and log M0.

    For several random trains, on a grid of tissues: L with
    L L^T = (Re J^H J)^-1, where J holds the derivatives of a fingerprint of M0 = 1 along
    (log T1, log T2, log M0).
    """

    factors: torch.Tensor
    """L, shape (train, n_t1, n_t2, 3, 3)."""
    deviations: torch.Tensor
    """|L^T grad w_k| of every contrast w_k for M0 = 1, shape (train, n_t1, n_t2, contrast);
    the same for any M0 but of a normalised contrast, where it falls with 1/M0."""
    contrasts: tuple[str, ...]
    """BIDS suffix of every contrast."""


def noise_tables(contrasts: tuple[str, ...], n_trains: int, seed: int) -> NoiseTables:
    """Tables for trains that are drawn at random: kind, length, flip angles, timing.

    Parameters
    ----------
    contrasts
        BIDS suffixes.
    n_trains
        How many.
    seed
        Of the draws.
    """
    rng = np.random.default_rng([seed, 77])
    pairs = tissue_pairs()
    factors = []
    for _ in range(n_trains):
        sequence = random_sequence(rng)

        fingerprints = partial(_fingerprints, sequence, pairs)
        own = fingerprints(0.0, 0.0)
        along = [
            (fingerprints(_LOG_STEP, 0.0) - fingerprints(-_LOG_STEP, 0.0)) / (2 * _LOG_STEP),
            (fingerprints(0.0, _LOG_STEP) - fingerprints(0.0, -_LOG_STEP)) / (2 * _LOG_STEP),
            own,
        ]
        jacobian = torch.stack(along, -1).to(torch.complex64)
        information = (jacobian.mH @ jacobian).real.double()
        scale = information.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
        covariance = torch.linalg.inv(information + 1e-6 * scale * torch.eye(3))
        factors.append(torch.linalg.cholesky(covariance).float().view(*TISSUES, 3, 3))
    stacked = torch.stack(factors)
    return NoiseTables(stacked, _deviations(pairs, stacked, contrasts), contrasts)


def _fingerprints(
    sequence: PulseSequence, pairs: torch.Tensor, along_t1: float, along_t2: float
) -> torch.Tensor:
    """Signals of tissues whose logarithms of T1 and T2 are shifted."""
    return simulate(sequence, pairs[:, 0] * np.exp(along_t1), pairs[:, 1] * np.exp(along_t2))


def through_maps(
    maps: RandomMaps,
    tables: NoiseTables,
    level: torch.Tensor,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Contrasts of maps that a noisy fingerprint was matched to, and estimates of their noise.

    (log T1, log T2, log M0) are off by L n / M0 times a common factor, n coloured noise;
    contrast k then has the deviation |L^T grad w_k|, evaluated at the noisy maps as a
    reconstruction has to.

    Parameters
    ----------
    maps
        The true maps.
    tables
        L for several trains, one of which is drawn for each patch.
    level
        Mean deviation over contrasts and tissue wanted, shape (batch,).
    generator
        Source of randomness.

    Returns
    -------
    Noisy contrasts and their deviations, each of shape (batch, contrast, y, x).
    """
    n, ny, nx = maps.t1.shape
    mask = maps.m0 > 0
    t1 = torch.where(mask, maps.t1, _log_uniform(maps.t1.shape, T1_RANGE, generator))
    t2 = torch.where(mask, maps.t2, _log_uniform(maps.t1.shape, T2_RANGE, generator))
    train = torch.randint(len(tables.factors), (n, 1, 1), generator=generator)
    cell = _cell(train, t1, t2)
    factor, unit = tables.factors[cell], tables.deviations[cell].movedim(-1, 1)
    inside = mask[:, None].float()
    plain = weighted(tables.contrasts)
    of_images = unit[:, plain].mean(1, keepdim=True).clamp_max(1e3) * inside
    typical = of_images.sum((1, 2, 3)) / inside.sum((1, 2, 3)).clamp_min(1)
    scale = (level / typical.clamp_min(1e-6)).view(-1, 1, 1)
    local = scale * torch.exp(0.3 * _coarse(n, ny, nx, generator))
    n4 = coloured((n, 4, ny, nx), generator)
    error = torch.einsum("byxij,bjyx->biyx", factor, n4[:, :3]) * local[:, None]
    signal = maps.m0.clamp_min(1e-3)
    # M0 first: T1 and T2 follow from the ratio to it, whatever they are where there is none.
    real, imaginary = maps.m0 + error[:, 2], factor[..., 2, 2] * local * n4[:, 3]
    m0 = torch.hypot(real, imaginary)
    noisy_t1 = (t1 * torch.exp((error[:, 0] / signal).clamp(-5, 5))).clamp(*T1_RANGE)
    noisy_t2 = (t2 * torch.exp((error[:, 1] / signal).clamp(-5, 5))).clamp(*T2_RANGE)
    noisy_t2 = torch.minimum(noisy_t2, noisy_t1)
    noisy = torch.stack(
        [synthesise(DENOISED_CONTRASTS[name], m0, noisy_t1, noisy_t2) for name in tables.contrasts],
        1,
    )
    deviation = tables.deviations[_cell(train, noisy_t1, noisy_t2)].movedim(-1, 1) * local[:, None]
    deviation = (
        deviation * scale_of(m0.clamp_min(1e-3), tables.contrasts) / m0.clamp_min(1e-3)[:, None]
    )
    return noisy, (deviation * _misjudged(n, generator)).clamp_min(1e-4)


def directly(
    clean: torch.Tensor, level: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise added to each contrast, partly shared by all, of another strength in each.

    Parameters
    ----------
    clean
        Contrasts, shape (batch, contrast, y, x).
    level
        Deviation of the noise in each, shape (batch, contrast).
    generator
        Source of randomness.

    Returns
    -------
    Noisy contrasts and their deviations, each of the shape of ``clean``.
    """
    n, n_contrasts, ny, nx = clean.shape
    noise = coloured((n, n_contrasts + 1, ny, nx), generator)
    mix = 1.6 * torch.rand((n, n_contrasts, 1, 1), generator=generator) - 0.8
    mixed = (1 - mix**2).sqrt() * noise[:, :-1] + mix * noise[:, -1:]
    uneven = 0.3 * torch.rand((n, 1, 1), generator=generator) * _coarse(n, ny, nx, generator)
    sigma = level[:, :, None, None] * torch.exp(uneven)[:, None]
    return clean + sigma * mixed, sigma * _misjudged(n, generator)


def coloured(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Normal numbers of variance 1 whose spectrum is drawn for every item of the batch.

    White, or (0.05 + |k|)^p with p from -0.8 (smooth) to 1 (what sampling that thins out
    leaves), or either without the corners of k-space, which spirals and spokes do not reach.

    Parameters
    ----------
    shape
        (batch, channel, y, x).
    generator
        Source of randomness.
    """
    n, _, ny, nx = shape
    white = torch.randn(shape, generator=generator)
    radius = torch.hypot(torch.fft.fftfreq(ny)[:, None], torch.fft.rfftfreq(nx)[None]) * 2
    power = -0.8 + 1.8 * torch.rand((n, 1, 1), generator=generator)
    plain = torch.rand((n, 1, 1), generator=generator) < 0.3
    gain = (0.05 + radius) ** torch.where(plain, torch.zeros(()), power)
    round_ = torch.rand((n, 1, 1), generator=generator) < 0.5
    gain = torch.where(round_ & (radius > 1), torch.zeros(()), gain)
    noise: torch.Tensor = torch.fft.irfft2(torch.fft.rfft2(white) * gain[:, None], s=(ny, nx))
    deviation = noise.square().mean((1, 2, 3), keepdim=True).sqrt()
    return noise / deviation


def _deviations(
    pairs: torch.Tensor, factors: torch.Tensor, contrasts: tuple[str, ...]
) -> torch.Tensor:
    """|L^T grad w_k| for M0 = 1, shape (train, n_t1, n_t2, contrast)."""
    t1, t2 = pairs.unbind(1)
    deviations = []
    for name in contrasts:
        slopes = log_slopes(DENOISED_CONTRASTS[name], t1, t2).view(*TISSUES, 3)
        deviations.append(torch.einsum("nabij,abi->nabj", factors, slopes).norm(dim=-1))
    return torch.stack(deviations, -1)


def _cell(
    train: torch.Tensor, t1: torch.Tensor, t2: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Index into the tables of the tissue nearest to each voxel's."""
    return train, *cell_of(t1, t2)


def random_sequence(rng: np.random.Generator) -> PulseSequence:
    """A pulse sequence of random kind, length, flip angles and timing."""
    kind = SequenceKind.FISP if rng.random() < 0.7 else SequenceKind.BSSFP
    n_frames = int(rng.integers(100, 500))
    n_lobes = int(rng.integers(1, 6))
    edges = np.linspace(0, n_lobes, n_frames, endpoint=False)
    peaks = np.deg2rad(rng.uniform(10, 75, n_lobes))
    flips = np.deg2rad(5) + np.abs(np.sin(np.pi * (edges % 1))) * peaks[edges.astype(int)]
    repetition = float(rng.uniform(5e-3, 15e-3))
    inversion = float(rng.uniform(10e-3, 40e-3)) if rng.random() < 0.9 else None
    return make_sequence(kind, n_frames, flips, repetition, None, inversion)


def _coarse(n: int, ny: int, nx: int, generator: torch.Generator) -> torch.Tensor:
    """A field that changes once or twice over the patch, shape (batch, y, x)."""
    cells = torch.randn((n, 1, 3, 3), generator=generator)
    size = (ny, nx)
    return torch.nn.functional.interpolate(cells, size, mode="bicubic", align_corners=False)[:, 0]


def _misjudged(n: int, generator: torch.Generator) -> torch.Tensor:
    return torch.exp(_NOISE_LEVEL_ERROR * torch.randn((n, 1, 1, 1), generator=generator))


def _log_uniform(
    shape: torch.Size, limits: tuple[float, float], generator: torch.Generator
) -> torch.Tensor:
    low, high = np.log(limits)
    return torch.exp(low + (high - low) * torch.rand(shape, generator=generator))
