"""The dictionary: a grid of tissues, their fingerprints and the temporal subspace; cached on disk."""

import hashlib
import logging
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from mri2qmap_bids.atomic import write_atomically
from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.lock import locked
from mri2qmap_bids.recon.arrays import Basis, CompressedFingerprints
from mri2qmap_bids.recon.physics.epg import N_STATES, simulate
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.recon.physics.subspace import temporal_basis

logger = logging.getLogger(__name__)

# To be increased whenever the same sequence and grid give other fingerprints.
_PHYSICS_VERSION = 3
# Values along an axis of the grid: as many as a parabola needs.
_FEWEST = 3
# Difference between steps of evenly spaced values.
_UNEVEN = 1e-5
B1_STEP = 0.05
"""Step between the transmit fields of a dictionary; atoms are interpolated between them."""


@dataclass(frozen=True)
class TissueGrid:
    """Logarithmically spaced relaxation times; every T1 is paired with every T2."""

    t1_range: tuple[float, float] = (0.1, 5.0)
    """Shortest and longest T1 [s]."""
    t2_range: tuple[float, float] = (0.01, 2.0)
    """Shortest and longest T2 [s]."""
    step: float = 0.05
    """Largest relative step from one value to the next."""
    b1: tuple[float, ...] = (1.0,)
    """Transmit fields relative to nominal, evenly spaced: one, or at least three."""
    efficiencies: tuple[float, ...] = ()
    """Inversion efficiencies to simulate; empty: that of the pulse sequence."""

    def __post_init__(self) -> None:
        for name in ("b1", "efficiencies"):
            values = np.array(getattr(self, name))
            steps = np.diff(values)
            if len(values) == 2 or (np.abs(steps - steps[:1]) > _UNEVEN).any():
                raise ArgumentError(
                    f"{name} must be evenly spaced, one value or at least {_FEWEST}, got {values.tolist()}"
                )

    @property
    def n_fields(self) -> int:
        """Transmit fields times efficiencies."""
        return len(self.b1) * max(1, len(self.efficiencies))

    @property
    def t1(self) -> torch.Tensor:
        """T1 values [s], shape (n_t1,)."""
        return _log_spaced(self.t1_range, self.step)

    @property
    def t2(self) -> torch.Tensor:
        """T2 values [s], shape (n_t2,)."""
        return _log_spaced(self.t2_range, self.step)


@dataclass(frozen=True, eq=False)
class AtomGrid:
    """Atoms on the whole T1 x T2 grid, for matching.

    Atoms are ordered with T2 fastest and B1 slowest. The grid is a full rectangle, so that every
    atom has neighbours for interpolation; ``physical`` marks those with T1 >= T2.
    """

    t1: torch.Tensor
    """Grid values [s], shape (n_t1,)."""
    t2: torch.Tensor
    """Grid values [s], shape (n_t2,)."""
    atoms: CompressedFingerprints
    """Phi^H d (and possibly further components) for every grid point, shape (n_b1 * n_t1 * n_t2, rank)."""
    b1: torch.Tensor = field(default_factory=lambda: torch.ones(1), kw_only=True)
    """Transmit fields relative to nominal, shape (n_b1,)."""

    @property
    def physical(self) -> torch.Tensor:
        """Atoms of one B1 with T1 >= T2, boolean, shape (n_t1 * n_t2,)."""
        return (self.t1[:, None] >= self.t2[None, :]).reshape(-1)


@dataclass(frozen=True, eq=False)
class Dictionary(AtomGrid):
    """Compressed fingerprints and their temporal subspace."""

    basis: Basis
    """Phi, orthonormal columns, shape (frame, rank)."""
    energy: float
    """Fraction of the fingerprints' energy inside the subspace, 0..1."""
    efficiencies: torch.Tensor = field(default_factory=lambda: torch.zeros(0), kw_only=True)
    """Inversion efficiencies, slowest of all in the order of atoms, shape (n_efficiency,); empty: that of the
    pulse sequence, and the atoms are for matching as they are."""

    def to(self, device: torch.device) -> "Dictionary":
        """A copy on another device."""
        return Dictionary(
            t1=self.t1.to(device),
            t2=self.t2.to(device),
            atoms=self.atoms.to(device),
            basis=self.basis.to(device),
            energy=self.energy,
            b1=self.b1.to(device),
            efficiencies=self.efficiencies.to(device),
        )


def transmit_fields(b1: NDArray[np.floating]) -> tuple[float, ...]:
    """Evenly spaced values that cover a B1 map, equal for all maps of about the same range.

    The lowest and highest half per cent of its voxels are ignored.

    Parameters
    ----------
    b1
        Transmit field relative to nominal, any shape.

    >>> transmit_fields(np.linspace(0.83, 1.09, 1000))
    (0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1)
    """
    low, high = np.quantile(b1, [0.005, 0.995]) / B1_STEP
    first, last = int(np.floor(low + 1e-6)), int(np.ceil(high - 1e-6))
    last = max(last, first + 2)
    return tuple(round(B1_STEP * value, 6) for value in range(first, last + 1))


def build_dictionary(
    sequence: PulseSequence,
    grid: TissueGrid,
    rank: int | None = None,
    energy: float = 0.9999,
    device: torch.device | None = None,
) -> Dictionary:
    """Simulate every tissue of the grid and compress the fingerprints.

    Parameters
    ----------
    sequence
        The pulse sequence to simulate.
    grid
        Relaxation times.
    rank
        Dimension r of the subspace; None takes the smallest r that contains ``energy``.
    energy
        Fraction of the fingerprints' energy to keep, 0..1.
    device
        Device of the simulation; None is the CPU.
    """
    t1, t2 = grid.t1, grid.t2
    b1 = torch.tensor(grid.b1)
    tissues = torch.cartesian_prod(
        torch.tensor(grid.efficiencies or (sequence.inversion_efficiency,)), b1, t1, t2
    ).to(device or torch.device("cpu"))
    efficiency, field, long, short = (column.contiguous() for column in tissues.T)
    fingerprints = simulate(
        sequence, long, short, field, efficiency=efficiency if grid.efficiencies else None
    )
    physical = long >= short
    basis, energy_share = temporal_basis(fingerprints[physical], rank=rank, energy=energy)
    return Dictionary(
        t1=t1,
        t2=t2,
        atoms=(fingerprints.to(basis.dtype) @ basis.conj()).cpu(),
        basis=basis.cpu(),
        energy=energy_share,
        b1=b1,
        efficiencies=torch.tensor(grid.efficiencies),
    )


def cached_dictionary(
    sequence: PulseSequence,
    grid: TissueGrid,
    rank: int | None,
    energy: float,
    cache_dir: Path,
    device: torch.device | None = None,
) -> Path:
    """Path of the dictionary's file, which is built if it does not exist.

    The file name contains a hash of everything the dictionary depends on. The file is written
    atomically, so that processes can share the directory. If several need the same dictionary,
    one builds it and the others wait.
    """
    path = dictionary_path(sequence, grid, rank, energy, cache_dir)
    with locked(path):
        if path.exists():
            logger.info("Dictionary found in the cache: %s", path.name)
            return path
        dictionary = build_dictionary(sequence, grid, rank, energy, device)
        logger.info(
            "Dictionary: %d atoms, %d frames, rank %d with %.4f %% of the energy",
            len(dictionary.atoms),
            sequence.n_frames,
            dictionary.basis.shape[1],
            100 * dictionary.energy,
        )
        save_dictionary(dictionary, path)
    return path


def dictionary_path(
    sequence: PulseSequence, grid: TissueGrid, rank: int | None, energy: float, cache_dir: Path
) -> Path:
    """Path used by :func:`cached_dictionary`, whether the file exists or not."""
    return cache_dir / f"dictionary-{fingerprint_of(sequence, grid, rank, energy)}.safetensors"


def save_dictionary(dictionary: Dictionary, path: Path) -> None:
    """Write a dictionary as safetensors."""
    tensors = {
        "t1": dictionary.t1,
        "t2": dictionary.t2,
        "b1": dictionary.b1,
        "atoms": dictionary.atoms.contiguous(),
        "basis": dictionary.basis.contiguous(),
        "energy": torch.tensor([dictionary.energy], dtype=torch.float64),
        "efficiencies": dictionary.efficiencies,
    }
    write_atomically(path, lambda temporary: save_file(tensors, temporary))


def load_dictionary(path: Path) -> Dictionary:
    """Read a dictionary written by :func:`save_dictionary`."""
    tensors = load_file(path)
    energy = float(tensors.pop("energy"))
    return Dictionary(**tensors, energy=energy)


def fingerprint_of(
    sequence: PulseSequence, grid: TissueGrid, rank: int | None, energy: float
) -> str:
    """Hash of everything a dictionary depends on."""
    digest = hashlib.sha256()
    # Not asdict(), which would drop the types of events.
    parts = [getattr(sequence, member.name) for member in fields(sequence)]
    for value in (*parts, *asdict(grid).values(), rank, energy, N_STATES):
        content = value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
        digest.update(content + b"|")
    digest.update(f"{_PHYSICS_VERSION} torchsim {version('torchsim')}".encode())
    return digest.hexdigest()[:16]


def _log_spaced(limits: tuple[float, float], step: float) -> torch.Tensor:
    n_values = max(int(np.ceil(np.log(limits[1] / limits[0]) / np.log1p(step))) + 1, _FEWEST)
    return torch.from_numpy(np.geomspace(*limits, n_values).astype(np.float32))
