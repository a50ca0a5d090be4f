"""Raw file to maps without the simulator: markers of known tissue at known places."""

from dataclasses import replace

import ismrmrd
import numpy as np
import pytest
import torch
from helpers.bloch import bloch_fingerprint
from helpers.rawfile import acquisition, header_xml, write_file
from helpers.trains import train
from scipy.spatial.transform import Rotation

from mri2qmap_bids.recon import reconstruct as reconstruct_module
from mri2qmap_bids.recon.acquisition.geometry import Geometry, affine
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.raw import read_raw
from mri2qmap_bids.recon.acquisition.scan import RawScan, SliceSamples
from mri2qmap_bids.recon.grid import resize
from mri2qmap_bids.recon.methods.registry import method_named, resolved
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.reconstruct import reconstruct, reconstruct_and_diagnose

AXES = Rotation.from_euler("xyz", [25, -15, 40], degrees=True).as_matrix().T  # read, phase, slice
CENTRE = np.array([12.0, -30.0, 45.0])  # LPS [mm]
TISSUE = (1.1, 0.075)
SEQUENCE = train(n_frames=40)
OPTIONS = ReconOptions(method="subspace", device="cpu", grid_step=0.1)


def fully_sampled(markers, matrix, fov_mm, path, n_coils=3, centre=CENTRE, b1=1.0, **fields):
    """Readouts of every line of a Cartesian grid in every frame, from markers in LPS [mm].

    s_c(k, t) = sum_m S_c(m) d_t exp(-2 pi i k . r_m), r_m measured along the directions
    from the position; a direct sum that shares nothing with the reconstruction.
    """
    rng = np.random.default_rng(0)
    played = replace(SEQUENCE, flip_angle=b1 * SEQUENCE.flip_angle)
    fingerprint = bloch_fingerprint(played, *TISSUE, n_isochromats=128)
    axes = [np.arange(n) - n // 2 for n in matrix]
    k = np.stack(np.meshgrid(*axes, indexing="ij"), -1)  # cycles per field of view along x, y[, z]
    n_dim = len(matrix)
    along = (np.atleast_2d(markers) - centre) @ AXES.T
    phase = np.einsum("...d,md->...m", k, along[:, :n_dim] / np.array(fov_mm[:n_dim]))
    sensitivity = rng.standard_normal((n_coils, len(along))) + 1j * rng.standard_normal(
        (n_coils, len(along))
    )
    image = np.einsum("cm,...m->c...", sensitivity, np.exp(-2j * np.pi * phase))
    lines = image.reshape(n_coils, -1, matrix[-1])
    positions = k.reshape(-1, matrix[-1], n_dim) / np.array(matrix)
    result = []
    for frame in range(SEQUENCE.n_frames):
        for line, where in zip(lines.transpose(1, 0, 2), positions, strict=True):
            result.append(
                acquisition(
                    line * fingerprint[frame], where, directions=AXES, position=centre,
                    idx_contrast=frame, **fields,
                )
            )  # fmt: skip
    return result


def world_of(maps, index_zyx):
    """RAS [mm] of a voxel."""
    return 1e3 * (maps.affine @ [*index_zyx[::-1], 1])[:3]


@pytest.mark.parametrize("method", ["gridding", "subspace"])
def test_marker_in_an_oblique_volume_lands_on_its_world_coordinate(tmp_path, method):
    matrix, fov = (9, 8, 6), (180.0, 144.0, 90.0)
    steps = np.array([3, -2, 1]) * np.array(fov) / np.array(matrix)  # along read, phase, slice
    marker = CENTRE + steps @ AXES
    readouts = fully_sampled(marker, matrix, fov, tmp_path)
    path = write_file(tmp_path / "x.h5", readouts, header_xml(matrix, fov))
    scan = read_raw(path, ReadLayout(SEQUENCE.n_frames))
    maps = reconstruct(scan, SEQUENCE, replace(OPTIONS, method=method))
    peak = np.unravel_index(np.abs(maps.m0).argmax(), maps.m0.shape)
    assert np.allclose(world_of(maps, peak), marker * [-1, -1, 1], atol=1e-3)
    assert maps.t1[peak] == pytest.approx(TISSUE[0], rel=0.01)
    assert maps.t2[peak] == pytest.approx(TISSUE[1], rel=0.01)


@pytest.mark.parametrize("n_slices", [2, 3])
def test_markers_in_oblique_slices_land_on_their_world_coordinates(tmp_path, n_slices):
    matrix, fov, gap = (10, 8), (160.0, 128.0, 4.0), 6.0
    markers, readouts = [], []
    # Slice numbers run against the slice direction.
    for number, (dx, dy) in enumerate([(2, 1), (-3, 2), (1, -3)][:n_slices]):
        centre = CENTRE + (1 - number) * gap * AXES[2]
        markers.append(centre + dx * 16 * AXES[0] + dy * 16 * AXES[1])
        readouts += fully_sampled(
            markers[-1], matrix, fov, tmp_path, centre=centre, idx_slice=number
        )
    path = write_file(tmp_path / "x.h5", readouts, header_xml((*matrix, 1), fov))
    maps = reconstruct(read_raw(path, ReadLayout(SEQUENCE.n_frames)), SEQUENCE, OPTIONS)
    assert maps.t1.shape == (n_slices, 8, 10)
    places = []
    for plane in range(n_slices):
        peak = (plane, *np.unravel_index(np.abs(maps.m0[plane]).argmax(), (8, 10)))
        places.append(world_of(maps, peak))
        assert maps.t1[peak] == pytest.approx(TISSUE[0], rel=0.01)
    expected = np.array(markers) * [-1, -1, 1]
    assert np.allclose(places, expected[::-1], atol=1e-3)


def test_markers_keep_their_place_when_the_encoded_field_of_view_is_larger(tmp_path):
    matrix, fov = (16, 8), (320.0, 160.0, 5.0)
    marker = CENTRE + 40 * AXES[0] - 40 * AXES[1]
    outside = CENTRE + 120 * AXES[0]
    xml = header_xml((*matrix, 1), fov, recon_matrix=(8, 8, 1), recon_fov=(160.0, 160.0, 5.0))
    path = write_file(
        tmp_path / "x.h5", fully_sampled([marker, outside], matrix, fov, tmp_path), xml
    )
    maps = reconstruct(read_raw(path, ReadLayout(SEQUENCE.n_frames)), SEQUENCE, OPTIONS)
    assert maps.t1.shape == (1, 8, 8)
    magnitude = np.abs(maps.m0)
    peak = np.unravel_index(magnitude.argmax(), magnitude.shape)
    assert np.allclose(world_of(maps, peak), marker * [-1, -1, 1], atol=1e-3)
    rest = magnitude.copy()
    rest[peak] = 0
    assert rest.max() < 0.05 * magnitude.max()  # the marker outside does not fold in


@pytest.mark.parametrize("method", ["gridding", "subspace"])
def test_a_known_transmit_field_is_no_error_of_t2(tmp_path, method):
    matrix, fov, options = (8, 6), (160.0, 120.0, 5.0), replace(OPTIONS, method=method)
    readouts = fully_sampled(CENTRE + 20 * AXES[0], matrix, fov, tmp_path, b1=0.83)
    path = write_file(tmp_path / "x.h5", readouts, header_xml((*matrix, 1), fov))
    scan = read_raw(path, ReadLayout(SEQUENCE.n_frames))
    b1 = np.full((1, 6, 8), 0.83, np.float32)
    corrected, ignored = (
        reconstruct(scan, SEQUENCE, options, b1=b1),
        reconstruct(scan, SEQUENCE, options),
    )
    peak = np.unravel_index(np.abs(corrected.m0).argmax(), corrected.m0.shape)
    assert corrected.t1[peak] == pytest.approx(TISSUE[0], rel=0.01)
    assert corrected.t2[peak] == pytest.approx(TISSUE[1], rel=0.01)
    assert abs(ignored.t2[peak] / TISSUE[1] - 1) > 0.15
    for wrong in (b1[:, :5], np.zeros_like(b1), np.full_like(b1, np.nan)):
        with pytest.raises(ValueError, match="b1 must be positive and finite of shape"):
            reconstruct(scan, SEQUENCE, options, b1=wrong)


def test_noise_is_whitened(tmp_path, monkeypatch):
    """A coil that is all noise must not spoil the maps once the noise scan says so."""
    # A coil so noisy would be left out without a noise scan.
    monkeypatch.setattr("mri2qmap_bids.recon.reconstruct.without_faulty_coils", lambda scan: scan)
    matrix, fov = (8, 8), (160.0, 160.0, 5.0)
    marker = CENTRE + 40 * AXES[0]
    rng = np.random.default_rng(1)

    def noise(n_samples):
        white = rng.standard_normal((3, n_samples)) + 1j * rng.standard_normal((3, n_samples))
        return np.array([[1e-3], [1e-3], [30.0]]) * white

    readouts = fully_sampled(marker, matrix, fov, tmp_path)
    for readout in readouts:
        readout.data[:] = readout.data + noise(readout.data.shape[1])
    scan_of_noise = acquisition(noise(500), None, flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT])
    errors = []
    for name, items in (("with", [scan_of_noise, *readouts]), ("without", readouts)):
        path = write_file(tmp_path / f"{name}.h5", items, header_xml((*matrix, 1), fov))
        maps = reconstruct(read_raw(path, ReadLayout(SEQUENCE.n_frames)), SEQUENCE, OPTIONS)
        errors.append(abs(maps.t1[0, 4, 6] / TISSUE[0] - 1))
    assert errors[0] < 0.01 < errors[1]


def test_another_matrix_keeps_the_field_of_view(tmp_path):
    matrix, fov = (16, 16), (160.0, 160.0, 5.0)
    marker = CENTRE + 40 * AXES[0] - 20 * AXES[1]
    path = write_file(
        tmp_path / "x.h5",
        fully_sampled(marker, matrix, fov, tmp_path),
        header_xml((*matrix, 1), fov),
    )
    scan = read_raw(path, ReadLayout(SEQUENCE.n_frames))
    maps = reconstruct(scan, SEQUENCE, replace(OPTIONS, matrix=(8, 8, 8)))
    assert maps.t1.shape == (1, 8, 8)
    peak = np.unravel_index(np.abs(maps.m0).argmax(), maps.m0.shape)
    assert np.allclose(world_of(maps, peak), marker * [-1, -1, 1], atol=1e-3)
    resized = resize(scan.geometry, (8, 8, 8), is_3d=False)
    assert np.allclose(
        affine(resized)[:3, :3] @ [8, 8, 1], affine(scan.geometry)[:3, :3] @ [16, 16, 1]
    )


def test_reconstruction_repeats_itself_but_for_the_order_of_sums(tmp_path):
    matrix, fov = (8, 8), (160.0, 160.0, 5.0)
    path = write_file(
        tmp_path / "x.h5",
        fully_sampled(CENTRE, matrix, fov, tmp_path),
        header_xml((*matrix, 1), fov),
    )
    scan = read_raw(path, ReadLayout(SEQUENCE.n_frames))
    first, second = (reconstruct(scan, SEQUENCE, OPTIONS) for _ in range(2))
    assert np.allclose(first.m0, second.m0, atol=1e-5 * np.abs(first.m0).max())
    assert first.t1[0, 4, 4] == pytest.approx(second.t1[0, 4, 4], rel=1e-5)


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self):
        self.parts, self.begun, self.ended = [], [], []

    def begin_part(self, index, n_parts):
        self.parts.append((index, n_parts))

    def begin_stage(self, name):
        self.begun.append(name)

    def end_stage(self, name, seconds):
        self.ended.append(name)


@pytest.mark.parametrize("method", ["gridding", "subspace", "mri2qmap", "pnp"])
def test_a_listener_is_told_of_the_stages_that_the_method_promises(tmp_path, method):
    matrix, fov = (16, 16), (160.0, 160.0, 5.0)
    path = write_file(
        tmp_path / "x.h5",
        fully_sampled(CENTRE, matrix, fov, tmp_path),
        header_xml((*matrix, 1), fov),
    )
    options = resolved(replace(OPTIONS, method=method, n_iterations=1))
    heard = Heard()
    scan = read_raw(path, ReadLayout(SEQUENCE.n_frames))
    reconstruct_and_diagnose(scan, SEQUENCE, options, listener=heard)
    assert heard.parts == [(0, 1)]
    assert heard.begun == heard.ended
    promised = [stage.name for stage in method_named(method).work(options).stages]
    assert [name for name in dict.fromkeys(heard.begun) if name in promised] == promised


def test_an_unknown_method_is_refused_before_anything_is_computed(monkeypatch):
    geometry = Geometry((1, 8, 8), (5e-3,) * 3, np.zeros(3), *np.eye(3))
    edge = torch.tensor([[100.0, 100.0]]).repeat(SEQUENCE.n_frames, 1)
    samples = SliceSamples(
        torch.ones(2, SEQUENCE.n_frames, dtype=torch.complex64),
        edge,
        torch.arange(SEQUENCE.n_frames),
    )
    scan = RawScan((samples,), None, geometry, (5e-3, 0.04, 0.04), SEQUENCE.n_frames, False)
    monkeypatch.setattr(reconstruct_module, "build_dictionary", None)
    with pytest.raises(ValueError, match=r"method must be one of .*llr.*, got 'lrtvv'"):
        reconstruct(scan, SEQUENCE, replace(OPTIONS, method="lrtvv"))
