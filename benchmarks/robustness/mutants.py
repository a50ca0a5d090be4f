"""Whether the tests see faults that are put into the code by hand.

python -m benchmarks.robustness.mutants [--only WORD ...] [--table mutants.md]

Each mutant is one wrong sign, conjugate, factor, index or axis in a temporary copy of the package; the test files
that should see it are run there, on one thread, up to the first failure. "killed": a test failed. "survived": none
did. "tests fail": they fail without any mutant. The exit code is 1 unless every mutant is killed. Where the code has
changed and mutants must be adapted, none is tried: the program names them and ends.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "mri2qmap_bids"
LIBRARIES: tuple[str, ...] = (
    "torch",
    "torchsim.model",
    "torchsim.sequence",
    "finufft",
    "h5py",
    "ismrmrd",
    "safetensors.torch",
)
LIBRARIES += ("scipy.ndimage", "scipy.interpolate", "skimage.filters")
TIME_LIMIT = 600  # s; a mutant that never ends is seen, too
PHYSICS, ENCODING = "recon/physics", "recon/encoding"
SOLVERS, ACQUISITION = "recon/solvers", "recon/acquisition"
PRIORS, METHODS, DIAGNOSTICS = "recon/priors", "recon/methods", "recon/diagnostics"


@dataclass(frozen=True)
class Mutant:
    """One fault."""

    room: str
    """Folder of the package."""
    module: str
    """File in that folder, without extension."""
    old: str
    """Text that occurs there once."""
    new: str
    """What replaces it."""
    tests: str
    """Test files, as words of pytest's command line; bare names are below ``tests/`` of the same folder."""

    @property
    def file(self) -> str:
        """Path below the package."""
        return f"{self.room}/{self.module}.py"

    @property
    def test_words(self) -> tuple[str, ...]:
        """Words of pytest's command line."""
        return tuple(
            f"tests/{self.room}/{word}.py" if word.isidentifier() and "test_" in word else word
            for word in self.tests.split()
        )


MUTANTS = (
    # Extended phase graphs.
    Mutant(
        PHYSICS,
        "epg",
        "torchsim.Inversion(), torchsim.Spoil()]",
        "torchsim.Inversion()]",
        "test_epg",
    ),
    Mutant(PHYSICS, "epg", "torchsim.Readout(phase)]", "torchsim.Readout(0.0)]", "test_epg"),
    Mutant(
        PHYSICS, "epg", "factor * flip_angle, phase)", "factor * flip_angle, -phase)", "test_epg"
    ),
    Mutant(
        PHYSICS,
        "epg",
        "[torchsim.Dephase()] * int(cycles)",
        "[torchsim.Dephase()] * 2 * int(cycles)",
        "test_epg",
    ),
    Mutant(PHYSICS, "epg", "t2, b1 * factor, n", "t2, factor, n", "test_epg"),
    Mutant(
        PHYSICS,
        "epg",
        "torch.as_tensor(signal) / len(factors)",
        "torch.as_tensor(signal)",
        "test_epg",
    ),
    Mutant(
        PHYSICS,
        "epg",
        "Delay(sequence.preparation_time - sequence.duration)",
        "Delay(sequence.preparation_time)",
        "test_epg",
    ),
    Mutant(
        PHYSICS,
        "pulse_sequence",
        " + (self.inversion_time or 0.0)",
        "",
        "test_pulse_sequence test_epg",
    ),
    # Dictionary and subspace.
    Mutant(
        PHYSICS,
        "dictionary",
        "physical = long >= short",
        "physical = long <= short",
        "test_dictionary",
    ),
    Mutant(PHYSICS, "dictionary", "np.log1p(step))) + 1", "np.log1p(step)))", "test_dictionary"),
    Mutant(PHYSICS, "dictionary", "@ basis.conj()).cpu()", "@ basis).cpu()", "test_matching"),
    Mutant(
        PHYSICS,
        "dictionary",
        "int(np.ceil(high - 1e-6))",
        "int(np.floor(high))",
        f"{PACKAGE}/recon/physics/dictionary.py",
    ),
    Mutant(
        PHYSICS,
        "dictionary",
        "self.t1[:, None] >= self.t2",
        "self.t1[:, None] > self.t2",
        "test_dictionary",
    ),
    Mutant(
        PHYSICS,
        "subspace",
        "part.to(double).mT @ part.to(double).conj()",
        "part.to(double).mH @ part.to(double)",
        "test_subspace",
    ),
    Mutant(
        PHYSICS,
        "subspace",
        "(energy_share < energy).sum()) + 1",
        "(energy_share < energy).sum())",
        "test_subspace",
    ),
    Mutant(PHYSICS, "subspace", "vectors.flip(1)[", "vectors[", "test_subspace"),
    Mutant(
        PHYSICS, "subspace", "energy_share[rank - 1]", "energy_share[rank - 2]", "test_subspace"
    ),
    # Uncertainty.
    Mutant(PHYSICS, "uncertainty", "1j * columns[..., 2:]", "columns[..., 2:]", "test_uncertainty"),
    Mutant(
        PHYSICS,
        "uncertainty",
        "factors.square().sum(-1)",
        "factors.square().sum(-2)",
        "test_uncertainty",
    ),
    Mutant(
        PHYSICS,
        "uncertainty",
        ".sqrt() / maps.m0.abs()",
        ".sqrt() * maps.m0.abs()",
        "test_uncertainty",
    ),
    Mutant(
        PHYSICS,
        "uncertainty",
        "torch.linalg.inv(information + ridge)[:, :3, :3]",
        "torch.linalg.inv((information + ridge)[:, :3, :3])",
        "test_uncertainty",
    ),
    # Contrasts and mask.
    Mutant(
        PHYSICS,
        "contrasts",
        "1 - 2 * inverted + recovery",
        "1 - 2 * inverted - recovery",
        "test_contrasts",
    ),
    Mutant(
        PHYSICS,
        "contrasts",
        "(1 - recovery * torch.cos(flip))",
        "(1 + recovery * torch.cos(flip))",
        "test_contrasts",
    ),
    Mutant(
        PHYSICS,
        "contrasts",
        "return -contrast.repetition_time",
        "return contrast.repetition_time",
        "test_contrasts",
    ),
    Mutant(
        PHYSICS, "contrasts", "along_t2 / (2 * _LOG_STEP)", "along_t2 / _LOG_STEP", "test_contrasts"
    ),
    Mutant(
        PHYSICS,
        "contrasts",
        "torch.quantile(bright, 0.98)",
        "torch.quantile(bright, 0.5)",
        "test_contrasts",
    ),
    Mutant(
        PHYSICS,
        "masking",
        "binary_dilation(large, ball) & strong",
        "binary_dilation(large, ball)",
        "test_masking",
    ),
    Mutant(PHYSICS, "masking", "0.7 * threshold_otsu", "1.7 * threshold_otsu", "test_masking"),
    # Matching.
    Mutant(
        PHYSICS, "matching", "(voxels @ normalised.mH)", "(voxels @ normalised.mT)", "test_matching"
    ),
    Mutant(
        PHYSICS,
        "matching",
        "product = (atoms.conj() * voxels)",
        "product = (atoms * voxels)",
        "test_matching",
    ),
    Mutant(
        PHYSICS,
        "matching",
        "return product / power,",
        "return product / power.sqrt(),",
        "test_matching",
    ),
    Mutant(
        PHYSICS,
        "matching",
        "[position * (position - 1) / 2,",
        "[position * (position + 1) / 2,",
        "test_matching",
    ),
    Mutant(
        PHYSICS,
        "matching",
        "-2 * position, position + 0.5",
        "2 * position, position + 0.5",
        "test_matching",
    ),
    Mutant(PHYSICS, "matching", "(vv * ru - uv * rv)", "(vv * ru + uv * rv)", "test_matching"),
    Mutant(PHYSICS, "matching", "(uu * rv - uv * ru)", "(uu * rv + uv * ru)", "test_matching"),
    Mutant(
        PHYSICS,
        "matching",
        "residual = voxels - m0 * atom",
        "residual = voxels + m0 * atom",
        "test_matching",
    ),
    Mutant(PHYSICS, "matching", ".clamp_max(len(t2) - 1)", ".clamp_max(len(t2))", "test_matching"),
    Mutant(PHYSICS, "matching", ", -1) * dictionary.physical", ", -1)", "test_matching"),
    Mutant(
        PHYSICS,
        "matching",
        "maps.t1.shape) * maps.m0",
        "maps.t1.shape) * maps.m0.conj()",
        "test_matching",
    ),
    Mutant(
        PHYSICS,
        "matching",
        "torch.arange(-_STRIDE - _STRIDE // 2,",
        "torch.arange(0,",
        "test_matching",
    ),
    Mutant(
        PHYSICS,
        "matching",
        "atoms.conj(), voxels).abs()",
        "atoms, voxels).abs()",
        "test_matching",
    ),
    Mutant(
        PHYSICS, "matching", "_slopes(v)) / step_t2", "_slopes(v)) / step_t1", "test_uncertainty"
    ),
    Mutant(
        PHYSICS,
        "matching",
        "along_v = along_v - atom * (atom.conj() * along_v)",
        "along_v = along_v - atom * (atom * along_v)",
        "test_matching",
    ),
    Mutant(
        PHYSICS, "matching", "b1.flatten() - fields[0]", "b1.flatten() + fields[0]", "test_matching"
    ),
    # Encoding.
    Mutant(
        ENCODING, "forward", "coil.conj() * nufft.adjoint", "coil * nufft.adjoint", "test_forward"
    ),
    Mutant(
        ENCODING,
        "forward",
        "nufft.adjoint(courses.conj() *",
        "nufft.adjoint(courses *",
        "test_forward",
    ),
    Mutant(
        ENCODING,
        "forward",
        "samples = samples * weights",
        "samples = samples * weights.sqrt()",
        "test_forward",
    ),
    Mutant(
        ENCODING,
        "nufft",
        "self._execute(1, 1, samples,",
        "self._execute(1, -1, samples,",
        "test_nufft",
    ),
    Mutant(
        ENCODING, "nufft", "np.remainder(omega + np.pi, 2", "np.remainder(omega, 2", "test_nufft"
    ),
    Mutant(
        ENCODING,
        "density",
        "return weights / weights.sum()",
        "return weights",
        "test_density test_forward",
    ),
    Mutant(
        ENCODING,
        "density",
        "weights / spreading.forward",
        "weights * spreading.forward",
        "test_density test_forward",
    ),
    Mutant(
        ENCODING,
        "toeplitz",
        "basis[:, i].conj() *",
        "basis[:, i] *",
        "test_forward",
    ),
    Mutant(ENCODING, "toeplitz", "div_(2 ** len(grid))", "div_(2)", "test_forward"),
    Mutant(
        ENCODING,
        "toeplitz",
        "sign = (-1) ** sum(p * b for p, b in zip(parity, block, strict=True))",
        "sign = 1",
        "test_forward",
    ),
    Mutant(ENCODING, "toeplitz", "n // 2 - n * b", "n // 2 + n * b", "test_forward"),
    Mutant(
        ENCODING, "circulant", "values.conj() / n_voxels", "values / n_voxels", "test_circulant"
    ),
    Mutant(
        ENCODING,
        "circulant",
        "circulant.diagonal).clamp_min(0)",
        "circulant.diagonal).abs()",
        "test_circulant",
    ),
    Mutant(
        ENCODING,
        "circulant",
        "dim=axes).mul_(response)",
        "dim=axes).mul_(response.conj())",
        "test_circulant",
    ),
    Mutant(
        ENCODING,
        "frequency_matrices",
        "addcmul_(element.conj(), ",
        "addcmul_(element, ",
        "test_frequency_matrices",
    ),
    Mutant(
        ENCODING,
        "frequency_matrices",
        "matrices[:, columns, rows] = upper.T.conj()",
        "matrices[:, columns, rows] = upper.T",
        "test_frequency_matrices",
    ),
    Mutant(
        ENCODING,
        "convolution",
        "phase = -math.pi * p",
        "phase = math.pi * p",
        "test_convolution",
    ),
    Mutant(
        ENCODING,
        "convolution",
        "modulation[:, None].conj()).sum(0)",
        "modulation[:, None]).sum(0)",
        "test_convolution",
    ),
    Mutant(
        ENCODING,
        "preconditioner",
        "return result.div_(2)",
        "return result",
        "test_preconditioner",
    ),
    Mutant(
        ENCODING,
        "coils",
        "eigenvectors.flip(1)[:, :n_virtual]",
        "eigenvectors[:, :n_virtual]",
        "test_coils",
    ),
    Mutant(
        ENCODING,
        "coils",
        "whitening @ covariance @ whitening.mH",
        "whitening @ covariance @ whitening",
        "test_coils",
    ),
    Mutant(ENCODING, "coils", "else rotation @ whitening)", "else rotation)", "test_coils"),
    Mutant(
        ENCODING,
        "coils",
        "torch.ones_like(turn), -turn",
        "torch.ones_like(turn), turn",
        "test_coils",
    ),
    Mutant(
        ENCODING,
        "coils",
        "samples[inside] * weight)",
        "samples[inside] * weight.conj())",
        "test_coils",
    ),
    Mutant(
        ENCODING, "coils", "np.exp(2j * np.pi * voxel", "np.exp(-2j * np.pi * voxel", "test_coils"
    ),
    Mutant(
        ENCODING, "variance", "clamp_min(1) * len(encoding.coils)", "clamp_min(1)", "test_variance"
    ),
    Mutant(ENCODING, "variance", "torch.exp(-(logs[low]", "torch.exp((logs[low]", "test_variance"),
    Mutant(
        ENCODING, "resolution", "widths.append(2 * float", "widths.append(float", "test_resolution"
    ),
    # Solvers.
    Mutant(
        SOLVERS,
        "conjugate_gradient",
        "direction.mul_(energy / previous)",
        "direction.mul_(-energy / previous)",
        "test_conjugate_gradient",
    ),
    Mutant(
        SOLVERS,
        "conjugate_gradient",
        "residual.sub_(applied, alpha=step)",
        "residual.add_(applied, alpha=step)",
        "test_conjugate_gradient",
    ),
    Mutant(
        SOLVERS,
        "conjugate_gradient",
        "else target - normal(start)",
        "else target.clone()",
        "test_conjugate_gradient",
    ),
    Mutant(
        SOLVERS,
        "conjugate_gradient",
        "<= tolerance * whole",
        "<= tolerance",
        "test_conjugate_gradient",
    ),
    Mutant(
        SOLVERS,
        "conjugate_gradient",
        "image.add_(direction, alpha=step)",
        "image.add_(direction)",
        "test_conjugate_gradient",
    ),
    Mutant(
        SOLVERS,
        "alternating_directions",
        "apart += split - summed[:, part]",
        "apart += 0",
        "test_alternating_directions",
    ),
    Mutant(
        SOLVERS,
        "alternating_directions",
        "_RELAXATION * (analysed - proximal(part))",
        "_RELAXATION * analysed - proximal(part)",
        "test_alternating_directions",
    ),
    Mutant(
        SOLVERS,
        "alternating_directions",
        "threshold = term.weight / penalty",
        "threshold = term.weight",
        "test_alternating_directions",
    ),
    Mutant(
        SOLVERS,
        "alternating_directions",
        "product.add_(applied, alpha=step)",
        "product.add_(applied)",
        "test_alternating_directions",
    ),
    Mutant(
        SOLVERS,
        "alternating_directions",
        "<= tolerance**2 * whole_square",
        "<= tolerance * whole_square",
        "test_alternating_directions",
    ),
    Mutant(
        SOLVERS,
        "half_quadratic_splitting",
        "(sample_deviation / (schedule.remaining * level)) ** 2",
        "(sample_deviation / (schedule.remaining * level))",
        "test_half_quadratic_splitting",
    ),
    Mutant(
        SOLVERS,
        "half_quadratic_splitting",
        "target + mu * denoised",
        "target + denoised",
        "test_half_quadratic_splitting",
    ),
    Mutant(
        SOLVERS,
        "half_quadratic_splitting",
        "deviation = schedule.decay * deviation",
        "deviation = deviation",
        "test_half_quadratic_splitting",
    ),
    Mutant(
        SOLVERS,
        "half_quadratic_splitting",
        "(2 * image[0].numel())",
        "(image[0].numel())",
        "test_half_quadratic_splitting",
    ),
    # Reading of raw data.
    Mutant(
        ACQUISITION,
        "geometry",
        "np.array(geometry.matrix[::-1]) // 2",
        "np.array(geometry.matrix[::-1]) / 2",
        "test_geometry",
    ),
    Mutant(
        ACQUISITION, "geometry", "np.diag([-1.0, -1.0, 1.0, 1.0])", "np.eye(4)", "test_geometry"
    ),
    Mutant(
        ACQUISITION, "geometry", "geometry.voxel_size[::-1]", "geometry.voxel_size", "test_geometry"
    ),
    Mutant(ACQUISITION, "noise", "double @ double.mH", "double @ double.mT", "test_noise"),
    Mutant(
        ACQUISITION, "noise", "double.mH / n_samples", "double.mH / (2 * n_samples)", "test_noise"
    ),
    Mutant(
        ACQUISITION,
        "noise",
        "np.sqrt(dwell_noise / dwell_image)",
        "np.sqrt(dwell_image / dwell_noise)",
        "test_noise",
    ),
    Mutant(
        ACQUISITION,
        "trajectory",
        "CYCLES_PER_PIXEL: per_pixel",
        "CYCLES_PER_PIXEL: per_fov",
        "test_trajectory",
    ),
    Mutant(
        ACQUISITION,
        "trajectory",
        "per_pixel / (2 * np.pi)",
        "per_pixel / np.pi",
        "test_trajectory",
    ),
    Mutant(ACQUISITION, "trajectory", "energy[::-1] @ radius", "energy @ radius", "test_raw"),
    Mutant(ACQUISITION, "placement", "np.argsort(heights", "np.argsort(-heights", "test_raw"),
    Mutant(
        ACQUISITION,
        "placement",
        "order[len(heads) // 2]",
        "order[(len(heads) - 1) // 2]",
        "tests/recon/test_reconstruct.py -k oblique_slices",
    ),
    Mutant(
        ACQUISITION,
        "lines",
        "np.arange(len(lines)) % n_frames",
        "np.arange(len(lines)) // n_frames",
        "test_lines test_raw",
    ),
    Mutant(
        ACQUISITION,
        "header",
        'values("TE", 1e-3)',
        'values("TE", 1.0)',
        "test_header test_raw",
    ),
    # Priors.
    Mutant(
        PRIORS,
        "total_variation",
        "result.narrow(axis, 0, n).sub_(inner)",
        "result.narrow(axis, 0, n).add_(inner)",
        "test_total_variation",
    ),
    Mutant(
        PRIORS,
        "total_variation",
        "(components, 1 / threshold.clamp_min(_TINY))",
        "(components, threshold.clamp_min(_TINY))",
        "test_total_variation",
    ),
    Mutant(
        PRIORS, "total_variation", "(part) * w**2 for", "(part) * w for", "test_total_variation"
    ),
    Mutant(
        PRIORS,
        "total_variation",
        "(values * magnitude).sum()",
        "values.sum()",
        "test_total_variation",
    ),
    Mutant(
        PRIORS,
        "residual_correction",
        "(image - signal_of(maps, dictionary))",
        "(image + signal_of(maps, dictionary))",
        "test_residual_correction",
    ),
    Mutant(
        PRIORS,
        "residual_correction",
        "slopes.conj(), values[:, part].T",
        "slopes, values[:, part].T",
        "test_residual_correction",
    ),
    Mutant(
        PRIORS,
        "residual_correction",
        ".T / deviation).real",
        ".T / deviation.mean()).real",
        "test_residual_correction",
    ),
    Mutant(
        PRIORS,
        "residual_correction",
        "guides / guides.new_tensor(_ALIKE)",
        "guides * guides.new_tensor(_ALIKE)",
        "test_residual_correction",
    ),
    Mutant(
        PRIORS,
        "residual_correction",
        "excess ** (1 + number)",
        "excess",
        "test_residual_correction",
    ),
    Mutant(
        PRIORS,
        "residual_correction",
        "(away / scale**2 + apart)",
        "(away / scale + apart)",
        "test_residual_correction",
    ),
    Mutant(
        PRIORS,
        "residual_correction",
        "squares[own] += weight.square()",
        "squares[own] += weight",
        "test_residual_correction",
    ),
    Mutant(
        PRIORS,
        "residual_correction",
        "(steps[2].exp(), steps[3])",
        "(steps[2].exp(), -steps[3])",
        "test_residual_correction",
    ),
    Mutant(
        PRIORS,
        "residual_correction",
        "values / deviation",
        "values / deviation.mean()",
        "test_residual_correction",
    ),
    Mutant(
        PRIORS,
        "residual_correction",
        "length.clamp_min(_TINY)).square())",
        "length.clamp_min(_TINY)))",
        "test_residual_correction",
    ),
    Mutant(
        PRIORS,
        "residual_correction",
        "torch.linalg.inv(inverse[:, :_QUANTITIES, :_QUANTITIES])",
        "information[:, :_QUANTITIES, :_QUANTITIES]",
        "test_residual_correction",
    ),
    Mutant(
        PRIORS,
        "residual_correction",
        ".clamp_min(_TINY) / _QUANTITIES)",
        ".clamp_min(_TINY))",
        "test_residual_correction",
    ),
    Mutant(
        PRIORS,
        "residual_correction",
        "[maps.t1, maps.t2, maps.b1]",
        "[maps.t1, maps.t2]",
        "test_residual_correction",
    ),
    Mutant(
        PRIORS,
        "synthetic_contrasts",
        "slopes[..., None]).sum(-2)",
        "slopes[..., None]).sum(-1)",
        "test_synthetic_contrasts",
    ),
    Mutant(
        PRIORS,
        "synthetic_contrasts",
        "level / magnitude if",
        "level * magnitude if",
        "test_synthetic_contrasts",
    ),
    Mutant(
        PRIORS,
        "synthetic_contrasts",
        "options.noise_scale * sigma / white",
        "options.noise_scale * sigma",
        "test_synthetic_contrasts",
    ),
    Mutant(
        PRIORS,
        "synthetic_contrasts",
        "denoised_maps[2] * phase",
        "denoised_maps[2] * phase.conj()",
        "test_synthetic_contrasts",
    ),
    Mutant(
        PRIORS,
        "synthetic_contrasts",
        "scaled @ scaled.mT",
        "scaled.mT @ scaled",
        "test_synthetic_contrasts",
    ),
    Mutant(
        PRIORS,
        "synthetic_contrasts",
        "device=noise.device).square()",
        "device=noise.device)",
        "test_synthetic_contrasts",
    ),
    Mutant(
        PRIORS,
        "synthetic_contrasts",
        "noise * prior_variance / (noise + prior_variance)",
        "prior_variance",
        "test_synthetic_contrasts",
    ),
    Mutant(
        PRIORS,
        "synthetic_contrasts",
        "correlation=first.correlation, b1=b1",
        "correlation=first.correlation",
        "test_synthetic_contrasts",
    ),
    Mutant(
        PRIORS, "smoothness", "(frequency * n).square()", "frequency.square()", "test_smoothness"
    ),
    Mutant(
        PRIORS,
        "smoothness",
        "model = energy * law + other",
        "model = energy * law",
        "test_smoothness",
    ),
    Mutant(
        PRIORS,
        "smoothness",
        "weight * noise**2 * inverse",
        "weight * noise * inverse",
        "test_smoothness",
    ),
    Mutant(PRIORS, "low_rank", "(1 - weight / values)", "(1 - weight / powers)", "test_low_rank"),
    Mutant(
        PRIORS,
        "low_rank",
        "gain[:, None, :]) @ vectors.mH",
        "gain[:, None, :]) @ vectors.mT",
        "test_low_rank",
    ),
    Mutant(PRIORS, "low_rank", "[-start % block for", "[start % block for", "test_low_rank"),
    # Weights of total variation.
    Mutant(
        METHODS,
        "lrtv",
        "(steps.max() / steps) ** settings.difference_power",
        "(steps.max() / steps)",
        "test_lrtv",
    ),
    Mutant(
        METHODS, "lrtv", "float(deviation.max()) ** 2", "float(deviation.mean()) ** 2", "test_lrtv"
    ),
    Mutant(
        METHODS,
        "lrtv",
        "strength / (settings.mean_differences * mean)",
        "strength * settings.mean_differences / mean",
        "test_lrtv",
    ),
    Mutant(METHODS, "lrtv", "* mean) * relative**2", "* mean) * relative", "test_lrtv"),
    # Figures of quality.
    Mutant(DIAGNOSTICS, "figures", "maps.m0.sgn().conj()", "maps.m0.sgn()", "test_figures"),
    Mutant(
        DIAGNOSTICS,
        "figures",
        "(measured - own).norm() / own.norm()",
        "(measured - own).norm() / measured.norm()",
        "test_figures",
    ),
    Mutant(
        DIAGNOSTICS,
        "figures",
        "bright.median() / deviation[0]",
        "bright.median() / deviation.max()",
        "test_figures",
    ),
    Mutant(
        DIAGNOSTICS,
        "planes",
        "torch.quantile(sample, 0.98)",
        "torch.quantile(sample, 0.5)",
        "test_figures",
    ),
    Mutant(DIAGNOSTICS, "figures", "float(bright.median()", "float(bright.max()", "test_figures"),
)


def copy_of_the_package(folder: Path) -> None:
    """Package, tests and the settings of pytest."""
    ignored = shutil.ignore_patterns("__pycache__", "results")
    for name in (PACKAGE, "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)


def run_tests(folder: Path, words: tuple[str, ...]) -> None:
    """Run pytest in this process, which imports the package for the first time, and end it."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
        options = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
        os._exit(pytest.main([*options, *words]))


def passes(folder: Path, words: tuple[str, ...]) -> bool:
    """Whether the tests pass there, in a process that finds torch and the like imported."""
    process = get_context("fork").Process(target=run_tests, args=(folder, words))
    process.start()
    process.join(TIME_LIMIT)
    if process.exitcode is None:
        process.kill()
        process.join()
    return process.exitcode == 0


def misfits(mutants: Iterable[Mutant], root: Path) -> list[str]:
    """Which mutants cannot be put into the code below a folder, with file, text and reason; empty: all can."""
    found = []
    for mutant in mutants:
        path = root / PACKAGE / mutant.file
        text = path.read_text(encoding="utf-8") if path.is_file() else None
        count = text.count(mutant.old) if text else 0
        missing = [
            word
            for word in mutant.test_words
            if word.endswith(".py") and not (root / word).is_file()
        ]
        reasons = [f"no test file {word}" for word in missing]
        if text is None:
            reasons.append("no such file")
        elif count != 1:
            reasons.append(f"the text is there {count} times" if count else "the text is gone")
        found += [f"{mutant.file}: {mutant.old}: {reason}" for reason in reasons]
    return found


def outcomes(mutants: list[Mutant], folder: Path) -> list[str]:
    """One of the words above for every mutant; all of them fit the code."""

    @cache
    def pass_without_mutant(words: tuple[str, ...]) -> bool:
        return passes(folder, words)

    results = []
    for mutant in mutants:
        path = folder / PACKAGE / mutant.file
        text = path.read_text(encoding="utf-8")
        if not pass_without_mutant(mutant.test_words):
            outcome = "tests fail"
        else:
            path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
            outcome = "survived" if passes(folder, mutant.test_words) else "killed"
            path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{outcome:10} {mutant.file}: {mutant.old} -> {mutant.new}\n")
        sys.stdout.flush()
        results.append(outcome)
    return results


def table(mutants: list[Mutant], results: list[str]) -> str:
    """All mutants as Markdown, with the share that was killed."""
    killed = results.count("killed")
    lines = [
        "# Faults put into the code by hand",
        "",
        f"{killed} of {len(mutants)} ({100 * killed / max(len(mutants), 1):.0f} %) are seen by the tests of "
        "their module (`python -m benchmarks.robustness.mutants`).",
        "",
        "| part | killed | of |",
        "|---|---|---|",
    ]
    of_room = Counter(mutant.room for mutant in mutants)
    killed_of_room = Counter(
        mutant.room for mutant, result in zip(mutants, results, strict=True) if result == "killed"
    )
    lines += [f"| `{room}` | {killed_of_room[room]} | {n} |" for room, n in of_room.items()]
    lines += ["", "| file | code | fault | outcome |", "|---|---|---|---|"]
    lines += [
        f"| `{mutant.file}` | `{mutant.old}` | `{mutant.new or '(nothing)'}` | "
        f"{result if result == 'killed' else f'**{result}**'} |"
        for mutant, result in zip(mutants, results, strict=True)
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Try every mutant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        default=[""],
        metavar="WORD",
        help="mutants whose file or code contains one of these words",
    )
    parser.add_argument("--table", type=Path, help="file for the table")
    arguments = parser.parse_args()
    mutants = [m for m in MUTANTS if any(word in f"{m.file} {m.old}" for word in arguments.only)]
    if not mutants:
        parser.error("no mutant contains a word of --only")
    if wrong := misfits(mutants, ROOT):
        sys.exit("\n".join(["Mutants that must be adapted; none was tried:", *wrong]))
    # Compiled files are told from others by size and second: too coarse for mutants.
    sys.dont_write_bytecode = True
    os.environ["OMP_NUM_THREADS"] = "1"
    for library in LIBRARIES:
        import_module(library)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_of_the_package(folder)
        results = outcomes(mutants, folder)
    if arguments.table:
        arguments.table.write_text(table(mutants, results), encoding="utf-8")
    counts = ", ".join(f"{n} {outcome}" for outcome, n in Counter(results).items())
    sys.stdout.write(f"{len(mutants)} mutants: {counts}\n")
    return 0 if set(results) <= {"killed"} else 1


if __name__ == "__main__":
    sys.exit(main())
