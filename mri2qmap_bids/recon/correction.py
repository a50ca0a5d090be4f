"""The prior of MRI2Qmap: maps that explain the image and look like routine weighted MRI."""

from dataclasses import dataclass

import torch

from mri2qmap_bids.recon.arrays import SubspaceImage
from mri2qmap_bids.recon.physics.contrasts import ROUTINE_CONTRASTS, synthesise
from mri2qmap_bids.recon.physics.dictionary import AtomGrid, Dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, match, signal_of
from mri2qmap_bids.recon.pnp.denoiser import denoise
from mri2qmap_bids.recon.pnp.network import JointDenoiser
from mri2qmap_bids.recon.pnp.noise_level import noise_level, strong_signal
from mri2qmap_bids.recon.pnp.solver import Correction, root_mean_square

# Part of a contrast's noise that is believed to remain after denoising, and how much more
# noise the denoiser is told than the image shows, since that is not white but smooth.
REMAINING_NOISE = 0.5
NOISE_FACTOR = 1.3


@dataclass(frozen=True, eq=False)
class Prior:
    """A dictionary and a denoiser, which together correct subspace images."""

    dictionary: Dictionary
    """Fingerprints, on the images' device."""
    network: JointDenoiser
    """The denoiser; its contrasts are those synthesised."""

    def maps(self, image: SubspaceImage) -> TissueMaps:
        """The corrected maps themselves; see :func:`correct_maps`."""
        return correct_maps(image, self.dictionary, self.network)

    def correct(self, image: SubspaceImage) -> Correction:
        """The image of the corrected maps, z = m0 Phi^H d(theta), and how sure it is."""
        maps = self.maps(image)
        own = noise_level(_real(image), strong_signal(maps.m0.abs()))
        return Correction(
            image=signal_of(maps, self.dictionary),
            deviation=REMAINING_NOISE * root_mean_square(own),
        )


def correct_maps(
    image: SubspaceImage,
    dictionary: Dictionary,
    network: JointDenoiser,
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
    clean = denoise(network, contrasts, NOISE_FACTOR * levels)
    own = root_mean_square(noise_level(_real(image), mask))
    # A contrast without noise would count infinitely.
    least = 1e-3 * contrasts.flatten(1).amax(1)
    alpha = own / (REMAINING_NOISE * torch.maximum(levels, least).clamp_min(1e-30))
    phase = first.m0 / magnitude.clamp_min(torch.finfo(magnitude.dtype).tiny)
    weighted = alpha.view(-1, *[1] * mask.ndim) * clean * phase
    return match(torch.cat([image, weighted]), _extended(dictionary, names, alpha))


def _extended(dictionary: Dictionary, names: tuple[str, ...], alpha: torch.Tensor) -> AtomGrid:
    """Atoms with their weighted contrasts appended, shape (atom, rank + contrast)."""
    pairs = torch.cartesian_prod(dictionary.t1, dictionary.t2)
    one = torch.ones(len(pairs), device=pairs.device)
    signals = [synthesise(ROUTINE_CONTRASTS[name], one, pairs[:, 0], pairs[:, 1]) for name in names]
    appended = (torch.stack(signals, 1) * alpha).to(dictionary.atoms.dtype)
    atoms = torch.cat([dictionary.atoms, appended], dim=1)
    return AtomGrid(t1=dictionary.t1, t2=dictionary.t2, atoms=atoms)


def _real(image: SubspaceImage) -> torch.Tensor:
    """Real and imaginary parts as images of their own, shape (2 rank, *space)."""
    return torch.cat([image.real, image.imag])
