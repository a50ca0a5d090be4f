"""Predicted cost of a dictionary, from a trial with few tissues."""

import time

import torch

from mri2qmap_bids.recon.physics.dictionary import TissueGrid
from mri2qmap_bids.recon.physics.epg import simulate
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.recon.planning.cost import HOST_BASE
from mri2qmap_bids.recon.planning.plan import Stage

# Tissues of the two trials: what does not depend on their number is distinguished from what does.
_FEW, _SOME = 16, 144
_REAL = 4.0  # bytes
_COPIES = 3  # of the fingerprints while they are compressed


def dictionary_stage(sequence: PulseSequence, grid: TissueGrid, device: torch.device) -> Stage:
    """Memory and time of simulating and compressing a dictionary.

    The time of a few tissues is measured and extended linearly to all of them.

    Parameters
    ----------
    sequence
        The pulse sequence to simulate.
    grid
        Relaxation times, transmit fields and inversion efficiencies.
    device
        Device of the simulation.
    """
    n_atoms = grid.n_fields * len(grid.t1) * len(grid.t2)
    few, some = (_simulation_seconds(sequence, n, device) for n in (_FEW, _SOME))
    each = max(some - few, 0.0) / (_SOME - _FEW)
    seconds = few + each * n_atoms
    return Stage(
        "dictionary", 0.0, HOST_BASE + _COPIES * _REAL * n_atoms * sequence.n_frames, seconds
    )


def _simulation_seconds(sequence: PulseSequence, n_atoms: int, device: torch.device) -> float:
    """Shorter of two times [s]; compilation, if any, is in the first."""
    t1, t2 = torch.linspace(0.5, 2.0, n_atoms), torch.linspace(0.03, 0.3, n_atoms)
    times = []
    for _ in range(2):
        start = time.perf_counter()
        simulate(sequence, t1.to(device), t2.to(device), torch.ones(n_atoms, device=device))
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times)
