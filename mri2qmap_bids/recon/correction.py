"""The prior of MRI2Qmap: maps that explain the image and look like routine weighted MRI."""

from dataclasses import dataclass

import torch

from mri2qmap_bids.recon.arrays import SubspaceImage
from mri2qmap_bids.recon.physics.contrasts import ROUTINE_CONTRASTS, synthesise
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, match, signal_of
from mri2qmap_bids.recon.pnp.denoiser import denoise
from mri2qmap_bids.recon.pnp.network import JointDenoiser
from mri2qmap_bids.recon.pnp.noise_level import noise_level, strong_signal
from mri2qmap_bids.recon.pnp.solver import Correction, sure_deviation


@dataclass(frozen=True)
class CorrectionOptions:
    """How far the denoised contrasts are trusted."""

    contrast_weight: float = 1.0
    """Factor on every contrast's weight against the image's."""
    remaining_noise: float = 0.5
    """Part of a contrast's noise that is believed to remain after denoising."""


def correct_maps(
    image: SubspaceImage,
    dictionary: Dictionary,
    network: JointDenoiser,
    options: CorrectionOptions,
) -> TissueMaps:
    """Maps that fit the subspace image and its denoised synthetic contrasts.

    1. match: theta, m0 from x; 2. synthesise: w_k = |m0| s_k(theta); 3. measure the noise
    of each w_k, and denoise: v = D(w, sigma); 4. match the extended vector
    [x ; alpha_k v_k exp(i arg m0)] to the extended atoms [Phi^H d(theta) ; alpha_k s_k(theta)],
    where alpha_k is the ratio of the image's noise to what is left in v_k, so that both
    count by how well they are known.

    Parameters
    ----------
    image
        Subspace image x, shape (rank, *space).
    dictionary
        Fingerprints on the same device.
    network
        The denoiser; its contrasts are those synthesised.
    options
        Weights.

    References
    ----------
    Golbabaee et al., MRI2Qmap (2026), arXiv:2603.11316.
    """
    first = match(image, dictionary)
    magnitude = first.m0.abs()
    names = network.shape.contrasts
    contrasts = torch.stack(
        [synthesise(ROUTINE_CONTRASTS[name], magnitude, first.t1, first.t2) for name in names]
    )
    mask = strong_signal(magnitude)
    levels = noise_level(contrasts, mask)
    clean = denoise(network, contrasts, levels)
    own = sure_deviation(noise_level(image.real, mask))
    # A contrast without noise would count infinitely.
    least = 1e-3 * contrasts.flatten(1).amax(1)
    left = options.remaining_noise * torch.maximum(levels, least)
    alpha = options.contrast_weight * own / left
    phase = first.m0 / magnitude.clamp_min(torch.finfo(magnitude.dtype).tiny)
    weighted = alpha.view(-1, *[1] * mask.ndim) * clean * phase
    return match(torch.cat([image, weighted]), _extended(dictionary, names, alpha))


def correction(
    image: SubspaceImage,
    dictionary: Dictionary,
    network: JointDenoiser,
    options: CorrectionOptions,
) -> Correction:
    """The image of the corrected maps, z = m0 Phi^H d(theta), and how sure it is."""
    maps = correct_maps(image, dictionary, network, options)
    own = noise_level(image.real, strong_signal(maps.m0.abs()))
    deviation = options.remaining_noise * sure_deviation(own)
    return Correction(
        image=signal_of(maps, dictionary),
        deviation=deviation,
        summary=f"noise {sure_deviation(own):.3g}",
    )


def _extended(dictionary: Dictionary, names: tuple[str, ...], alpha: torch.Tensor) -> Dictionary:
    """Atoms with their weighted contrasts appended, shape (atom, rank + contrast)."""
    pairs = torch.cartesian_prod(dictionary.t1, dictionary.t2)
    one = torch.ones(len(pairs), device=pairs.device)
    signals = [synthesise(ROUTINE_CONTRASTS[name], one, pairs[:, 0], pairs[:, 1]) for name in names]
    appended = (torch.stack(signals, 1) * alpha).to(dictionary.atoms.dtype)
    return Dictionary(
        t1=dictionary.t1,
        t2=dictionary.t2,
        atoms=torch.cat([dictionary.atoms, appended], dim=1),
        basis=dictionary.basis,
        energy=dictionary.energy,
    )
