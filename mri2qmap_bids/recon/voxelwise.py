"""Products of small arrays, one of every voxel."""

import torch


def voxelwise(equation: str, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """An Einstein sum whose first index ``v`` is that of the voxel, as ``vab,vabr->vr``.

    On a GPU it is the sum of the elements' products: ``torch.einsum`` makes a batch of tiny matrix products of
    it, one a voxel, which the libraries of a GPU are not made for (expected, not measured).

    Parameters
    ----------
    equation
        As of ``torch.einsum``, with both operands and without ellipses.
    left, right
        Operands, of the same kind or real and complex.
    """
    if not left.is_cuda:
        kind = torch.promote_types(left.dtype, right.dtype)
        return torch.einsum(equation, left.to(kind), right.to(kind))
    return elementwise(equation, left, right)


def elementwise(equation: str, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """:func:`voxelwise` as a sum of the elements' products, on any device."""
    operands, result = equation.split("->")
    first, second = operands.split(",")
    summed = sorted((set(first) | set(second)) - set(result))
    order = [*result, *summed]

    def spread(values: torch.Tensor, letters: str) -> torch.Tensor:
        present = [letter for letter in order if letter in letters]
        ordered = values.permute([letters.index(letter) for letter in present])
        return ordered[tuple(slice(None) if letter in letters else None for letter in order)]

    product = spread(left, first) * spread(right, second)
    if not summed:
        return product
    return product.sum(tuple(range(len(result), len(order))))
