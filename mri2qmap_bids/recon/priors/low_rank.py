"""Locally low rank: the nuclear norms of image blocks, and their proximal map."""

from collections.abc import Sequence

import torch

from mri2qmap_bids.recon.arrays import Proximal, SubspaceImage


class LocallyLowRank:
    """Sum of the nuclear norms of the blocks of an image; K is the identity.

    The proximal map is the mean of those of two tilings, one shifted by half a block against the
    other. This is the proximal map of a convex function between them (their proximal average), and
    no voxel is at a block edge in both tilings. Singular values are soft-thresholded by the threshold
    times sqrt(rank) + sqrt(block^n), the expected largest singular value of a block of noise with
    standard deviation 1.

    Parameters
    ----------
    block
        Edge of a block [voxel].

    References
    ----------
    Ong and Lustig, Beyond low rank + sparse: multiscale low rank matrix decomposition
    (2016), doi:10.1109/JSTSP.2016.2545518. Bauschke et al., The proximal average: basic theory
    (2008), doi:10.1137/070687542.
    """

    def __init__(self, block: int = 4) -> None:
        self.block = block

    def parts(self, rank: int) -> list[slice]:
        """All components together."""
        return [slice(0, rank)]

    def analysis(self, image: SubspaceImage) -> torch.Tensor:
        """x itself, shape (1, rank, *space)."""
        return image[None]

    def synthesis(self, split: torch.Tensor) -> SubspaceImage:
        """z itself, shape (rank, *space)."""
        return split[0]

    def proximal(self, split: torch.Tensor, threshold: torch.Tensor) -> Proximal:
        """Mean of both tilings' proximal maps.

        Parameters
        ----------
        split
            v, shape (1, rank, *space).
        threshold
            The same for all components, shape (rank,).

        Raises
        ------
        ValueError
            If thresholds differ.
        """
        if (threshold != threshold[0]).any():
            raise ValueError(
                f"threshold must be the same for all components, got {threshold.tolist()}"
            )
        image = split[0]
        n_axes = image.ndim - 1
        noise = len(image) ** 0.5 + self.block ** (n_axes / 2)
        weight = float(threshold[0]) * noise
        tilings = [
            locally_low_rank_prox(image, weight, self.block, [start] * n_axes)
            for start in (0, self.block // 2)
        ]
        whole = (tilings[0] + tilings[1])[None] / 2
        return lambda part: whole[:, part]


def locally_low_rank_prox(
    image: SubspaceImage, weight: float, block: int, shift: Sequence[int]
) -> SubspaceImage:
    """argmin over x of 1/2 |x - u|^2 + weight sum over blocks B of |x_B|_*.

    u_B is the rank x block^n matrix of a block's voxels; the blocks do not overlap. With
    u_B u_B^H = V diag(s^2) V^H, the singular values s are soft-thresholded by the weight,

        x_B = V diag(max(1 - weight / s, 0)) V^H u_B,

    which needs an eigendecomposition of a rank x rank matrix only. Blocks at the image's
    edges are smaller, depending on the shift and the image's size.

    Parameters
    ----------
    image
        u, shape (rank, *space).
    weight
        In the unit of u, at least 0.
    block
        Edge of a block [voxel].
    shift
        Offset of the first whole block along each axis [voxel], 0 to block - 1; averaging over
        several shifts reduces artefacts at block edges.

    References
    ----------
    Zhang, Pauly and Levesque, Accelerating parameter mapping with a locally low rank
    constraint (2015), doi:10.1002/mrm.25161. Tamir et al., T2 shuffling (2017),
    doi:10.1002/mrm.26102.
    """
    before = [-start % block for start in shift]
    blocks, counts = _cut(image, block, before)
    matrices = blocks.flatten(2)
    # In double precision: squaring the singular values loses half of the digits.
    wide = matrices.to(torch.complex128)
    powers, vectors = torch.linalg.eigh(wide @ wide.mH)
    values = powers.clamp_min(torch.finfo(powers.dtype).tiny).sqrt()
    gain = (1 - weight / values).clamp_min(0)
    shrinkage = ((vectors * gain[:, None, :]) @ vectors.mH).to(image.dtype)
    shortened = (shrinkage @ matrices).reshape(blocks.shape)
    return _join(shortened, counts, before, tuple(image.shape[1:]))


def _cut(
    image: torch.Tensor, block: int, before: Sequence[int]
) -> tuple[torch.Tensor, tuple[int, ...]]:
    """Blocks of the zero-padded image, shape (block, rank, *block), and their counts."""
    after = [-(n + low) % block for n, low in zip(image.shape[1:], before, strict=True)]
    # Pairs count from the last axis backwards.
    pairs = [edge for low, high in zip(before, after, strict=True) for edge in (high, low)][::-1]
    padded = torch.nn.functional.pad(image, pairs)
    rank, n_axes = len(image), image.ndim - 1
    counts = tuple(n // block for n in padded.shape[1:])
    cut = padded.reshape(rank, *[size for n in counts for size in (n, block)])
    order = [*range(1, 2 * n_axes, 2), 0, *range(2, 2 * n_axes + 1, 2)]
    return cut.permute(order).flatten(0, n_axes - 1), counts


def _join(
    blocks: torch.Tensor, counts: tuple[int, ...], before: Sequence[int], space: tuple[int, ...]
) -> torch.Tensor:
    """Reassemble the blocks of :func:`_cut`, shape (rank, *space)."""
    n_axes = len(counts)
    order = [n_axes] + [axis for d in range(n_axes) for axis in (d, n_axes + 1 + d)]
    cut = blocks.reshape(*counts, *blocks.shape[1:]).permute(order)
    sizes = [n * size for n, size in zip(counts, blocks.shape[2:], strict=True)]
    interior = [slice(low, low + n) for low, n in zip(before, space, strict=True)]
    return cut.reshape(blocks.shape[1], *sizes)[(slice(None), *interior)]
