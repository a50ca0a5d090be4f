"""The regularised methods from raw samples to maps, on a small brain-like disc."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.scans import disc_brain, raw_scan
from helpers.trains import train

from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.denoisers.unet import UNetShape
from mri2qmap_bids.recon.grid import tissue_grid
from mri2qmap_bids.recon.methods.base import Matcher, matched
from mri2qmap_bids.recon.methods.least_squares import least_squares
from mri2qmap_bids.recon.methods.lrtv import LRTV_REGULARISATION, LrtvSettings, component_weights
from mri2qmap_bids.recon.methods.registry import method_named
from mri2qmap_bids.recon.methods.regularised import regularised_image, regularised_work
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import build_dictionary
from mri2qmap_bids.recon.priors.total_variation import TotalVariation, edge_weights
from mri2qmap_bids.recon.problem import inverse_problem
from mri2qmap_bids.recon.reconstruct import reconstruct
from mri2qmap_bids.recon.record import Record
from mri2qmap_bids.recon.shared_data import SharedData
from mri2qmap_bids.simulate.acquire import acquire
from mri2qmap_bids.simulate.coils import coil_maps
from mri2qmap_bids.simulate.scan import ScanOptions, simulate_scan, tissue_labels
from mri2qmap_bids.simulate.sequences import make_sequence
from mri2qmap_bids.simulate.trajectory import make_trajectory

N, FOV = 40, 0.2
SEQUENCE = train(n_frames=80)
OPTIONS = ReconOptions(device="cpu", grid_step=0.1, rank=5)
PLAIN = replace(OPTIONS, method="subspace", regularisation=0.0)


@pytest.fixture(scope="module")
def disc():
    """A disc of grey matter with islands of white matter, and its noisy scan."""
    brain = disc_brain(N, FOV, 16)
    trajectory = make_trajectory("spiral", (N, N), SEQUENCE.n_frames, 4.0, None)
    coils = coil_maps((1, N, N), False, 4, 0)
    acquired = acquire(brain, SEQUENCE, trajectory, coils, noise=1.0, seed=0)
    geometry = Geometry((1, N, N), (5e-3, FOV / N, FOV / N), np.zeros(3), *np.eye(3))
    scan = raw_scan(acquired, geometry)
    dictionary = build_dictionary(SEQUENCE, tissue_grid(OPTIONS), rank=OPTIONS.rank)
    return brain, scan, dictionary


@pytest.fixture(scope="module")
def maps(disc):
    """Maps of every iterative method at its defaults."""
    _, scan, dictionary = disc
    return {
        method: reconstruct(scan, SEQUENCE, replace(OPTIONS, method=method), dictionary)
        for method in ("subspace", "lrtv", "llr", "mri2qmap")
    }


@pytest.fixture(scope="module")
def plain(disc):
    """Maps without any regulariser."""
    _, scan, dictionary = disc
    return reconstruct(scan, SEQUENCE, PLAIN, dictionary)


def errors(brain, maps, inside=None):
    """Mean absolute relative error of T1 and T2 where there is tissue, or inside."""
    inside = brain.labels > 0 if inside is None else inside
    return tuple(
        float(np.abs(estimate[inside] / truth[inside] - 1).mean())
        for estimate, truth in ((maps.t1, brain.t1), (maps.t2, brain.t2))
    )


@pytest.mark.parametrize("method", ["lrtv", "llr", "mri2qmap"])
def test_a_regulariser_beats_none_on_noisy_data(disc, maps, plain, method):
    none, regularised = errors(disc[0], plain), errors(disc[0], maps[method])
    assert regularised[0] < 0.9 * none[0]
    assert regularised[1] < 0.7 * none[1]


def test_the_smoothness_term_beats_none_and_more_weight_is_smoother(disc, maps, plain):
    brain = disc[0]
    none, smooth = errors(brain, plain), errors(brain, maps["subspace"])
    assert smooth[0] < none[0] and smooth[1] < none[1]
    white = brain.labels == 2
    assert maps["subspace"].t2[white].std() < plain.t2[white].std()


class _Unchanged:
    """A denoiser that changes nothing."""

    contrasts, multiple = UNetShape().contrasts, 1

    def operations(self, shape):
        return 0.0

    def forward(self, images, sigma):
        return images


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "trajectory", "acceleration", "noise"),
    [("FISP", "spiral", 8.0, 1.5), ("bSSFP", "cartesian", 12.0, 0.5)],
)
def test_the_learned_prior_beats_total_variation_on_a_brain(kind, trajectory, acceleration, noise):
    """One slice of the average brain: mri2qmap < lrtv < no regulariser in T1 and in T2.

    And mri2qmap is worse with a denoiser that changes nothing: the network is what improves it.
    """
    sequence = make_sequence(kind, 100)
    options = ScanOptions(
        sequence=sequence,
        matrix=(64, 64),
        n_coils=4,
        trajectory=trajectory,
        acceleration=acceleration,
        noise=noise,
    )
    scanned = simulate_scan(options, 0, 0)
    scan = raw_scan(scanned.acquired, scanned.geometry)
    dictionary = build_dictionary(sequence, tissue_grid(OPTIONS), rank=OPTIONS.rank)
    inside = np.isin(tissue_labels(scanned.brain), (1, 2))
    ways = [(replace(OPTIONS, method=method), None) for method in ("mri2qmap", "lrtv")]
    ways += [(PLAIN, None), (ways[0][0], _Unchanged())]
    learned, smooth, plain, unchanged = (
        errors(
            scanned.brain, reconstruct(scan, sequence, way, dictionary, denoiser=denoiser), inside
        )
        for way, denoiser in ways
    )
    for quantity in (0, 1):
        assert learned[quantity] < smooth[quantity] < plain[quantity]
        assert learned[quantity] < unchanged[quantity]


@pytest.mark.parametrize("method", ["lrtv", "llr", "mri2qmap"])
@pytest.mark.parametrize("whitened", [True, False])
def test_the_unit_of_the_data_does_not_matter(disc, method, whitened):
    """With a noise scan in the same unit, or without one."""
    _, scan, dictionary = disc
    first = scan.slices[0]
    scaled = replace(first, kspace=1000 * first.kspace)
    noise = scan.noise if whitened else None
    options = replace(OPTIONS, method=method, n_iterations=3)
    small, large = (
        reconstruct(changed, SEQUENCE, options, dictionary)
        for changed in (
            replace(scan, noise=noise),
            replace(scan, noise=None if noise is None else 1000 * noise, slices=(scaled,)),
        )
    )
    inside = disc[0].labels > 0
    for first, second in ((small.t1, large.t1), (small.t2, large.t2)):
        apart = np.abs(first[inside] / second[inside] - 1)
        assert np.median(apart) < 2e-3
        # In noise this strong a voxel may fall to either of two tissues by the last digit, and
        # the denoiser shows it to its neighbours.
        assert (apart < 0.01).mean() > (0.95 if method == "mri2qmap" else 0.99)


def test_the_second_round_spares_the_edges_of_the_first(disc):
    """Its image has less total variation, weighted by the first one's edges, for its distance from the data."""
    brain, scan, dictionary = disc
    problem = inverse_problem(SharedData(scan, scan.geometry, dictionary, OPTIONS), 0)
    settings = replace(LRTV_REGULARISATION.settings, tolerance=1e-3)
    once, twice = (
        regularised_image(
            problem, replace(LRTV_REGULARISATION, settings=replace(settings, **changes)), 1.0, 200
        )
        for changes in ({}, {"first_tolerance": 1e-3})
    )
    weights, _ = component_weights(
        least_squares(problem, settings.start).image,
        once.deviation,
        once.problem.circulant.level,
        settings,
    )
    voxels = edge_weights(once.image, weights / weights.min())

    def objective(image):
        data = 0.5 * torch.vdot(image.flatten(), once.problem.normal(image).flatten()).real
        data = data - torch.vdot(image.flatten(), once.problem.projection.flatten()).real
        relative = weights.view(-1, 1, 1, 1) * TotalVariation().analysis(image).transpose(0, 1)
        return float(data + 2 * (voxels * relative.abs().square().sum((0, 1)).sqrt()).sum())

    assert objective(twice.image) < objective(once.image)
    for size in (-0.2, -0.1, 0.1, 0.2):
        other = once.image + (1 + size) * (twice.image - once.image)
        assert objective(twice.image) < objective(other)
    # And so its maps are nearer to the truth.
    inside = brain.labels > 0
    matched_maps = [
        matched(image, Matcher(dictionary, (N, N))) for image in (once.image, twice.image)
    ]
    first, second = (
        float(np.abs(maps.t1.numpy()[inside[0]] / brain.t1[0][inside[0]] - 1).mean())
        for maps in matched_maps
    )
    assert second < first


def test_every_round_is_recorded_and_planned(disc):
    _, scan, dictionary = disc
    problem = inverse_problem(SharedData(scan, scan.geometry, dictionary, OPTIONS), 0)
    steps, planned = [], []
    two_rounds = LrtvSettings(first_tolerance=0.03)
    for settings in (LrtvSettings(), two_rounds, replace(two_rounds, edges_known=1.01)):
        record = Record()
        regularisation = replace(LRTV_REGULARISATION, settings=settings)
        regularised_image(problem, regularisation, 1.0, 4, record=record)
        steps.append(len(record.steps["lrtv"]))
        planned.append(sum(stage.n_normal for stage in regularised_work(regularisation, 4).stages))
    # Every round takes all steps that it may; a round applies A^H A once before its first step.
    assert steps == [4, 8, 4], "edges are spared only if they are known"
    assert planned[1] == planned[0] + 1


def roughness(brain, maps):
    """Mean difference of T2 [s] between neighbours of one tissue: blur over edges does not count."""
    labels, apart = brain.labels.astype(int), []
    for axis in (1, 2):
        tissue = np.take(labels, range(1, N), axis) > 0
        alike = tissue & (np.diff(labels, axis=axis) == 0)
        apart.append(np.abs(np.diff(maps.t2, axis=axis))[alike])
    return np.concatenate(apart).mean()


@pytest.mark.parametrize("method", ["lrtv", "llr"])
def test_more_weight_makes_maps_smoother(disc, maps, plain, method):
    brain, scan, dictionary = disc
    options = replace(
        OPTIONS, method=method, regularisation=4 * method_named(method).regularisation
    )
    strong = reconstruct(scan, SEQUENCE, options, dictionary)
    assert roughness(brain, strong) < roughness(brain, maps[method]) < roughness(brain, plain)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("method", ["gridding", "subspace", "lrtv", "llr", "mri2qmap"])
def test_a_gpu_gives_what_the_cpu_gives_and_the_same_twice(disc, method):
    brain, scan, _ = disc
    tissue = brain.labels > 0
    maps = [
        reconstruct(scan, SEQUENCE, replace(OPTIONS, method=method, device=device))
        for device in ("cpu", "cuda", "cuda")
    ]
    for first, second in ((maps[0], maps[1]), (maps[1], maps[2])):
        for name in ("t1", "t2"):
            a, b = getattr(first, name)[tissue], getattr(second, name)[tissue]
            # In strong noise the last digit decides single voxels.
            assert np.quantile(np.abs(a / b - 1), 0.95) < 1e-3
