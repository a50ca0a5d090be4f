"""The inverse problem and its solution without a learned prior, seen by a dense spiral."""

import logging
import weakref
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from helpers.images import image_of
from helpers.laws import relative_error
from helpers.scans import disc_brain, raw_scan
from helpers.trains import train

from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.encoding import toeplitz
from mri2qmap_bids.recon.encoding.circulant import filtered
from mri2qmap_bids.recon.encoding.forward import Encoding, forward
from mri2qmap_bids.recon.grid import tissue_grid
from mri2qmap_bids.recon.methods import least_squares as least_squares_module
from mri2qmap_bids.recon.methods import regularised
from mri2qmap_bids.recon.methods.least_squares import LeastSquaresSettings, least_squares
from mri2qmap_bids.recon.methods.lrtv import LRTV_REGULARISATION
from mri2qmap_bids.recon.methods.registry import method_named
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import build_dictionary
from mri2qmap_bids.recon.priors.smoothness import power_law
from mri2qmap_bids.recon.problem import InverseProblem, inverse_problem
from mri2qmap_bids.recon.reconstruct import reconstruct
from mri2qmap_bids.recon.shared_data import SharedData
from mri2qmap_bids.recon.solvers.conjugate_gradient import component_lengths, conjugate_gradient
from mri2qmap_bids.simulate.acquire import acquire
from mri2qmap_bids.simulate.arms import SpiralDensity
from mri2qmap_bids.simulate.coils import coil_maps
from mri2qmap_bids.simulate.trajectory import Readout, make_trajectory

N, FOV, N_FRAMES = 32, 0.2, 60
SEQUENCE = train(n_frames=N_FRAMES)
OPTIONS = ReconOptions(device="cpu", grid_step=0.1, rank=4, method="subspace")
TRAJECTORY = make_trajectory(
    "spiral", (N, N), N_FRAMES, 4.0, None, Readout(SpiralDensity(0.2, 3, 4))
)
COILS = coil_maps((1, N, N), False, 4, 0)


@pytest.fixture(scope="module")
def dictionary():
    return build_dictionary(SEQUENCE, tissue_grid(OPTIONS), rank=OPTIONS.rank)


@pytest.fixture(scope="module")
def brain():
    return disc_brain(N, FOV, 13)


def scan_of(brain, noise):
    """A simulated slice as if it had been read from a file."""
    acquired = acquire(brain, SEQUENCE, TRAJECTORY, COILS, noise=noise, seed=0)
    return raw_scan(acquired, Geometry((1, N, N), brain.voxel_size, np.zeros(3), *np.eye(3)))


@pytest.fixture(scope="module")
def scan(brain):
    return scan_of(brain, 1.0)


@pytest.fixture(scope="module")
def problem(scan, dictionary):
    return inverse_problem(SharedData(scan, scan.geometry, dictionary, OPTIONS), 0)


@pytest.fixture(scope="module")
def start(problem):
    return image_of(problem, "subspace", OPTIONS)


def test_it_converges_and_says_so(start):
    assert start.converged


def test_the_solution_does_not_depend_on_where_it_starts(start):
    """The last linear system from zero and from the image, to convergence."""
    problem = start.problem
    approximate = problem.preconditioner(start.smoothness)

    def solve(first):
        return conjugate_gradient(
            lambda x: problem.normal(x) + filtered(x, start.smoothness),
            problem.projection,
            500,
            first,
            1e-6,
            approximate,
        )

    zero, image = solve(None), solve(start.image)
    assert zero.converged and image.converged
    assert relative_error(zero.image, image.image) < 1e-4
    # It ends where the estimated distance is a tenth of the error; the true distance is longer.
    distance = component_lengths(start.image - image.image)
    assert (distance < 0.25 * start.deviation * (2 * N * N) ** 0.5).all()


@pytest.mark.parametrize("method", ["lrtv", "llr"])
def test_a_regulariser_ends_near_its_minimiser(problem, method, monkeypatch):
    """Compared with ten times the steps and a criterion 30 times as strict."""
    solution = image_of(problem, method, OPTIONS)
    strict = partial(regularised.alternating_directions, tolerance=1e-4)
    monkeypatch.setattr(regularised, "alternating_directions", strict)
    further = image_of(problem, method, replace(OPTIONS, n_iterations=400))
    assert solution.converged
    distance = component_lengths(solution.image - further.image)
    assert (distance < 0.2 * solution.deviation * (2 * N * N) ** 0.5).all()
    # Not the least-squares image again.
    plain = image_of(problem, "subspace", OPTIONS)
    assert relative_error(solution.image, plain.image) > 0.02


@pytest.mark.parametrize("method", ["subspace", "lrtv"])
def test_twice_the_steps_change_maps_by_less_than_a_tenth_of_their_noise(
    brain, scan, dictionary, method
):
    options = replace(OPTIONS, method=method)
    once = reconstruct(scan, SEQUENCE, options, dictionary)
    twice = reconstruct(
        scan,
        SEQUENCE,
        replace(options, n_iterations=2 * method_named(options.method).n_iterations(options)),
        dictionary,
    )
    tissue = brain.labels > 0
    for name in ("t1", "t2"):
        change = np.abs(getattr(once, name) - getattr(twice, name))[tissue]
        noise = getattr(once, f"{name}_std")[tissue]
        assert np.median(change) < 0.1 * np.median(noise)


def draw(dictionary, sigma, seed=0, energy=(900.0, 100.0, 20.0, 5.0)):
    """An image from the prior, and its samples with noise by the true coils."""
    generator = torch.Generator().manual_seed(seed)

    def white(*shape):
        return torch.view_as_complex(torch.randn((*shape, 2), generator=generator) / 2**0.5)

    law = power_law((N, N), torch.device("cpu"))
    energy = torch.tensor(energy).view(-1, 1, 1)
    truth = filtered(white(OPTIONS.rank, N, N), (energy * law).sqrt())
    coils = torch.from_numpy(COILS).to(torch.complex64).reshape(-1, N, N)
    coils = coils / torch.linalg.vector_norm(coils, dim=0)
    positions = torch.from_numpy(TRAJECTORY.positions)
    n_samples = positions[0].numel() // 2
    encoding = Encoding(
        omega=2 * torch.pi / N * positions.reshape(-1, 2).flip(1),
        frame=torch.arange(N_FRAMES).repeat_interleave(n_samples),
        basis=dictionary.basis,
        coils=coils,
    )
    clean = forward(encoding, truth)
    return truth, InverseProblem(encoding, clean + sigma * white(*clean.shape))


@pytest.mark.parametrize("sigma", [3.0, 20.0])
def test_the_deviation_is_that_of_the_actual_error(dictionary, sigma):
    """Of images drawn from the prior itself; mean over two draws and all components.

    In less noise what a disc of k-space lacks, its corners, is most of the error, and not in it.
    """
    ratios = []
    for seed in range(2):
        truth, problem = draw(dictionary, sigma, seed)
        start = image_of(problem, "subspace", OPTIONS)
        actual = torch.view_as_real(start.image - truth).flatten(1).square().mean(1).sqrt()
        ratios.append(start.deviation / actual)
    assert float(torch.stack(ratios).mean()) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize("sigma", [3.0, 100.0])
def test_noise_alone_gives_no_weights_and_is_measured(dictionary, sigma):
    _, problem = draw(dictionary, sigma)
    start = image_of(problem, "subspace", OPTIONS)
    weights = start.problem.weights
    assert weights is None or weights.min() > 0.9
    assert start.noise == pytest.approx(sigma, rel=0.1)


def test_the_unit_of_the_data_passes_through(dictionary):
    _, problem = draw(dictionary, 3.0)
    large = InverseProblem(problem.encoding, 1000 * problem.kspace)
    one, other = (image_of(case, "lrtv", OPTIONS) for case in (problem, large))
    assert relative_error(other.image, 1000 * one.image) < 1e-3
    assert torch.allclose(other.deviation, 1000 * one.deviation, rtol=1e-3)


def test_the_response_is_a_low_pass_that_noise_narrows(dictionary):
    few, many = (
        image_of(draw(dictionary, sigma)[1], "subspace", OPTIONS).response for sigma in (1.0, 30.0)
    )
    for response in (few, many):
        assert response.shape == (N, N) and response.min() >= 0 and response.max() <= 1
        assert response[0, 0] > 0.99
    assert many.mean() < 0.8 * few.mean()


def test_a_bound_that_is_hit_is_said_with_the_distance_left(problem, caplog):
    with caplog.at_level(logging.WARNING, "mri2qmap_bids.recon.problem"):
        start = image_of(problem, "subspace", replace(OPTIONS, n_iterations=1, regularisation=0.0))
    assert not start.converged
    (message,) = [record.getMessage() for record in caplog.records]
    distance = component_lengths(start.correction).norm() / component_lengths(start.image).norm()
    assert "have not converged: 1 steps" in message
    assert f"about {100 * float(distance):.1f} % of the image" in message


def test_nothing_is_said_where_it_converges(problem, caplog):
    with caplog.at_level(logging.WARNING, "mri2qmap_bids.recon.problem"):
        assert image_of(problem, "subspace", OPTIONS).converged
    assert not caplog.records


def test_one_set_of_kernels_is_in_memory(brain, dictionary, monkeypatch):
    """Every round that measures the noise anew has kernels of its own."""
    scan = scan_of(brain, 0.0)
    problem = inverse_problem(SharedData(scan, scan.geometry, dictionary, OPTIONS), 0)
    alive, at_once = weakref.WeakSet(), []
    build = toeplitz.toeplitz_normal

    def counted(*arguments):
        at_once.append(len(alive))
        operator = build(*arguments)
        alive.add(operator)
        return operator

    monkeypatch.setattr(toeplitz, "toeplitz_normal", counted)
    monkeypatch.setattr(least_squares_module, "_LESS_NOISE", 10.0)
    monkeypatch.setattr(least_squares_module, "_NOISE_ROUNDS", 3)
    least_squares(problem, LeastSquaresSettings())
    # Of the density-compensated image, and of every round.
    assert at_once == [0, 0, 0, 0]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_smoothness_term_remains_by_its_share(scan, dictionary, monkeypatch, share):
    """With all of it and hardly any regulariser the least-squares image is the minimiser."""
    problem = inverse_problem(SharedData(scan, scan.geometry, dictionary, OPTIONS), 0)
    start = least_squares(problem, LeastSquaresSettings())
    monkeypatch.setattr(regularised, "smoothness_share", lambda _: share)
    image = regularised.regularised_image(problem, LRTV_REGULARISATION, 1e-6, 10).image
    error = relative_error(image, start.image)
    assert error < 1e-3 if share else error > 0.05
