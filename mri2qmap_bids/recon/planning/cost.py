"""Cost model: memory and time of a reconstruction."""

import math
from dataclasses import dataclass

from mri2qmap_bids.recon.denoisers.base import (
    dimensions,
    is_separate,
    working_memory,
)
from mri2qmap_bids.recon.physics.contrasts import DENOISED_CONTRASTS
from mri2qmap_bids.recon.planning.machine import Machine
from mri2qmap_bids.recon.planning.plan import Plan, Stage
from mri2qmap_bids.recon.planning.size import ProblemSize
from mri2qmap_bids.recon.planning.work import SplitCost, Work
from mri2qmap_bids.recon.priors.residual_correction import FIELDS, n_neighbours

_COMPLEX, _REAL = 8.0, 4.0  # bytes
# Resident before any data: the interpreter, torch and the rest; on a GPU, its context.
HOST_BASE, _GPU_BASE = 0.7e9, 0.6e9
# Oversampling of the non-uniform transforms' grids along every axis.
_CPU_GRID, _GPU_GRID = 1.25, 2.0
# Arrays that exist at the same time, counted in the code; benchmarks/speed/memory.py checks their sum.
_IMAGES = 6  # images held while a solver runs: five by itself, and its start
_CIRCULANTS = 2.5  # circulant matrices of A^H A, of a preconditioner, and scratch
_PRINCIPAL_COILS = 3  # of the preconditioner, in a typical scan of a head
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
        coils = 0.0
        if not self.machine.is_gpu:
            coils = self.n_preconditioner_coils * self.size.n_voxels * _COMPLEX
        return n_matrices * self.size.n_pairs * self.size.n_voxels * number + self.image + coils

    @property
    def n_preconditioner_coils(self) -> int:
        """The principal ones (on a GPU all), and one of sensitivity 1."""
        n = self.size.n_coils
        return 1 + (n if self.machine.is_gpu else min(n, _PRINCIPAL_COILS))

    @property
    def state(self) -> float:
        """Memory held while a solver runs, without the scratch memory of a step."""
        noise = 0.0 if self.machine.is_gpu else self.image  # else on the host
        return self.fixed + self.resident + self.circulants + _IMAGES * self.image + noise

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
            shared += self.image  # synthetic noise
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
        """A^H of the data and of synthetic noise, and A of an image: non-uniform transforms."""
        doubled = 2**self.dim * self.size.n_voxels * _COMPLEX
        space = max(self.fine_grid, 1.5 * doubled) + 2 * self.image + 3 * self.one_coil
        n = self.work.n_transforms * self.size.n_coils * self.size.rank * self.size.n_segments
        seconds = n * self.nufft()
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
            # Images of each coil, and their sum, on the kernels' grid; if that is larger than the image,
            # the padded image and sensitivities.
            spectrum = size.rank * size.n_frequencies * _COMPLEX
            space = (self.images_of_a_coil * plan.coils_at_once + 1) * spectrum
            space += (plan.coils_at_once + 1) * size.n_frequencies * _COMPLEX
            if size.n_frequencies > size.n_voxels:
                space += spectrum + size.n_coils * size.n_frequencies * _COMPLEX
        else:
            space = self.fine_grid + 3 * self.image + 3 * self.one_coil
        split = self.work.split(size) if self.work.split else SplitCost(0.0, 0.0, 0.0)
        # The preconditioner transforms one grid of its coils.
        grids = size.n_coils * size.n_normal_segments * 2**self.dim * self.shared_transforms
        once *= 1 + self.n_preconditioner_coils / grids
        seconds = self.work.n_normal * once + self.work.n_prox * split.moved / rates.stream
        return self.stage("solve", self.state + split.resident + max(space, split.scratch), seconds)

    @property
    def images_of_a_coil(self) -> int:
        """On a GPU before, between and after transforms; on a CPU for every parity along the middle axis."""
        if self.machine.is_gpu:
            return 3
        return 2 if self.dim == 3 else 1

    @property
    def shared_transforms(self) -> float:
        """Transforms along one axis, relative to those of every grid along all axes: on a CPU grids share them."""
        if self.machine.is_gpu:
            return 1.0
        return sum(2.0**k for k in range(1, self.dim + 1)) / (self.dim * 2.0**self.dim)

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
            # Images of the middle axis are written, read, written and read for half of the grids.
            moved = 3 * size.rank * _COMPLEX
        moved += size.n_pairs * number / at_once
        transforms = 2 * size.rank * size.n_frequencies * math.log2(max(size.n_frequencies, 2))
        transforms *= self.shared_transforms
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
        memory = (2 * FIELDS + _RESIDUAL_MAPS) * voxels + 3 * self.image
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
