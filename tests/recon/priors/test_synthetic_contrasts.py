"""The prior's correction, with denoisers that know the answer or nothing in the network's place."""

from dataclasses import replace

import pytest
import torch
from helpers.trains import train

from mri2qmap_bids.recon.denoisers.unet import UNet, UNetShape
from mri2qmap_bids.recon.physics.contrasts import DENOISED_CONTRASTS, synthesise, white_of
from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary
from mri2qmap_bids.recon.physics.epg import simulate
from mri2qmap_bids.recon.physics.matching import match, signal_of
from mri2qmap_bids.recon.priors import synthetic_contrasts
from mri2qmap_bids.recon.priors.synthetic_contrasts import Prior, PriorOptions, maps_of_contrasts

SHAPE = (48, 40)
DEVIATION = torch.full((5,), 0.02 / 2**0.5)


@pytest.fixture(scope="module")
def case():
    """Two tissues in stripes: true maps, and their noisy subspace image."""
    sequence = train(n_frames=100)
    dictionary = build_dictionary(sequence, TissueGrid(step=0.1), rank=5)
    white = (torch.arange(SHAPE[1]) // 10 % 2 == 0).expand(SHAPE)
    t1 = torch.where(white, 0.85, 1.4)
    t2 = torch.where(white, 0.06, 0.09)
    m0 = torch.polar(torch.where(white, 0.7, 0.9), torch.linspace(0, 1, SHAPE[1]).expand(SHAPE))
    signals = simulate(sequence, t1.flatten(), t2.flatten()) @ dictionary.basis
    image = signals.T.reshape(-1, *SHAPE) * m0
    torch.manual_seed(0)
    noisy = image + 0.02 * torch.randn_like(image)
    network = UNet(UNetShape(width=4)).eval()
    return Prior(dictionary, network), noisy, image, t1, t2, m0


def synthesised(prior, t1, t2, m0):
    names = prior.denoiser.contrasts
    return torch.stack([synthesise(DENOISED_CONTRASTS[name], m0, t1, t2) for name in names])


def test_denoiser_is_told_the_noise_and_its_answer_mends_the_maps(case, monkeypatch):
    prior, noisy, image, t1, t2, m0 = case
    names = prior.denoiser.contrasts
    truth = synthesised(prior, t1, t2, m0.abs())
    figures = {}

    def oracle(network, images, sigma, at_once):
        first = match(noisy, prior.dictionary, exhaustive=False)
        white = white_of(synthesised(prior, first.t1, first.t2, first.m0.abs())[None], names)[0]
        figures["ratio"] = (images - truth / white).flatten(1).std(1) / sigma.flatten(1).mean(1)
        return truth / white

    monkeypatch.setattr(synthetic_contrasts, "denoise", oracle)
    plain, corrected = match(noisy, prior.dictionary), prior.maps(noisy, DEVIATION)
    assert ((figures["ratio"] > 0.85) & (figures["ratio"] < 1.15)).all()
    for name, truth_of in (("t1", t1), ("t2", t2)):
        before = (getattr(plain, name) / truth_of - 1).abs().mean()
        after = (getattr(corrected, name) / truth_of - 1).abs().mean()
        assert after < 0.4 * before
    mended = prior.correct(noisy, DEVIATION)
    assert (mended - image).norm() < 0.6 * (noisy - image).norm()


def test_an_identity_denoiser_leaves_only_the_match(case, monkeypatch):
    prior, noisy, *_ = case
    monkeypatch.setattr(synthetic_contrasts, "denoise", lambda network, images, *_: images)
    matched = match(noisy, prior.dictionary, exhaustive=False)
    for detail in (0.0, 0.05):
        own = Prior(prior.dictionary, prior.denoiser, PriorOptions(detail=(detail,) * 3))
        maps = own.maps(noisy, DEVIATION)
        assert torch.allclose(maps.t1, matched.t1, rtol=1e-3)
        assert torch.allclose(maps.t2, matched.t2, rtol=1e-3)
        expected = signal_of(matched, prior.dictionary)
        assert (own.correct(noisy, DEVIATION) - expected).norm() < 1e-3 * expected.norm()


def test_fusion_lies_between_both_and_nearer_to_the_surer(case, monkeypatch):
    """The denoiser's T2ratio is too low; how far T2 follows depends on the detail it may know."""
    prior, noisy, *_ = case
    factors = torch.ones(6)
    factors[prior.denoiser.contrasts.index("T2ratio")] = 0.8
    changed = factors.view(-1, 1, 1)
    monkeypatch.setattr(
        synthetic_contrasts, "denoise", lambda network, images, *_: changed * images
    )
    matched = match(noisy, prior.dictionary, exhaustive=False)
    medians = [float(matched.t2.median())]
    for detail in (1.0, 0.02, 0.0):
        own = Prior(prior.dictionary, prior.denoiser, PriorOptions(detail=(1.0, detail, 1.0)))
        medians.append(float(own.maps(noisy, DEVIATION).t2.median()))
    assert medians == sorted(medians, reverse=True)
    assert medians[1] < 0.97 * medians[0]


def test_fusion_is_the_mean_weighted_by_precisions():
    """Of correlated errors, and of details small and large beside them."""
    generator = torch.Generator().manual_seed(0)
    own, other = torch.rand((2, 3, 20), generator=generator) + 0.5
    factors = own[2][:, None, None] * torch.randn((20, 3, 3), generator=generator)
    detail = (0.3, 1.0, 3.0)
    fused = synthetic_contrasts._fused_part(own, other, factors, 1e-6, detail)
    error = factors / own[2][:, None, None]
    covariance = (error @ error.mT).double()
    noise = covariance.diagonal(dim1=1, dim2=2)
    square = torch.tensor(detail).double().square()
    precision, assumed = torch.linalg.inv(covariance), torch.diag_embed(1 / noise + 1 / square)
    p, q = (values.T.double().log()[..., None] for values in (own, other))
    expected = torch.linalg.solve(precision + assumed, precision @ p + assumed @ q)[..., 0]
    assert torch.allclose(fused.log(), expected.T.float(), atol=1e-3)


def test_maps_come_back_from_their_contrasts(case):
    prior, _, _, t1, t2, m0 = case
    names = prior.denoiser.contrasts
    maps = maps_of_contrasts(synthesised(prior, t1, t2, m0.abs()), names, prior.dictionary)
    for values, expected in zip(maps, (t1, t2, m0.abs()), strict=True):
        assert torch.allclose(values, expected, rtol=1e-3)


def test_the_unit_of_the_image_does_not_matter(case):
    prior, noisy, *_ = case
    small, large = prior.maps(noisy, DEVIATION), prior.maps(1000 * noisy, 1000 * DEVIATION)
    assert torch.allclose(small.t1, large.t1, rtol=1e-3)
    assert torch.allclose(small.t2, large.t2, rtol=1e-3)


def test_a_transmit_field_is_told_to_the_match_and_to_the_prediction(case, monkeypatch):
    """As if there were the fingerprints of that field only."""
    fields = (0.6, 0.7, 0.8, 0.9, 1.0)
    dictionary = build_dictionary(train(n_frames=100), TissueGrid(step=0.1, b1=fields), rank=5)
    alone = replace(dictionary, atoms=dictionary.atoms.chunk(5)[1], b1=torch.ones(1))
    prior, noisy, *_ = case
    monkeypatch.setattr(synthetic_contrasts, "denoise", lambda network, images, *_: images)
    expected = Prior(alone, prior.denoiser).correct(noisy, DEVIATION)
    prior = Prior(dictionary, prior.denoiser, b1=torch.full(SHAPE, 0.7))
    corrected = prior.correct(noisy, DEVIATION)
    assert (corrected - expected).norm() < 1e-3 * expected.norm()


@pytest.mark.parametrize("detail", [0.0, 0.05])
def test_t1_does_not_go_below_the_shortest_t2(case, monkeypatch, detail):
    """Whatever a denoiser returns: there the dictionary would be extrapolated, by large weights."""
    prior, noisy, *_ = case
    grid = TissueGrid((0.005, 3.0), (0.01, 2.0), 0.1)
    wide = build_dictionary(train(n_frames=100), grid, rank=5)
    names = prior.denoiser.contrasts
    dark = synthesised(prior, *(torch.full(SHAPE, value) for value in (0.004, 0.004, 1.0)))
    t1, t2, _ = maps_of_contrasts(dark, names, wide)
    assert (t1 >= wide.t2[0]).all() and (t2 >= wide.t2[0]).all() and (t2 <= t1).all()
    # The fusion multiplies both by what the denoised maps changed.
    monkeypatch.setattr(
        synthetic_contrasts, "maps_of_contrasts", lambda *_: (0.5 * t1, 0.5 * t2, torch.ones(SHAPE))
    )
    monkeypatch.setattr(synthetic_contrasts, "denoise", lambda network, images, *_: images)
    own = Prior(wide, prior.denoiser, PriorOptions(detail=(detail,) * 3))
    maps = own.maps(noisy, DEVIATION)
    assert (maps.t1 >= wide.t2[0]).all() and (maps.t2 >= wide.t2[0]).all()
    assert (maps.t2 <= maps.t1).all()
