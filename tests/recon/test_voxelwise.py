"""Products of small arrays, one of every voxel."""

import pytest
import torch

from mri2qmap_bids.recon.voxelwise import elementwise, voxelwise

EQUATIONS = {
    "vab,vabr->vr": ((7, 3, 3), (7, 3, 3, 5)),
    "var,vr->va": ((7, 4, 5), (7, 5)),
    "vri,vrj->ijv": ((7, 5, 4), (7, 5, 4)),
    "vri,vr->iv": ((7, 5, 4), (7, 5)),
    "va,vb->vab": ((7, 2), (7, 3)),
}


@pytest.mark.parametrize("equation", EQUATIONS)
@pytest.mark.parametrize(
    "kinds", [(torch.float64, torch.float64), (torch.float64, torch.complex128)]
)
def test_both_ways_are_the_einstein_sum(equation, kinds):
    generator = torch.Generator().manual_seed(0)
    left, right = (
        torch.randn(shape, dtype=kind, generator=generator)
        for shape, kind in zip(EQUATIONS[equation], kinds, strict=True)
    )
    expected = torch.einsum(equation, left.to(kinds[1]), right)
    for function in (voxelwise, elementwise):
        assert torch.allclose(function(equation, left, right), expected, rtol=1e-12)
