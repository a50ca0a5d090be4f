"""Efficiency of a scan's inversion, from its data."""

import logging
from collections.abc import Callable

import torch

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.arrays import QuantityMap, SubspaceImage
from mri2qmap_bids.recon.golden_section import golden_section
from mri2qmap_bids.recon.physics.dictionary import AtomGrid, Dictionary
from mri2qmap_bids.recon.physics.events import Inversion
from mri2qmap_bids.recon.physics.matching import TissueMaps, match, signal_of
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.recon.physics.sequences.registry import events_of

logger = logging.getLogger(__name__)

EFFICIENCIES = (0.5, 0.625, 0.75, 0.875, 1.0)
"""Efficiencies that are simulated; the first and the last bound the estimate."""
_TOLERANCE = 1e-3
MOST_VOXELS = 4096
"""Voxels that an estimate rests on, at most."""
_MOST_SELECTIONS = 10
# A voxel this close to an end of the dictionary's T1 [relative] may have one beyond it.
_EDGE = 0.01
# A smaller squared residual, relative to the signal's, is that of interpolated atoms.
_EXACT = 1e-8


def check_inverted(sequence: PulseSequence) -> None:
    """Refuse to estimate what a pulse sequence does not have.

    Raises
    ------
    ArgumentError
        If it has no inversion.
    """
    if not any(isinstance(event, Inversion) for event in events_of(sequence)):
        raise ArgumentError(
            f"inversion_efficiency must be given for a pulse sequence without an inversion ({sequence.kind}), "
            "got estimate"
        )


def atoms_at(dictionary: Dictionary, efficiency: float) -> AtomGrid:
    """The atoms of one efficiency, by the polynomial through those of all simulated ones.

    Parameters
    ----------
    dictionary
        Simulated at several efficiencies.
    efficiency
        Beyond their range the polynomial extrapolates.
    """
    nodes = dictionary.efficiencies.double()
    weights = [
        torch.prod((efficiency - others) / (node - others))
        for index, node in enumerate(nodes)
        for others in [torch.cat([nodes[:index], nodes[index + 1 :]])]
    ]
    layers = dictionary.atoms.reshape(len(nodes), -1, dictionary.atoms.shape[1])
    atoms = sum(float(weight) * layer for weight, layer in zip(weights, layers, strict=True))
    return AtomGrid(dictionary.t1, dictionary.t2, torch.as_tensor(atoms), b1=dictionary.b1)


def best_efficiency(
    image: SubspaceImage, dictionary: Dictionary, b1: QuantityMap | None = None
) -> float:
    """The one efficiency for all voxels with the least residual.

    min over e of sum over voxels of log r, r = min over (theta, m0) of |x - m0 Phi^H d(theta, e)|^2, first among
    the simulated efficiencies, then by golden-section search between the neighbours of the best, to 0.001. The
    logarithm is that of the likelihood if every voxel has an error of its own, which is not known: voxels that no
    fingerprint explains (partial volume, flow) count less. Voxels whose T1 is at an end of the dictionary are
    left out, as theirs may lie beyond it, and so is the half of the others with the larger r / |x|^2, which is
    selected anew after each search until the efficiency stays (concentration steps of least trimmed squares).

    Parameters
    ----------
    image
        Subspace image of voxels with signal, shape (rank, voxel).
    dictionary
        Simulated at several efficiencies, same device.
    b1
        Transmit field relative to nominal, shape (voxel,); None: nominal.

    References
    ----------
    Kiefer, Sequential minimax search for a maximum (1953), doi:10.1090/S0002-9939-1953-0055639-3.
    Rousseeuw, Least median of squares regression (1984), doi:10.1080/01621459.1984.10477105.
    """
    step = -(-image.shape[1] // MOST_VOXELS)
    voxels, field = image[:, ::step], None if b1 is None else b1[::step]
    nodes = dictionary.efficiencies.tolist()
    efficiency = _least(_residual_of(voxels, dictionary, field), nodes)
    for _ in range(_MOST_SELECTIONS):
        maps = _matched(voxels, atoms_at(dictionary, efficiency), field)
        selected = explained(maps, dictionary)
        if not selected.any():
            return efficiency
        residual = _residual_of(
            voxels[:, selected], dictionary, None if field is None else field[selected]
        )
        previous, efficiency = efficiency, _least(residual, nodes)
        if abs(efficiency - previous) < _TOLERANCE:
            break
    return efficiency


def within_dictionary(maps: TissueMaps, dictionary: AtomGrid) -> torch.Tensor:
    """Voxels whose T1 is not at an end of the dictionary, boolean, as the maps."""
    low, high = float(dictionary.t1[0]) * (1 + _EDGE), float(dictionary.t1[-1]) * (1 - _EDGE)
    return (maps.t1 > low) & (maps.t1 < high)


def explained(maps: TissueMaps, dictionary: AtomGrid) -> torch.Tensor:
    """The voxels that tell of the efficiency, boolean, as the maps.

    Of those :func:`within_dictionary` the half that fingerprints explain better.
    """
    inside = within_dictionary(maps, dictionary)
    if not inside.any():
        return inside
    return inside & (maps.correlation >= maps.correlation[inside].median())


def _matched(voxels: SubspaceImage, atoms: AtomGrid, b1: QuantityMap | None) -> TissueMaps:
    return match(voxels, atoms, exhaustive=False, b1=b1)


def _residual_of(
    voxels: SubspaceImage, dictionary: Dictionary, b1: QuantityMap | None
) -> Callable[[float], float]:
    exact = _EXACT * voxels.abs().square().sum(0).double()

    def residual(efficiency: float) -> float:
        atoms = atoms_at(dictionary, efficiency)
        maps = _matched(voxels, atoms, b1)
        # From the correlation it would be a difference of nearly equal numbers.
        rest = (voxels - signal_of(maps, atoms)).abs().square().sum(0).double()
        return float((rest + exact).log().sum())

    return residual


def _least(function: Callable[[float], float], nodes: list[float]) -> float:
    """Minimiser between the neighbours of the best node."""
    values = [function(node) for node in nodes]
    best = values.index(min(values))
    low, high = nodes[max(best - 1, 0)], nodes[min(best + 1, len(nodes) - 1)]
    middle = golden_section(function, low, high, _TOLERANCE)
    # The minimum may be at a bound, which golden sections only approach.
    candidates = [middle, *(node for node in nodes if abs(node - middle) < _TOLERANCE)]
    return min(candidates, key=function)
