"""Every method on one problem: ours through the package's own code path, and BART."""

import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.accuracy.cases import Problem
from benchmarks.cfl import read_cfl, write_cfl
from mri2qmap_bids.recon.denoisers.registry import load_denoiser
from mri2qmap_bids.recon.device import find_device
from mri2qmap_bids.recon.grid import tissue_grid
from mri2qmap_bids.recon.methods.base import Matcher, Solution
from mri2qmap_bids.recon.methods.registry import method_named, weights_file
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import Dictionary, build_dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, match
from mri2qmap_bids.recon.problem import InverseProblem, inverse_problem, whitening_of
from mri2qmap_bids.recon.quality import uncertainty
from mri2qmap_bids.recon.shared_data import SharedData

BART_ITERATIONS = 60


@dataclass(frozen=True, eq=False)
class Estimate:
    """What a method made of a problem, axes (z, y, x)."""

    t1: NDArray[np.float32]
    """[s]"""
    t2: NDArray[np.float32]
    """[s]"""
    m0: NDArray[np.float32]
    """Magnitude."""
    seconds: float
    """Wall-clock time from the set-up inverse problem to the maps."""
    t1_std: NDArray[np.float32] | None = None
    """[s]"""
    t2_std: NDArray[np.float32] | None = None
    """[s]"""


@dataclass(frozen=True, eq=False)
class Bench:
    """A problem with all that methods share: dictionary, sensitivities, encoding."""

    problem: Problem
    """The simulated scan."""
    options: ReconOptions = ReconOptions(device="auto")
    """What is common to the methods."""

    @cached_property
    def dictionary(self) -> Dictionary:
        """Fingerprints of the train."""
        device = find_device(self.options.device)
        grid = tissue_grid(self.options)
        sequence, options = self.problem.sequence, self.options
        return build_dictionary(sequence, grid, options.rank, options.energy, device).to(device)

    @cached_property
    def inverse(self) -> InverseProblem:
        """y = A x, its sensitivities estimated from the data."""
        scan = self.problem.scan
        shared = SharedData(scan, scan.geometry, self.dictionary, self.options, whitening_of(scan))
        return inverse_problem(shared, 0)

    def run(self, method: str, **changes: object) -> Estimate:
        """One of the package's methods.

        Parameters
        ----------
        method
            As of ``--recon-method``.
        changes
            Further fields of :class:`ReconOptions`.
        """
        options = replace(self.options, method=method, **changes)  # type: ignore[arg-type]
        weights = weights_file(options)
        denoiser = load_denoiser(weights, self.dictionary.atoms.device) if weights else None
        shape = self.problem.labels.shape[-len(self.inverse.encoding.shape) :]
        if method != "gridding":
            self.inverse.prepared()  # once, and not on anybody's clock
        start = time.perf_counter()
        matcher = Matcher(self.dictionary, shape)
        solved = method_named(method).solve(self.inverse, matcher, denoiser, options, None)
        seconds = time.perf_counter() - start
        return self.estimate(solved.maps, seconds, solved)

    def bart(self, regulariser: str) -> Estimate:
        """BART's ``pics`` in the same subspace, with the same sensitivities.

        Parameters
        ----------
        regulariser
            Its ``-R`` argument, or empty for conjugate gradients.
        """
        encoding, basis = self.inverse.encoding, self.dictionary.basis
        start = time.perf_counter()
        image = _bart(encoding.omega, encoding.frame, basis, encoding.coils, self.inverse.kspace,
                      regulariser)  # fmt: skip
        maps = match(image, self.dictionary)
        return self.estimate(maps, time.perf_counter() - start)

    def estimate(
        self,
        maps: TissueMaps,
        seconds: float,
        solved: Solution | None = None,
    ) -> Estimate:
        """Maps with the slice axis that the truth has, and their deviations where they are known."""

        def volume(values: torch.Tensor) -> NDArray[np.float32]:
            return values.reshape(self.problem.labels.shape).cpu().numpy()

        deviations = None if solved is None else uncertainty(solved, self.dictionary)
        return Estimate(
            t1=volume(maps.t1),
            t2=volume(maps.t2),
            m0=volume(maps.m0.abs()),
            seconds=seconds,
            t1_std=None if deviations is None else volume(deviations[0]),
            t2_std=None if deviations is None else volume(deviations[1]),
        )


def _bart(
    omega: torch.Tensor,
    frame: torch.Tensor,
    basis: torch.Tensor,
    coils: torch.Tensor,
    kspace: torch.Tensor,
    regulariser: str,
) -> torch.Tensor:
    """Subspace image by ``bart pics -B``, shape (rank, y, x); one arm a frame."""
    n_frames, rank = basis.shape
    n_y, n_x = coils.shape[1:]
    counts = torch.bincount(frame, minlength=n_frames)
    n_samples = int(counts.min())
    positions = omega.cpu().numpy() / (2 * np.pi) * np.array([n_y, n_x])
    trajectory = np.zeros((3, n_samples, 1, 1, 1, n_frames), np.complex64)
    data = np.zeros((1, n_samples, 1, len(coils), 1, n_frames), np.complex64)
    samples = kspace.cpu().numpy()
    for number in range(n_frames):
        numbers = np.flatnonzero(frame.cpu().numpy() == number)[:n_samples]
        trajectory[0, :, 0, 0, 0, number] = positions[numbers, 1]
        trajectory[1, :, 0, 0, 0, number] = positions[numbers, 0]
        data[0, :, 0, :, 0, number] = samples[:, numbers].T
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_cfl(root / "traj", trajectory)
        write_cfl(root / "ksp", data)
        write_cfl(root / "phi", basis.cpu().numpy().reshape(1, 1, 1, 1, 1, n_frames, rank))
        # x is BART's first axis.
        write_cfl(root / "sens", coils.cpu().numpy().transpose(2, 1, 0)[:, :, None, :])
        how = ["-R", regulariser] if regulariser else ["-l2", "-r", "1e-4"]
        block = ["-b", "8"] if regulariser.startswith("L") else []
        names = [str(root / name) for name in ("ksp", "sens", "out")]
        command = ["bart", "pics", "-i", str(BART_ITERATIONS), "-e", *block, *how]
        command += ["-B", str(root / "phi"), "-t", str(root / "traj"), *names]
        subprocess.run(command, capture_output=True, check=True)
        image = np.squeeze(read_cfl(root / "out"))
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 1, 0)))
