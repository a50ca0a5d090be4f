"""Curves: what is drawn is what was measured, in the units of the axes."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.diagnostics import RANK, some_diagnostics, some_fingerprints
from helpers.trains import train as pulse_sequence

from mri2qmap_bids.recon.diagnostics.model import CoilNoise, Fingerprints, Residual
from mri2qmap_bids.report import curves
from mri2qmap_bids.report.literature import literature_at


def line(axes, label=None):
    (curve,) = [c for c in axes.lines if label is None or c.get_label() == label]
    return curve.get_ydata()


def test_histograms_are_shares_of_all_voxels_on_an_axis_of_milliseconds():
    t1 = np.array([1.0] * 3 + [9.0])  # the last is beyond the axis, and counts at its end
    figure = curves.histograms(t1, t1 / 10, literature_at(3.0))
    left, right = figure.axes
    for axes in (left, right):
        values, edges, _ = axes.patches[0].get_data()
        assert values.sum() == pytest.approx(100)
        assert edges[0] == axes.get_xlim()[0]
    values, edges, _ = left.patches[0].get_data()
    cell = np.searchsorted(edges, 1000.0) - 1
    assert values[cell] == pytest.approx(75) and values[-1] == pytest.approx(25)
    assert len(left.lines) == 4 and not curves.histograms(t1, t1, None).axes[0].lines


def test_a_train_is_drawn_in_degrees_and_milliseconds():
    sequence = pulse_sequence(n_frames=30)
    left, right = curves.train(sequence).axes
    assert np.allclose(line(left), np.rad2deg(sequence.flip_angle))
    assert np.allclose(line(right, "repetition time"), 12.0)
    assert np.allclose(line(right, "echo time"), 2.0)


def test_the_sign_of_a_basis_function_is_such_that_its_sum_is_positive():
    columns = np.random.default_rng(0).standard_normal((20, 3))
    courses = [c.get_ydata() for c in curves.basis(columns).axes[0].lines]
    assert all(course.sum() > 0 for course in courses)
    assert all(np.allclose(np.abs(d), np.abs(c)) for d, c in zip(courses, columns.T, strict=True))


def test_the_noise_of_every_coil_has_a_bar():
    noise = CoilNoise(np.eye(3, dtype=np.float16), np.array([1.0, 2.0, 0.5], np.float32))
    right = curves.coil_noise(noise).axes[1]
    assert [bar.get_width() for bar in right.patches] == [1.0, 2.0, 0.5]


def test_a_solver_of_one_step_has_no_curve():
    step = {"residual": 0.1, "step": 0.2}
    assert curves.convergence({}) is None
    assert curves.convergence({"subspace": [step]}) is None
    assert curves.convergence({"no such method": [step, step]}) is None
    figure = curves.convergence({"subspace": [step, {"residual": 0.01}], "lrtv": [step, step]})
    least_squares, lrtv = figure.axes[0].lines
    assert np.allclose(least_squares.get_ydata(), [10, 1])  # per cent
    assert np.allclose(lrtv.get_ydata(), [20, 20])


@pytest.mark.parametrize("level", [0.5, 2.0])
def test_residuals_are_relative_to_their_noise(level):
    frames = level * np.array([1.0, 3.0], np.float32)
    residual = Residual(level, frames, level * np.ones(4, np.float32))
    left, right = curves.residuals(residual).axes
    assert np.allclose(left.lines[0].get_ydata(), [1, 3])
    assert np.allclose(right.patches[0].get_data().values, 1)


def test_voxels_of_ones_choice_are_drawn_and_other_panels_are_empty():
    figure = curves.fingerprints(some_diagnostics(), [0, 2, 3, 5], list("abcd"))
    titles = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert titles == list("abcd")
    data, model = figure.axes[0].lines
    assert np.allclose(data.get_ydata(), model.get_ydata())
    assert np.abs(model.get_ydata()).max() == pytest.approx(1)


def test_a_constant_phase_is_taken_out_and_the_sign_of_the_course_stays():
    real = np.random.default_rng(0).standard_normal((4, RANK)).astype(np.float32)
    basis = np.linalg.qr(np.random.default_rng(1).standard_normal((20, RANK)))[0]
    prints = some_fingerprints(4)
    for phase in (0.0, 1.0, 3.0):
        turned = (real * np.exp(1j * phase)).astype(np.complex64)
        own = Fingerprints(prints.voxels, prints.t1, prints.t2, turned, turned)
        for index in range(4):
            data, model = curves.time_courses(basis, own, index)
            sign = np.sign(real[index][np.abs(real[index]).argmax()])
            assert np.allclose(data, sign * basis @ real[index], atol=1e-5)
            assert np.allclose(data, model)
    data, _ = curves.time_courses(basis.astype(complex), own, 0)
    assert np.allclose(data, np.abs(basis @ turned[0]), atol=1e-5)


def test_a_voxel_without_signal_has_phase_one():
    assert curves.phase_of(np.zeros(3, complex)) == 1
    assert curves.phase_of(np.array([0.1, -2j])) == pytest.approx(-1j)


def test_flip_angles_below_0_are_seen():
    sequence = pulse_sequence(n_frames=20)
    alternating = replace(sequence, flip_angle=sequence.flip_angle * (-1.0) ** np.arange(20))
    for angles in (alternating, replace(sequence, flip_angle=-sequence.flip_angle)):
        low, high = curves.train(angles).axes[0].get_ylim()
        assert low < np.rad2deg(angles.flip_angle.min())
        assert high > np.rad2deg(angles.flip_angle.max())
    assert curves.train(sequence).axes[0].get_ylim()[0] == 0
