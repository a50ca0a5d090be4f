"""The prior's correction, with a denoiser that knows the answer in the network's place."""

import pytest
import torch
from helpers.trains import train

from mri2qmap_bids.recon import correction
from mri2qmap_bids.recon.correction import NOISE_FACTOR, Prior
from mri2qmap_bids.recon.physics.contrasts import ROUTINE_CONTRASTS, synthesise
from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary
from mri2qmap_bids.recon.physics.epg import simulate
from mri2qmap_bids.recon.physics.matching import match
from mri2qmap_bids.recon.pnp.network import JointDenoiser, NetworkShape

SHAPE = (48, 40)


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
    network = JointDenoiser(NetworkShape(width=4)).eval()
    return Prior(dictionary, network), noisy, image, t1, t2, m0


def test_denoiser_is_told_the_noise_and_its_answer_mends_the_maps(case, monkeypatch):
    prior, noisy, image, t1, t2, m0 = case
    truth = torch.stack(
        [
            synthesise(ROUTINE_CONTRASTS[name], m0.abs(), t1, t2)
            for name in prior.network.shape.contrasts
        ]
    )
    told = {}

    def oracle(network, images, sigma):
        told["noise"] = (images - truth).flatten(1).std(1)
        told["sigma"] = sigma
        return truth

    monkeypatch.setattr(correction, "denoise", oracle)
    plain, corrected = match(noisy, prior.dictionary), prior.maps(noisy)
    ratio = told["sigma"] / (NOISE_FACTOR * told["noise"])
    assert ((ratio > 0.5) & (ratio < 1.5)).all()
    for name, known in (("t1", t1), ("t2", t2)):
        before = (getattr(plain, name) / known - 1).abs().mean()
        after = (getattr(corrected, name) / known - 1).abs().mean()
        assert after < 0.6 * before
    mended = prior.correct(noisy)
    assert (mended.image - image).norm() < 0.7 * (noisy - image).norm()
    assert 0 < mended.deviation < 0.02
