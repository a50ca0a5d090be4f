"""Diagnostics and runs with figures of one's choice, made of the package's own classes."""

import numpy as np

from helpers.trains import train
from mri2qmap_bids.dataset.figures import Conditions
from mri2qmap_bids.recon.diagnostics.model import (
    CoilNoise,
    Convergence,
    Diagnostics,
    Figures,
    Fingerprints,
    PartDiagnostics,
    Plane,
    Residual,
    Sampling,
    SliceQuality,
)
from mri2qmap_bids.recon.planning.plan import Plan
from mri2qmap_bids.report.run import Run

SHAPE = (2, 10, 10)
RANK, N_FRAMES = 3, 20


def full(value, shape=SHAPE):
    return np.full(shape, value, np.float32)


def some_fingerprints(n=6, z=1):
    """Voxels of one plane; the model is the data."""
    rng = np.random.default_rng(0)
    voxels = np.stack([np.full(n, z), 2 + np.arange(n), 3 + np.arange(n) % 4], 1)
    data = rng.standard_normal((n, RANK)) + 1j * rng.standard_normal((n, RANK))
    data = data.astype(np.complex64)
    t1, t2 = np.linspace(0.5, 2, n), np.linspace(0.05, 0.2, n)
    return Fingerprints(
        voxels.astype(np.int32), t1.astype(np.float32), t2.astype(np.float32), data, data.copy()
    )


def some_sampling(coverage=1.0):
    """Two readouts of five samples."""
    density = np.zeros((10, 10), np.float32)
    density[5, :] = 3
    readouts = np.stack([np.linspace(-1, 1, 10), np.zeros(10)], 1).astype(np.float32)
    frames = np.repeat([0, 1], 5).astype(np.int32)
    return Sampling((density,), coverage, readouts, frames, 30)


def some_diagnostics(
    noise=1.0, coverage=1.0, energy_left=1e-4, misfit=0.01, white=True, steps=None
):
    """Of a 2D run; ``energy_left`` None: no linear problem."""
    basis = np.linalg.qr(np.random.default_rng(1).standard_normal((N_FRAMES, RANK)))[0]
    plane = Plane(
        axis=0,
        index=1,
        misfit=np.full(SHAPE[1:], misfit, np.float16),
        residual=np.full(SHAPE[1:], 1.0, np.float16),
        coils=np.ones((2, *SHAPE[1:]), np.float16),
        start_t1=None,
        start_t2=None,
    )
    # Of all components together, then of each: only the first row counts.
    shells = np.array([[1e-5, energy_left or 0.0], [0.9, 0.9]], np.float32)
    part = PartDiagnostics(
        planes=(plane,),
        fingerprints=some_fingerprints(),
        residual=Residual(noise, full(noise, N_FRAMES), full(noise, 4)),
        sampling=some_sampling(coverage),
        convergence=None if energy_left is None else Convergence(shells, True),
    )
    figures = Figures(50.0, 12.0, 30.0, 0.02, 0.001, misfit)
    deviation = np.ones(2, np.float32)
    return Diagnostics(
        sequence=train(n_frames=N_FRAMES),
        basis=basis.astype(np.float32),
        energy=0.9999,
        t1_range=(0.1, 5.0),
        t2_range=(0.01, 2.0),
        n_atoms=100,
        part=part,
        slices=(SliceQuality(1.0, noise, energy_left, figures),),
        coil_noise=CoilNoise(np.eye(2, dtype=np.float16), deviation) if white else None,
        steps=steps or {},
        seconds={"solve": 1.0},
        plan=Plan(),
        device="cpu",
        is_3d=False,
    )


def some_run(warnings=(), method="lrtv", diagnostics=None, **maps):
    """A run in which all is well but for what is changed."""
    fields = {
        "t1": full(1.0),
        "t2": full(0.08),
        "m0": full(1.0),
        "t1_std": full(0.01),
        "t2_std": full(0.001),
        "mask": np.ones(SHAPE, bool),
    }
    return Run(
        entities={"sub": "01"},
        affine=np.eye(4),
        synthetic={},
        sidecar={},
        diagnostics=diagnostics or some_diagnostics(),
        conditions=Conditions("", tuple(warnings), {"method": method}, {}, 1.0, {}),
        **(fields | maps),
    )
