"""One engine on one stored problem, alone in its process; prints seconds, memory and where the image is.

python -m benchmarks.speed.engines ENGINE PROBLEM.npz IMAGE.npy ITERATIONS

Needs nothing of the package but for ``mri2qmap``, so that a peer can live in an environment of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cfl import read_cfl, write_cfl

Problem = dict[str, Any]


def mri2qmap(problem: Problem, n_iterations: int) -> np.ndarray:
    """This package: Toeplitz kernels and conjugate gradients."""
    import torch

    from mri2qmap_bids.recon.encoding import toeplitz
    from mri2qmap_bids.recon.encoding.forward import Encoding, adjoint
    from mri2qmap_bids.recon.solvers.conjugate_gradient import conjugate_gradient

    _threads(torch)
    device = torch.device(os.environ.get("BENCHMARK_DEVICE", "cpu"))
    k, y = problem["k"], problem["y"]
    n = np.array(problem["coils"].shape[1:])
    omega = torch.from_numpy((k.reshape(-1, k.shape[-1]) * 2 * np.pi / n).astype(np.float32))
    frame = torch.arange(len(k)).repeat_interleave(k.shape[1] * k.shape[2])
    parts = (omega, frame, torch.from_numpy(problem["basis"]), torch.from_numpy(problem["coils"]))
    omega, frame, basis, coils = (part.to(device) for part in parts)
    encoding = Encoding(omega, frame, basis, coils)
    samples = torch.from_numpy(y.reshape(len(y), -1)).to(device)
    operator = toeplitz.toeplitz_normal(encoding)
    _mark("set-up")
    target = adjoint(encoding, samples)
    _mark("adjoint")
    image = conjugate_gradient(
        lambda x: toeplitz.apply(operator, x), target, n_iterations, tolerance=0.0
    ).image
    return image.cpu().numpy()


def mrpro(problem: Problem, n_iterations: int) -> np.ndarray:
    """mrpro's Toeplitz operator in a subspace and its conjugate gradients."""
    import torch

    _without_torchvision_operators(torch)
    from mrpro.algorithms.optimizers import cg
    from mrpro.data import KTrajectory, SpatialDimension
    from mrpro.operators import NonUniformFastFourierOp, SensitivityOp

    _threads(torch)
    basis = torch.from_numpy(problem["basis"])
    coils = torch.from_numpy(problem["coils"])
    k = torch.from_numpy(problem["k"])
    n_frames, n_arms, n_samples, dim = k.shape
    n = coils.shape[-1]
    columns = [k[..., d].reshape(n_frames, 1, 1, n_arms, n_samples) for d in range(dim)]
    directions: tuple[int, ...]
    if dim == 2:
        columns = [torch.zeros(1, 1, 1, 1, 1), *columns]
        directions, matrix = (-2, -1), SpatialDimension(1, n, n)
    else:
        directions, matrix = (-3, -2, -1), SpatialDimension(n, n, n)
    transform = NonUniformFastFourierOp(
        direction=directions,
        recon_matrix=matrix,
        encoding_matrix=matrix,
        traj=KTrajectory(*columns),
    )
    gram = transform.toeplitz(subspace=basis, subspace_dim=0)
    _mark("set-up")
    space = (matrix.z, matrix.y, matrix.x)
    maps = coils.reshape(len(coils), *space)
    samples = torch.from_numpy(problem["y"]).permute(1, 0, 2, 3)[:, :, None]
    (frames,) = transform.H(samples)
    target = torch.stack(
        [
            (maps.conj() * torch.einsum("t,tc...->c...", course.to(frames.dtype), frames)).sum(0)
            for course in basis.T
        ]
    )[:, None]
    del frames
    _mark("adjoint")
    sensitivity = SensitivityOp(maps[None])
    operator = sensitivity.H @ gram @ sensitivity
    (image,) = cg(operator, target, max_iterations=n_iterations, tolerance=0.0)
    return image.numpy().reshape(basis.shape[1], *coils.shape[1:])


def sigpy(problem: Problem, n_iterations: int) -> np.ndarray:
    """sigpy's transforms composed to a subspace operator, and its conjugate gradients."""
    import sigpy as sp

    k, coils, basis = problem["k"], problem["coils"], problem["basis"]
    shape = coils.shape[1:]
    positions = k.reshape(len(k), -1, k.shape[-1])
    transform = sp.linop.NUFFT(shape, positions, oversamp=1.25, width=4)
    rows = []
    for coil in coils:
        parts = [
            sp.linop.Reshape([1, *transform.oshape], transform.oshape)
            * sp.linop.Multiply(transform.oshape, course[:, None])
            * transform
            * sp.linop.Multiply(shape, coil)
            * sp.linop.Reshape(shape, [1, *shape])
            for course in basis.T
        ]
        rows.append(sp.linop.Hstack(parts, axis=0))
    operator = sp.linop.Vstack(rows, axis=0)
    y = problem["y"].reshape(len(coils), len(k), -1)
    _mark("set-up")
    return sp.app.LinearLeastSquares(operator, y, max_iter=n_iterations, show_pbar=False).run()


def bart(problem: Problem, n_iterations: int) -> np.ndarray:
    """``bart pics -B``."""
    k, coils, basis, y = (problem[name] for name in ("k", "coils", "basis", "y"))
    dim = k.shape[-1]
    trajectory = np.zeros((3, k.shape[2], k.shape[1], 1, 1, len(k)), np.complex64)
    # The image goes in with its axes as they are: its first is BART's first.
    trajectory[:dim, :, :, 0, 0] = k.transpose(3, 2, 1, 0)
    maps = np.moveaxis(coils, 0, -1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_cfl(root / "traj", trajectory)
        write_cfl(root / "ksp", y.transpose(3, 2, 0, 1)[None, :, :, :, None, :])
        write_cfl(root / "phi", basis.reshape(1, 1, 1, 1, 1, *basis.shape))
        write_cfl(root / "sens", maps.reshape(*maps.shape[:dim], *(1,) * (3 - dim), len(coils)))
        words = ["bart", "pics", "-i", str(n_iterations), "-l2", "-r", "1e-6"]
        words += ["-B", str(root / "phi"), "-t", str(root / "traj")]
        words += [str(root / name) for name in ("ksp", "sens", "out")]
        _mark("written")
        process = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _WITH_PEAK, *words],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        _peaks.append(float(process.stdout.splitlines()[-1]))
        return np.moveaxis(np.squeeze(read_cfl(root / "out")), -1, 0)


ENGINES: dict[str, Callable[[Problem, int], np.ndarray]] = {
    "mri2qmap": mri2qmap,
    "mrpro": mrpro,
    "sigpy": sigpy,
    "bart": bart,
}
_marks: list[tuple[str, float]] = []
_peaks: list[float] = []
# A program's peak begins at that of the process that starts it (Linux keeps it over exec), so a
# small one starts it.
_WITH_PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


def _mark(name: str) -> None:
    _marks.append((name, time.perf_counter()))


def _threads(torch: Any) -> None:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))


def _without_torchvision_operators(torch: Any) -> None:
    """mrpro needs torchvision, whose CUDA build cannot be imported beside a CPU torch otherwise."""
    if "_library" in globals():
        return
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    globals()["_library"] = library


def _own_peak() -> float:
    """Largest memory that this process held [byte], without what its parent did before."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * float(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def main() -> None:
    """Solve and say what it took; imports are not counted, BART's start is."""
    engine, problem_file, image_file, n_iterations = sys.argv[1:5]
    with np.load(problem_file) as stored:
        problem = dict(stored)
    work = ENGINES[engine]
    small = _cropped(problem)
    if engine != "bart":
        work(small, 1)  # imports, compilation
    _marks.clear()
    start, before = time.perf_counter(), os.times()
    image = work(problem, int(n_iterations))
    end, after = time.perf_counter(), os.times()
    np.save(image_file, image)
    cpu_seconds = sum(after[:4]) - sum(before[:4])
    peak = _peaks[-1] if engine == "bart" else _own_peak()
    marks = dict(_marks)
    first = marks.get("written", start)
    parts = {name: at - start for name, at in _marks}
    sys.stdout.write(
        json.dumps({"wall": end - first, "cpu": cpu_seconds, "peak_gb": peak / 1e9, "parts": parts})
        + "\n"
    )


def _cropped(problem: Problem) -> Problem:
    """A little of a problem."""
    n = 16
    shape = problem["coils"].shape[1:]
    cut = tuple(slice(0, n) for _ in shape)
    return {
        "k": problem["k"][:4] * (n / shape[0]) * 0.99,
        "y": problem["y"][:, :4],
        "basis": problem["basis"][:4],
        "coils": np.ascontiguousarray(problem["coils"][(slice(None), *cut)]),
    }


if __name__ == "__main__":
    main()
