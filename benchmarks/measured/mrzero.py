"""Our maps of a phantom that another group's simulator has scanned.

python -m benchmarks.measured.mrzero WORK --mrzero LIB [--table benchmarks/measured/mrzero.md]

LIB is a folder of your own into which you have installed MRzeroCore without its torch (``pip install --no-deps
--target LIB MRzeroCore pydisseqt torchkbnufft pypulseq coverage requests``; AGPL, and nothing of it is used elsewhere).
A Pulseq file of a fingerprinting train with spirals is written, MRzeroCore plays it (phase distribution graphs)
on discs of known T1 and T2, and its samples go through ``mri2qmap-tools convert ismrmrd --pulseq`` and ``mri2qmap``.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ismrmrd
import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids import tools
from mri2qmap_bids.cli import main as mri2qmap

N, FOV, THICKNESS = 32, 0.192, 0.005
DISCS = ((-6, -6, 0.4, 0.05), (6, -5, 0.8, 0.07), (-5, 6, 1.2, 0.1), (5, 7, 1.8, 0.16))
"""Centre along x and y [voxel], T1 and T2 [s]."""
BODY = (1.0, 0.08)
METHODS = ("subspace", "lrtv", "mri2qmap")
_RASTER, _PULSE, _READ, _GAP = 1e-5, 1e-3, 400, 1e-3
_TURNS = 9
_SPOILING = 4.0


def phantom() -> tuple[
    NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]
]:
    """Proton density, T1 [s], T2 [s] and number of the disc (0: body, -1: nothing), axes (x, y)."""
    x, y = np.meshgrid(*[np.arange(N) - N // 2] * 2, indexing="ij")
    labels = np.where(np.hypot(x, y) < 13, 0, -1)
    for number, (centre_x, centre_y, _, _) in enumerate(DISCS, start=1):
        labels[np.hypot(x - centre_x, y - centre_y) < 4] = number
    tissues = [BODY, *(disc[2:] for disc in DISCS)]
    t1, t2 = (np.array([t[i] for t in tissues])[np.maximum(labels, 0)] for i in (0, 1))
    density = (labels >= 0).astype(np.float32)
    return density, t1.astype(np.float32), t2.astype(np.float32), labels


def flip_angles(n_frames: int) -> NDArray[np.float64]:
    """Lobes of 10 to 60 degrees [rad]."""
    frame = np.arange(n_frames)
    peak = np.array([60.0, 35.0, 50.0, 25.0])[(frame // 50) % 4]
    return np.deg2rad(8 + peak * np.abs(np.sin(np.pi * frame / 50)))


def write_train(path: Path, n_frames: int) -> Path:
    """A FISP train after an inversion; one spiral per frame, turned by the golden angle."""
    time = np.linspace(0, 1, _READ)
    spiral = N / 2 / FOV * time * np.exp(2j * np.pi * _TURNS * time)
    shapes: list[tuple[int, NDArray[np.float64]]] = [(1, np.ones(1000)), (2, np.zeros(1000))]
    rf: list[str] = []
    gradients: list[str] = []
    traps: list[str] = []
    rows: list[tuple[float, ...]] = []

    def trapezoid(area: float) -> int:
        traps.append(
            f"{100000 + len(traps)} {area / (_GAP - 2e-4):.10g} 200 {1e6 * (_GAP - 4e-4):g} 200 0"
        )
        return 100000 + len(traps) - 1

    def pulse(angle: float, use: str) -> int:
        rf.append(f"{len(rf) + 1} {angle / (2 * np.pi * _PULSE):.12g} 1 2 0 500 0 0 0 0 0 {use}")
        return len(rf)

    spoiler = trapezoid(_SPOILING / THICKNESS)
    rows.append((_PULSE, pulse(np.pi, "i"), 0, 0, 0, 0))
    rows.append((_GAP, 0, 0, 0, trapezoid(10 * _SPOILING / THICKNESS), 0))
    rows.append((0.018, 0, 0, 0, 0, 0))
    for frame, angle in enumerate(flip_angles(n_frames)):
        k = spiral * np.exp(1j * frame * np.deg2rad(111.246))
        speed = np.diff(k, prepend=0) / _RASTER
        axes = []
        for part in (speed.real, speed.imag):
            top = float(np.abs(part).max())
            shapes.append((len(shapes) + 1, part / top))
            gradients.append(
                f"{len(gradients) + 1} {top:.10g} {part[0]:.10g} {part[-1]:.10g} {len(shapes)} 0 0"
            )
            axes.append(len(gradients))
        end = speed.sum() * _RASTER
        rows.append((_PULSE, pulse(float(angle), "e"), 0, 0, 0, 0))
        rows.append((5e-4, 0, 0, 0, 0, 0))
        rows.append((_READ * _RASTER, 0, *axes, 0, 1))
        rows.append((_GAP, 0, trapezoid(-end.real), trapezoid(-end.imag), spoiler, 0))
        rows.append((0.012 - _PULSE - 5e-4 - _READ * _RASTER - _GAP, 0, 0, 0, 0, 0))
    lines = ["[VERSION]", "major 1", "minor 5", "revision 0", "[DEFINITIONS]"]
    lines += ["AdcRasterTime 1e-07", "BlockDurationRaster 1e-05", f"FOV {FOV} {FOV} {THICKNESS}"]
    lines += ["GradientRasterTime 1e-05", "RadiofrequencyRasterTime 1e-06", "[BLOCKS]"]
    lines += [
        f"{n} {round(row[0] / _RASTER)} {' '.join(map(str, row[1:]))} 0"
        for n, row in enumerate(rows, start=1)
    ]
    lines += ["[RF]", *rf, "[GRADIENTS]", *gradients, "[TRAP]", *traps]
    lines += ["[ADC]", f"1 {_READ} {_RASTER * 1e9:g} 0 0 0 0 0 0", "[SHAPES]"]
    for number, values in shapes:
        lines += [f"shape_id {number}", f"num_samples {len(values)}", *(f"{v:.9g}" for v in values)]
    path.write_text("\n".join(lines) + "\n")
    return path


def played(path: Path) -> NDArray[np.complex64]:
    """Samples that MRzeroCore gives, shape (readout, sample)."""
    import MRzeroCore
    import torch

    density, t1, t2, _ = phantom()
    one, zero = torch.ones(N, N, 1), torch.zeros(N, N, 1)
    affine = torch.diag(torch.tensor([1e3 * FOV / N, 1e3 * FOV / N, 1e3 * THICKNESS, 1.0]))
    data = MRzeroCore.VoxelGridPhantom(
        torch.from_numpy(density)[..., None],
        torch.from_numpy(t1)[..., None],
        torch.from_numpy(t2)[..., None],
        1e9 * one, zero, zero, one[None], one[None], affine,
    ).build()  # fmt: skip
    sequence = MRzeroCore.Sequence.import_file(str(path))
    graph = MRzeroCore.compute_graph(sequence, data, 500, 1e-5)
    signal: Any = MRzeroCore.execute_graph(graph, sequence, data, 1e-3, 1e-3, print_progress=False)
    return np.asarray(signal.detach().numpy().reshape(-1, _READ), np.complex64)


def write_raw(path: Path, samples: NDArray[np.complex64], noise: float) -> Path:
    """An ISMRMRD file of one coil without trajectory, with noise relative to the rms of the samples."""
    rng = np.random.default_rng(0)
    level = noise * np.sqrt((np.abs(samples) ** 2).mean() / 2)
    matrix = f"<matrixSize><x>{N}</x><y>{N}</y><z>1</z></matrixSize>"
    fov = f"<fieldOfView_mm><x>{1e3 * FOV}</x><y>{1e3 * FOV}</y><z>{1e3 * THICKNESS}</z></fieldOfView_mm>"
    header = (
        '<?xml version="1.0"?><ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">'
        "<experimentalConditions><H1resonanceFrequency_Hz>123200000</H1resonanceFrequency_Hz></experimentalConditions>"
        f"<encoding><encodedSpace>{matrix}{fov}</encodedSpace><reconSpace>{matrix}{fov}</reconSpace>"
        "<encodingLimits/><trajectory>other</trajectory></encoding></ismrmrdHeader>"
    )
    path.unlink(missing_ok=True)
    with ismrmrd.Dataset(str(path), "dataset", create_if_needed=True) as file:
        file.write_xml_header(header.encode())
        for values in samples:
            error = level * (rng.standard_normal(_READ) + 1j * rng.standard_normal(_READ))
            line = ismrmrd.Acquisition.from_array((values + error)[None].astype(np.complex64))
            line.sample_time_us = _RASTER * 1e6
            line.read_dir[:], line.phase_dir[:], line.slice_dir[:] = (1, 0, 0), (0, 1, 0), (0, 0, 1)
            file.append_acquisition(line)
    return path


def maps_of(dataset: Path, method: str, folder: Path) -> dict[str, NDArray[np.float64]]:
    """T1 and T2 [s], axes (x, y)."""
    words = [
        str(dataset),
        str(folder / method),
        "participant",
        "-w",
        str(folder / f"work-{method}"),
    ]
    if mri2qmap([*words, "--recon-method", method, "--force"]) != 0:
        sys.exit(f"{dataset}: {method} failed")
    maps = {}
    for name in ("T1", "T2"):
        (path,) = (folder / method).rglob(f"sub-discs_{name}map.nii.gz")
        maps[name] = np.asarray(nib.load(path).dataobj)[..., 0]
    return maps


def table(work: Path, methods: Sequence[str], noise: float) -> list[str]:
    """Median T1 and T2 of the inner voxels of every disc."""
    dataset = work / "bids"
    words = [
        "convert",
        "ismrmrd",
        str(work / "discs.h5"),
        str(dataset),
        "--participant-label",
        "discs",
    ]
    if tools.main([*words, "--pulseq", str(work / "train.seq"), "--overwrite"]) != 0:
        sys.exit(f"{work}: the scan could not be converted")
    x, y = np.meshgrid(*[np.arange(N) - N // 2] * 2, indexing="ij")
    rows = [
        "| method | noise | T1, T2 of the disc [ms] | T1 [ms] | T2 [ms] | error of T1 | error of T2 |",
        "|---" * 7 + "|",
    ]
    for method in methods:
        maps = maps_of(dataset, method, work)
        for centre_x, centre_y, t1, t2 in DISCS:
            inner = np.hypot(x - centre_x, y - centre_y) < 3
            own = [float(np.median(maps[name][inner])) for name in ("T1", "T2")]
            errors = [f"{100 * (a / b - 1):+.1f} %" for a, b in zip(own, (t1, t2), strict=True)]
            rows.append(
                f"| {method} | {noise:g} | {1e3 * t1:.0f}, {1e3 * t2:.0f} | {1e3 * own[0]:.0f} | {1e3 * own[1]:.0f} | "
                + " | ".join(errors)
                + " |"
            )
    return rows


def main() -> None:
    """Simulate, reconstruct, write or show the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--mrzero", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--noise", type=float, default=0.02)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--table", type=Path)
    words = parser.parse_args()
    sys.path.append(str(words.mrzero))
    words.work.mkdir(parents=True, exist_ok=True)
    path = write_train(words.work / "train.seq", words.frames)
    stored = words.work / f"samples-{words.frames}.npy"
    if not stored.exists():
        np.save(stored, played(path))
    write_raw(words.work / "discs.h5", np.load(stored), words.noise)
    rows = table(words.work, words.methods, words.noise)
    sys.stdout.write("\n".join(rows) + "\n")
    (words.work / "mrzero.json").write_text(json.dumps(rows, indent=1))
    if words.table:
        text = words.table.read_text().split("<!-- table -->")[0]
        words.table.write_text(f"{text}<!-- table -->\n\n" + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
