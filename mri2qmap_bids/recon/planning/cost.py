"""Cost model: memory and time of a reconstruction."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mri2qmap_bids.recon.denoisers.base import (
    DenoiserShape,
    dimensions,
    is_separate,
    working_memory,
)
from mri2qmap_bids.recon.denoisers.unet import UNetShape
from mri2qmap_bids.recon.encoding.toeplitz import Storage, fast_grid
from mri2qmap_bids.recon.physics.contrasts import DENOISED_CONTRASTS
from mri2qmap_bids.recon.priors.residual_correction import FIELDS, n_neighbours

_COMPLEX, _REAL = 8.0, 4.0  # bytes
# Resident before any data: the interpreter, torch and the rest; on a GPU, its context.
HOST_BASE, _GPU_BASE = 0.7e9, 0.6e9
# Oversampling of the non-uniform transforms' grids along every axis.
_CPU_GRID, _GPU_GRID = 1.25, 2.0
# Arrays that exist at the same time, counted in the code; benchmarks/speed/memory.py checks their sum.
_GRADIENT_COPIES = 5  # images held by a solver
_CIRCULANTS = 2.5  # circulant matrices of A^H A, of a preconditioner, and scratch
_CIRCULANTS_ON_GPU = 1.2  # those of A^H A are in the host's memory
_DENSITY_PASSES = 20  # spreading and interpolation for the density compensation
_PRIOR_NUMBERS = 70  # real numbers per voxel of contrasts, covariances and maps
_SEARCHED_AROUND = 81  # atoms compared in the second step of a search
_COARSE = 9  # one in 9 atoms is compared in the first step
_STENCIL = 54  # complex components needed to refine a match
_REFINEMENT_STEPS = 8
_CONTRASTS = len(DENOISED_CONTRASTS)
# Overhead of an operation (waking threads, launching a kernel) [s], and their number in A^H A in addition
# to the products with the kernels.
_OPERATION, _OPERATIONS = 5e-5, 8
_RESIDUAL_MAPS = 12  # maps held during the residual correction
_VIEWS = {2: 8, 3: 3}  # orientations in which a slice, or a volume, is denoised
_DISK = 1e9  # bytes per second


@dataclass(frozen=True)
class ProblemSize:
    """The quantities that cost depends on; slices are processed one after the other."""

    shape: tuple[int, ...]
    """Voxels of one slice or volume, along (z,) y, x, encoded field of view."""
    n_slices: int
    """Slices; 1 for a volume."""
    rank: int
    """Dimension of the subspace."""
    n_receive: int
    """Coils in the file."""
    n_coils: int
    """Coils after compression."""
    n_samples: int
    """Samples of one coil in one slice or volume."""
    n_atoms: int
    """Atoms of the dictionary."""
    denoiser: DenoiserShape = UNetShape()
    """The denoiser, of the methods that have one."""
    real_basis: bool = True
    """Whether the temporal basis is real."""
    n_fields: int = 1
    """Transmit fields of the dictionary; a voxel is compared with the atoms of one."""
    n_segments: int = 1
    """Time segments of the encoding; 1 without correction of off-resonance."""
    n_normal_segments: int = 1
    """Time segments of A^H A by convolutions."""

    @property
    def n_voxels(self) -> int:
        """Of one slice or volume."""
        return math.prod(self.shape)

    @property
    def n_frequencies(self) -> int:
        """Of each interleaved grid of the Toeplitz kernels."""
        return math.prod(fast_grid(self.shape))

    @property
    def n_pairs(self) -> int:
        """Toeplitz kernels."""
        return self.rank * (self.rank + 1) // 2

    @property
    def image(self) -> float:
        """Bytes of one subspace image."""
        return self.rank * self.n_voxels * _COMPLEX

    @property
    def component(self) -> float:
        """Bytes of one of its components."""
        return self.n_voxels * _COMPLEX


@dataclass(frozen=True)
class SplitCost:
    """Cost of the split variables of ADMM."""

    resident: float
    """Bytes held between steps."""
    scratch: float
    """Bytes while the proximal map is computed."""
    moved: float
    """Bytes read and written in every step."""


@dataclass(frozen=True)
class StageWork:
    """Upper bound of the work of one recorded stage of a method; summed over all it is that of :class:`Work`."""

    name: str
    """As of :meth:`mri2qmap_bids.recon.record.Record.stage`."""
    n_normal: int = 0
    """Applications of A^H A."""
    n_denoise: int = 0
    """Applications of a denoising prior."""
    n_match: int = 0
    """Number of times that every voxel is matched."""


@dataclass(frozen=True)
class Work:
    """Upper bound of the work of a method; with the problem's size it determines the cost."""

    n_normal: int = 0
    """Applications of A^H A; 0: no linear problem is solved."""
    n_prox: int = 0
    """ADMM steps."""
    split: Callable[[ProblemSize], SplitCost] | None = None
    """Cost of their split variables."""
    n_denoise: int = 0
    """Applications of a denoising prior."""
    n_images: Callable[[ProblemSize], int] | None = None
    """Images denoised one by one in each application; None: all contrasts together."""
    n_match: int = 1
    """Number of times that every voxel is matched."""
    corrects_residual: bool = False
    """Whether the method ends with a residual correction."""
    stages: tuple[StageWork, ...] = ()
    """Its parts in the order in which they begin; empty: not known."""


@dataclass(frozen=True)
class Rates:
    """Operations of a device per second."""

    fft: float
    """Points times log2 points of a complex Fourier transform."""
    stream: float
    """Bytes read or written."""
    product: float
    """Multiplications and additions of a real matrix product or convolution."""
    spread: float
    """Samples spread onto a grid, or interpolated from it."""
    link: float = 1.2e10
    """Bytes transferred between host and device."""


@dataclass(frozen=True)
class Machine:
    """Memory and speed of the machine."""

    is_gpu: bool
    """Whether the device is a GPU, with memory of its own."""
    host_memory: float
    """Bytes that may be used."""
    device_memory: float
    """Bytes that may be used; the host's on a CPU."""
    rates: Rates
    """Speed of the device."""


@dataclass(frozen=True)
class Stage:
    """One part of a reconstruction."""

    name: str
    """Name of the stage."""
    host: float
    """Peak of the host's memory [byte]; 0 if the device is the CPU."""
    device: float
    """Peak of the device's memory [byte]."""
    seconds: float
    """Time for all slices."""


@dataclass(frozen=True)
class Plan:
    """How to reconstruct: storage and batch sizes."""

    normal: Literal["toeplitz", "transforms"] = "toeplitz"
    """A^H A by convolutions, or by non-uniform Fourier transforms in every application."""
    storage: Storage = "single"
    """Storage of Toeplitz kernels."""
    by_blocks: bool = False
    """Whether they are computed in blocks."""
    coils_at_once: int = 1
    """Coils in one application of A^H A."""
    voxels_at_once: int = 4096
    """Voxels matched together."""
    slices_at_once: int = 8
    """Slices denoised together."""
    stages: tuple[Stage, ...] = ()
    """Cost of each part."""

    @property
    def host(self) -> float:
        """Peak of the host's memory [byte]."""
        return max((stage.host for stage in self.stages), default=0.0)

    @property
    def device(self) -> float:
        """Peak of the device's memory [byte]."""
        return max((stage.device for stage in self.stages), default=0.0)

    @property
    def seconds(self) -> float:
        """Time of all stages."""
        return sum((stage.seconds for stage in self.stages), start=0.0)

    def __str__(self) -> str:
        kernels = {
            "single": "Toeplitz kernels in memory",
            "half": "Toeplitz kernels in half precision",
            "host": "Toeplitz kernels streamed from the host",
        }
        how = (
            kernels[self.storage] if self.normal == "toeplitz" else "non-uniform Fourier transforms"
        )
        blocks = ", set up in blocks" if self.by_blocks and self.normal == "toeplitz" else ""
        host = f"{self.host / 1e9:.1f} GB" if self.host else ""
        device = f"{self.device / 1e9:.1f} GB" + (" on the GPU" if self.host else "")
        together = [f"{self.coils_at_once} coil(s)", f"{self.voxels_at_once} voxels"]
        if self.slices_at_once > 1 and any(stage.name == "denoise" for stage in self.stages):
            together.append(f"{self.slices_at_once} slices")
        return (
            f"{how}{blocks}; {', '.join(together)} at once; about "
            f"{', '.join(filter(None, (device, host)))} and {duration(self.seconds)}"
        )


def stages(size: ProblemSize, work: Work, machine: Machine, plan: Plan) -> tuple[Stage, ...]:
    """Memory and time of every part, by counting arrays, transforms and products.

    Parameters
    ----------
    size
        The problem.
    work
        Work of the method.
    machine
        Memory and speed.
    plan
        Storage and batch sizes; its stages are not used.
    """
    account = _Account(size, work, machine, plan)
    parts = [account.reading(), account.sensitivities(), account.projection()]
    if plan.normal == "toeplitz" and work.n_normal:
        parts.append(account.kernels())
    if work.n_normal:
        parts.append(account.solver())
    if work.n_denoise:
        parts.append(account.denoiser())
    if work.corrects_residual:
        parts.append(account.residual())
    return (*parts, account.matching())


@dataclass(frozen=True)
class _Account:
    """Sizes [byte] and times that several stages share."""

    size: ProblemSize
    work: Work
    machine: Machine
    plan: Plan

    @property
    def dim(self) -> int:
        return len(self.size.shape)

    @property
    def image(self) -> float:
        return self.size.image

    @property
    def positions(self) -> float:
        return self.size.n_samples * (4.0 * self.dim + 8)

    @property
    def one_coil(self) -> float:
        return self.size.n_samples * _COMPLEX

    @property
    def oversampling(self) -> float:
        return _GPU_GRID if self.machine.is_gpu else _CPU_GRID

    @property
    def fine_grid(self) -> float:
        return float(self.oversampling**self.dim) * self.size.n_voxels * _COMPLEX

    @property
    def fixed(self) -> float:
        """Samples, positions, sensitivities and dictionary, which are held all the time."""
        size = self.size
        maps = size.n_coils * size.n_voxels * _COMPLEX
        return (
            size.n_coils * self.one_coil
            + self.positions
            + maps
            + size.n_atoms * size.rank * _COMPLEX
        )

    @property
    def kernel_bytes(self) -> float:
        number = (_REAL if self.size.real_basis else _COMPLEX) / (
            2 if self.plan.storage == "half" else 1
        )
        if self.plan.normal != "toeplitz" or not self.work.n_normal:
            return 0.0
        return (
            self.size.n_normal_segments
            * 2.0**self.dim
            * self.size.n_pairs
            * self.size.n_frequencies
            * number
        )

    @property
    def kernels_on_host(self) -> float:
        return self.kernel_bytes if self.plan.storage == "host" else 0.0

    @property
    def resident(self) -> float:
        """Kernels on the device while A^H A is applied."""
        if self.plan.storage == "host":
            return 2 * self.kernel_bytes / (2.0**self.dim * self.size.n_normal_segments)
        return self.kernel_bytes

    @property
    def circulants(self) -> float:
        """Matrices of every frequency: of A^H A and of a preconditioner; penalties."""
        number = _REAL if self.size.real_basis else _COMPLEX
        n_matrices = _CIRCULANTS_ON_GPU if self.machine.is_gpu else _CIRCULANTS
        return n_matrices * self.size.n_pairs * self.size.n_voxels * number + self.image

    @property
    def state(self) -> float:
        """Memory held while a solver runs, without the scratch memory of a step."""
        return self.fixed + self.resident + self.circulants + (1 + _GRADIENT_COPIES) * self.image

    def fft(self, oversampling: float = 1.0) -> float:
        """Seconds of one transform."""
        n = self.size.n_voxels * oversampling**self.dim
        return n * math.log2(max(n, 2)) / self.machine.rates.fft

    def nufft(self) -> float:
        """Seconds of one non-uniform transform, without off-resonance."""
        return self.size.n_samples / self.machine.rates.spread + self.fft(self.oversampling)

    def stage(self, name: str, device: float, seconds: float, host: float = 0.0) -> Stage:
        size = self.size
        n = size.n_slices
        raw = n * (size.n_samples * size.n_receive * _COMPLEX + self.positions)
        result = n * 10 * size.n_voxels * _REAL
        shared = HOST_BASE + raw + result + self.kernels_on_host + host
        if self.machine.is_gpu:
            return Stage(name, shared, _GPU_BASE + device, n * seconds)
        return Stage(name, 0.0, shared + device, n * seconds)

    def reading(self) -> Stage:
        raw = self.size.n_samples * self.size.n_receive * _COMPLEX
        virtual = self.size.n_coils * self.one_coil
        return self.stage("read and compress coils", self.fixed, 3 * raw / _DISK, host=virtual)

    def sensitivities(self) -> Stage:
        size = self.size
        space = 4 * self.one_coil + 2 * size.n_coils * size.n_voxels * _COMPLEX
        seconds = 0.3 + size.n_coils * size.n_samples / self.machine.rates.spread
        return self.stage("coil sensitivities", self.fixed + space, seconds)

    def projection(self) -> Stage:
        """A^H y, the same for noise, and A x once."""
        doubled = 2**self.dim * self.size.n_voxels * _COMPLEX
        space = max(self.fine_grid, 1.5 * doubled) + 2 * self.image + 3 * self.one_coil
        # The data twice, their noise, and the prediction of the image.
        seconds = 4 * self.size.n_coils * self.size.rank * self.size.n_segments * self.nufft()
        seconds += _DENSITY_PASSES * self.size.n_samples / self.machine.rates.spread
        return self.stage("adjoint of the data", self.fixed + space, seconds)

    def kernels(self) -> Stage:
        size, doubled = self.size, 2**self.dim
        voxels = size.n_voxels * _COMPLEX
        if self.plan.by_blocks:
            space = self.fine_grid + (doubled + 3) * voxels
            each = doubled * (self.nufft() + self.fft())
        else:
            space = doubled * self.fine_grid + 3 * doubled * voxels
            each = size.n_samples / self.machine.rates.spread + 3 * doubled * self.fft()
        kernel_memory = 0.0 if self.plan.storage == "host" else self.kernel_bytes
        space += self.fixed + self.image + kernel_memory + 3 * self.one_coil
        # One transform has two kernels of a real basis.
        n = math.ceil(size.n_pairs / 2) if size.real_basis else size.n_pairs
        # Once with the samples weighted by their density, once by their variance.
        return self.stage("Toeplitz kernels", space, 2 * size.n_normal_segments * n * each)

    def solver(self) -> Stage:
        size, plan, rates = self.size, self.plan, self.machine.rates
        once = self.normal_seconds()
        if plan.normal == "toeplitz":
            # Images of each coil before and after every transform, and their sum, on the kernels' grid; if
            # that is larger than the image, the padded image and sensitivities.
            spectrum = size.rank * size.n_frequencies * _COMPLEX
            space = (3 * plan.coils_at_once + 1) * spectrum
            space += (plan.coils_at_once + 1) * size.n_frequencies * _COMPLEX
            if size.n_frequencies > size.n_voxels:
                space += spectrum + size.n_coils * size.n_frequencies * _COMPLEX
        else:
            space = self.fine_grid + 3 * self.image + 3 * self.one_coil
        split = self.work.split(size) if self.work.split else SplitCost(0.0, 0.0, 0.0)
        # The preconditioner transforms one grid of every coil, and one more.
        once *= 1 + (1 + 1 / size.n_coils) / (2**self.dim * size.n_normal_segments)
        seconds = self.work.n_normal * once + self.work.n_prox * split.moved / rates.stream
        return self.stage("solve", self.state + split.resident + max(space, split.scratch), seconds)

    def normal_seconds(self) -> float:
        """Seconds of A^H A once."""
        size, rates = self.size, self.machine.rates
        if self.plan.normal != "toeplitz":
            return 2 * size.n_coils * size.rank * size.n_segments * self.nufft()
        passes = float(size.n_coils * 2**self.dim)
        number = _REAL if size.real_basis else _COMPLEX
        at_once = min(self.plan.coils_at_once, size.n_coils)
        if self.machine.is_gpu:
            # Coil images are written, multiplied in place and read; all coils of a batch share the image,
            # the sum (read and written) and the matrices. The sensitivities are read twice.
            number /= 2 if self.plan.storage == "half" else 1
            moved = (4 + 3 / at_once) * size.rank * _COMPLEX + 2 * _COMPLEX
        else:
            moved = 7 * size.rank * _COMPLEX
        moved += size.n_pairs * number / at_once
        transforms = 2 * size.rank * size.n_frequencies * math.log2(max(size.n_frequencies, 2))
        each = transforms / rates.fft + moved * size.n_frequencies / rates.stream
        batches = float(2**self.dim) * math.ceil(size.n_coils / self.plan.coils_at_once)
        overhead = batches * _OPERATIONS * _OPERATION
        segments = size.n_normal_segments
        return float(segments * (passes * each + overhead) + self.kernels_on_host / rates.link)

    def denoiser(self) -> Stage:
        size = self.size
        whole = dimensions(size.denoiser) == 3
        # One image: the volume, or its largest slice.
        shape = size.shape if whole else tuple(sorted(size.shape)[-2:])
        at_once = self.plan.slices_at_once if self.dim == 3 and not whole else 1
        if self.work.n_images:
            n_images, together = self.work.n_images(size), 1
        else:
            n_images = together = _CONTRASTS if is_separate(size.denoiser) else 1
        features = together * at_once * working_memory(size.denoiser, shape)
        prior = (_PRIOR_NUMBERS + 2 * _CONTRASTS) * size.n_voxels * _REAL
        views = 1 if whole else _VIEWS[self.dim] * size.n_voxels / math.prod(shape)
        n_calls = self.work.n_denoise * n_images * views
        seconds = 2 * n_calls * size.denoiser.operations(shape) / self.machine.rates.product
        return self.stage("denoise", self.state + prior + features, seconds)

    def residual(self) -> Stage:
        """A product and a sum for every field of a voxel and of all its neighbours."""
        voxels = self.size.n_voxels * _REAL
        memory = (2 * FIELDS + _RESIDUAL_MAPS) * voxels + 4 * self.image
        moved = 5 * FIELDS * voxels * n_neighbours(self.dim)
        return self.stage("residual", self.state + memory, moved / self.machine.rates.stream)

    def matching(self) -> Stage:
        size, rates = self.size, self.machine.rates
        times = self.work.n_match
        scored = size.n_atoms / size.n_fields / _COARSE
        batch = self.plan.voxels_at_once * (
            scored * 2 * _REAL + (_SEARCHED_AROUND + _STENCIL) * size.rank * _COMPLEX
        )
        steps = 2 * _REFINEMENT_STEPS * _STENCIL
        operations = (
            times * size.n_voxels * size.rank * (scored * 4 + _SEARCHED_AROUND * 8 + steps * 8)
        )
        seconds = operations / rates.product
        seconds += times * size.n_voxels * scored * 3 * _REAL / rates.stream
        memory = self.state if self.work.n_denoise else self.fixed + self.resident + 2 * self.image
        return self.stage("match", memory + batch + 8 * size.n_voxels * _REAL, seconds)


def duration(seconds: float) -> str:
    """A time in words.

    >>> duration(7.4), duration(300.0), duration(9000.0)
    ('7 s', '5 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
