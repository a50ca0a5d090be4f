"""Receive coils without signal, or far noisier than the others."""

import logging
from dataclasses import replace

import torch

from mri2qmap_bids.recon.acquisition.scan import RawScan, SliceSamples

logger = logging.getLogger(__name__)

# Samples from this fraction of the largest |k| on are mostly noise; those below the second mostly signal.
_OUTER, _INNER = 0.9, 0.2
# A coil is noise alone if inner and outer samples have the same power within this factor, and most others have not.
_NOISE_ONLY, _SIGNAL = 1.5, 5.0
# Outer deviation, relative to the median coil's, from which a coil is left out.
_NOISY = 10.0


def without_faulty_coils(scan: RawScan) -> RawScan:
    """The scan without coils that are dead, hold noise alone, or are far noisier than the others.

    Judged by the middle slice: power of the samples near the centre and at the edge of k-space, divided by
    the noise scan's where there is one. A coil that is noisier in the noise scan, too, is no fault: whitening
    weights it down. If all coils would be left out, none is.

    Parameters
    ----------
    scan
        Samples and noise of all coils.
    """
    middle = scan.slices[len(scan.slices) // 2]
    faults = _faults(middle, scan.noise)
    n_coils = len(middle.kspace)
    if not faults or len(faults) == n_coils:
        return scan
    words = ", ".join(f"{coil} ({reason})" for coil, reason in sorted(faults.items()))
    logger.warning("%d of %d coils left out: %s", len(faults), n_coils, words)
    good = torch.tensor([coil for coil in range(n_coils) if coil not in faults])
    slices = tuple(replace(part, kspace=part.kspace[good]) for part in scan.slices)
    return replace(scan, slices=slices, noise=None if scan.noise is None else scan.noise[good])


def _faults(part: SliceSamples, noise: torch.Tensor | None) -> dict[int, str]:
    """Why coils are left out, by their number."""
    radius = torch.linalg.vector_norm(part.trajectory, dim=1)
    inner, outer = (
        _power(part.kspace, m)
        for m in (radius < _INNER * radius.max(), radius >= _OUTER * radius.max())
    )
    faults = {int(c): "no signal" for c in torch.nonzero(_power(part.kspace) == 0).flatten()}
    scale = torch.ones_like(outer)
    if noise is not None:
        scale = _power(noise)
        faults |= {
            int(c): "no noise" for c in torch.nonzero(scale == 0).flatten() if int(c) not in faults
        }
    alive = torch.tensor([coil not in faults for coil in range(len(outer))])
    if int(alive.sum()) < 3:
        return faults
    tiny = torch.finfo(outer.dtype).tiny
    ratio = inner / outer.clamp_min(tiny)
    level = (outer / scale.clamp_min(tiny)).sqrt()
    usual_ratio, usual_level = ratio[alive].median(), level[alive].median()
    for coil in torch.nonzero(alive).flatten().tolist():
        if level[coil] > _NOISY * usual_level:
            faults[coil] = f"{float(level[coil] / usual_level):.0f} times as noisy as the median"
        elif ratio[coil] < _NOISE_ONLY and usual_ratio > _SIGNAL:
            faults[coil] = "noise alone"
    return faults


def _power(samples: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Mean square of every coil over the samples of a mask, shape (coil,)."""
    powers = []
    for coil in samples:  # a copy of all coils could be larger than all the rest
        chosen = torch.view_as_real(coil if mask is None else coil[mask])
        powers.append(2 * chosen.square().mean(dtype=torch.float64))
    return torch.stack(powers)
