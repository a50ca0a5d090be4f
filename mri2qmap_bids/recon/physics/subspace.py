"""The few time courses that span all fingerprints."""

import torch

from mri2qmap_bids.recon.arrays import Basis, Fingerprints


def temporal_basis(
    fingerprints: Fingerprints, rank: int | None = None, energy: float = 0.9999
) -> tuple[Basis, float]:
    """Orthonormal basis Phi of the leading right singular vectors of the fingerprints.

    d(t) is approximated by sum_r Phi(t, r) c_r with c = Phi^H d. Computed from the
    T x T Gram matrix in double precision, so that the number of atoms costs no memory.

    Parameters
    ----------
    fingerprints
        Shape (atom, frame).
    rank
        Number of columns; None takes the fewest that contain ``energy``.
    energy
        Fraction of the squared norm of all fingerprints to keep, 0..1.

    Returns
    -------
    Basis, shape (frame, rank), and the fraction of energy it contains.

    References
    ----------
    McGivney et al., SVD compression for MRF in the time domain (2014),
    doi:10.1109/TMI.2014.2337321.
    """
    double = torch.complex128 if fingerprints.is_complex() else torch.float64
    gram = torch.zeros(2 * fingerprints.shape[1:], dtype=double, device=fingerprints.device)
    for part in torch.split(fingerprints, 4096):
        gram += part.to(double).mT @ part.to(double).conj()
    eigenvalues, vectors = torch.linalg.eigh(gram)
    cumulative = torch.cumsum(eigenvalues.flip(0).clamp_min(0), 0)
    energy_share = cumulative / cumulative[-1]
    if rank is None:
        rank = int((energy_share < energy).sum()) + 1
    rank = min(rank, fingerprints.shape[1])
    basis = vectors.flip(1)[:, :rank].to(fingerprints.dtype)
    return basis.contiguous(), float(energy_share[rank - 1])
