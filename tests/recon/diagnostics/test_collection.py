"""What a reconstruction says of itself."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mri2qmap_bids.dataset.sidecar import read_scan
from mri2qmap_bids.recon.acquisition.raw import read_samples
from mri2qmap_bids.recon.diagnostics.model import load_diagnostics, save_diagnostics
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.reconstruct import reconstruct_and_diagnose

RUNS = {
    "slices": ("sub-01/ses-1/anat/sub-01_ses-1_acq-2d_MRF.h5", "mri2qmap"),
    "volume": ("sub-02/ses-1/anat/sub-02_ses-1_acq-3d_MRF.h5", "subspace"),
}


@pytest.fixture(scope="module", params=RUNS)
def run(request, small_dataset):
    name, method = RUNS[request.param]
    path = small_dataset / name
    metadata = json.loads(path.with_suffix(".json").read_text())
    sequence, lines = read_scan(metadata, path)
    scan = read_samples(lines)
    options = ReconOptions(method=method, device="cpu", grid_step=0.2)
    maps, diagnostics = reconstruct_and_diagnose(scan, sequence, options)
    return scan, options, maps, diagnostics


def test_planes_go_through_the_tissue_of_the_right_size(run):
    scan, options, maps, diagnostics = run
    planes = diagnostics.part.planes
    assert [plane.axis for plane in planes] == ([0, 1, 2] if scan.is_3d else [0])
    for plane in planes:
        t1 = maps.t1.take(plane.index, plane.axis)
        mask = maps.mask.take(plane.index, plane.axis)
        assert mask.sum() > 50
        assert plane.misfit.shape == plane.residual.shape == plane.coils.shape[1:] == t1.shape
        # No noise in these data: maps explain the image, and coils are normalised.
        assert np.median(plane.misfit[mask]) < 0.03
        power = (plane.coils.astype(float) ** 2).sum(0)
        assert np.allclose(power[mask], 1, atol=0.01)
        if options.method == "mri2qmap":
            assert np.median(np.abs(plane.start_t1 / t1 - 1)[mask]) < 0.05
        else:
            assert plane.start_t1 is None


def test_fingerprints_are_those_of_the_maps(run):
    scan, _, maps, diagnostics = run
    prints = diagnostics.part.fingerprints
    where = tuple(prints.voxels.T)
    assert 100 < len(prints.voxels) <= 450
    assert scan.is_3d or set(where[0]) == {1}
    assert np.allclose(maps.t1[where], prints.t1)
    assert np.allclose(maps.t2[where], prints.t2)
    predicted = np.linalg.norm(prints.model - prints.data, axis=1)
    assert np.median(predicted / np.linalg.norm(prints.data, axis=1)) < 0.03


def test_samples_are_counted_where_they_lie(run):
    scan, _, _, diagnostics = run
    sampling = diagnostics.part.sampling
    assert sampling.n_samples == len(scan.slices[-1].frame)
    assert 0.9 < sampling.coverage <= 1
    assert np.abs(sampling.readouts).max() <= 1.001
    if not scan.is_3d:
        density = sampling.density[0]
        assert density.sum() == sampling.n_samples
        # Spirals begin in the middle.
        assert np.unravel_index(density.argmax(), density.shape) == (16, 16)


def test_times_and_steps_are_those_of_the_method(run):
    _, options, _, diagnostics = run
    stages = {"encoding", "least squares", "matching", "diagnostics"}
    if options.method == "mri2qmap":
        stages |= {"lrtv", "plug and play", "final maps", "residual"}
        stages -= {"matching"}
    assert stages <= set(diagnostics.seconds)
    assert all(seconds > 0 for seconds in diagnostics.seconds.values())
    expected = {"subspace": {"subspace"}, "mri2qmap": {"subspace", "lrtv", "mri2qmap"}}
    assert set(diagnostics.steps) == expected[options.method]
    residuals = [step["residual"] for step in diagnostics.steps["subspace"]]
    assert residuals[-1] < 0.5 * residuals[0]


def test_what_is_written_is_read_again(run, tmp_path):
    diagnostics = run[3]
    path = tmp_path / "x.npz"
    save_diagnostics(diagnostics, path)
    again = load_diagnostics(path)
    assert path.stat().st_size < 500_000
    for name in ("energy", "t1_range", "n_atoms", "steps", "seconds", "plan", "device", "is_3d"):
        assert getattr(again, name) == getattr(diagnostics, name)
    assert again.sequence.kind == diagnostics.sequence.kind
    assert np.array_equal(again.sequence.flip_angle, diagnostics.sequence.flip_angle)
    assert np.array_equal(again.part.fingerprints.data, diagnostics.part.fingerprints.data)
    assert len(again.part.sampling.density) == len(diagnostics.part.sampling.density)
    for first, second in zip(again.part.planes, diagnostics.part.planes, strict=True):
        assert (first.axis, first.index) == (second.axis, second.index)
        assert np.array_equal(first.coils, second.coils)
        assert (first.start_t1 is None) == (second.start_t1 is None)
    assert np.array_equal(
        again.part.residual.frames, diagnostics.part.residual.frames, equal_nan=True
    )


def test_steps_are_those_of_the_middle_slice(run):
    """A last slice of noise needs other steps than the middle one."""
    scan, _, _, diagnostics = run
    if scan.is_3d:
        pytest.skip("a volume has no slices")
    middle = scan.slices[-1]
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(middle.kspace.shape, dtype=torch.complex64, generator=generator)
    residuals = []
    for kspace in (middle.kspace, noise * middle.kspace.abs().mean()):
        slices = (*scan.slices, replace(middle, kspace=kspace))
        geometry = replace(scan.geometry, matrix=(3, *scan.geometry.matrix[1:]))
        three = replace(scan, slices=slices, geometry=geometry)
        options = ReconOptions(method="subspace", device="cpu", grid_step=0.2)
        found = reconstruct_and_diagnose(three, diagnostics.sequence, options)[1]
        residuals.append([step["residual"] for step in found.steps["subspace"]])
    assert residuals[0] == pytest.approx(residuals[1], rel=0.01)


def test_every_slice_has_its_quality(run):
    scan, _, _, diagnostics = run
    slices = diagnostics.slices
    assert len(slices) == len(scan.slices)
    middle = slices[len(slices) // 2]
    assert middle.noise == diagnostics.part.residual.noise
    assert middle.energy_left == diagnostics.part.convergence.worst
    for each in slices:
        assert each.figures.misfit < 0.01
        assert each.figures.snr > 20
        assert each.signal > 0.3 * middle.signal


def test_a_slice_of_another_sequence_shows(small_dataset):
    path = small_dataset / RUNS["slices"][0]
    sequence, lines = read_scan(json.loads(path.with_suffix(".json").read_text()), path)
    scan = read_samples(lines)
    first = replace(scan.slices[0], frame=(scan.n_frames - 1 - scan.slices[0].frame))
    options = ReconOptions(method="subspace", device="cpu", grid_step=0.2)
    played = replace(scan, slices=(first, *scan.slices[1:]))
    _, diagnostics = reconstruct_and_diagnose(played, sequence, options)
    wrong, *right = [each.figures.misfit for each in diagnostics.slices]
    assert wrong > 10 * max(right)
    assert wrong > 0.02
