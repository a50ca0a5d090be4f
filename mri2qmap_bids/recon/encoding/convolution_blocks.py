"""Convolutions of coil images on a CPU, one axis after the other, in blocks that fit into a core's cache.

Interleaved grids have transforms in common: those of the same parity along x share the transform along x,
those of the same parity along x and y that along y, too. A volume's eight grids need 2 + 4 + 8 transforms
along one axis, not 8 x 3. Blocks are slices for x and y and columns along z; each belongs to one thread.
"""

import math
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import TypeVar

import torch

from mri2qmap_bids.recon.arrays import CoilMaps, SubspaceImage
from mri2qmap_bids.recon.encoding import compiled
from mri2qmap_bids.recon.encoding.frequency_matrices import scaled, widened

Parity = tuple[int, ...]
Task = TypeVar("Task")

# Complex numbers of a block, for one parity: with the other parity, and transformed, 4 MiB. Half of it is
# slower on small volumes.
_BLOCK = 1 << 17


def empty_by_columns(
    n_grids: int, n_pairs: int, grid: tuple[int, ...], parts: tuple[int, ...], dtype: torch.dtype
) -> torch.Tensor:
    """An array for spectra, shape (grid, pair, *space, *parts), in the order in memory in which blocks read it.

    Parameters
    ----------
    n_grids, n_pairs, grid, parts
        Shape.
    dtype
        Type of its numbers.
    """
    array = torch.empty((n_grids, n_pairs, *grid[::-1], *parts), dtype=dtype)
    return _reversed(array, 2, len(grid))


def by_columns(upper: torch.Tensor, n_axes: int) -> torch.Tensor:
    """Matrices of every frequency, shape (pair, *space), in the order in memory in which blocks read them."""
    return _reversed(_reversed(upper, 1, n_axes).contiguous(), 1, n_axes)


def convolve(
    image: SubspaceImage,
    coils: CoilMaps,
    spectra: Mapping[Parity, torch.Tensor],
    scales: tuple[float, ...] | None,
    coils_at_once: int,
) -> SubspaceImage:
    """The number of voxels times sum_q sum_c conj(S_c ramp_q) IFFT(K_q FFT(S_c ramp_q x)).

    Parameters
    ----------
    image
        x, shape (rank, *space), contiguous.
    coils
        S, shape (coil, *space).
    spectra
        K_q by the parity q along every axis, in any storage, shape (pair, *space).
    scales
        Factor by which the stored values of each pair are multiplied; None: 1.
    coils_at_once
        Coils processed together.
    """
    grid = _three(tuple(image.shape[1:]))
    n_z, n_y, n_x = grid
    numbers = coils_at_once * len(image)
    slices = _ranges(n_z, _BLOCK // (numbers * n_y * n_x))
    columns = _ranges(n_x, _BLOCK // (numbers * n_y * n_z))
    grids = _by_axis(spectra)
    # Filled and emptied again and again: new memory costs as much as a transform.
    n_lines = max(map(len, grids.values()), default=0)
    memory = image.new_empty(n_lines, numbers, n_z, _row(n_x * n_y))
    total = torch.zeros_like(image)
    for some in torch.split(coils.reshape(-1, *grid).contiguous(), coils_at_once):
        coil_images = _CoilImages(
            image.view(-1, *grid), some, total.view(-1, *grid), scales, _waves(grid)
        )
        for x, of_y in grids.items():
            lines = memory[: len(of_y), : len(some) * len(image)]
            parities = tuple(of_y)
            _for_each(slices, partial(coil_images.to_lines, x, parities, lines))
            for of_z, line in zip(of_y.values(), lines, strict=True):
                _for_each(columns, partial(coil_images.multiply, of_z, line))
            _for_each(slices, partial(coil_images.from_lines, x, parities, lines))
    return total


@dataclass(frozen=True, eq=False)
class _CoilImages:
    """The images of some coils, with three axes (z, y, x), and their way through the transforms.

    *Lines* are images after the transforms along x and y, for every parity along y, shape
    (parity, coil x rank, z, x y) with a few numbers more at the end of a row.
    """

    image: torch.Tensor
    coils: torch.Tensor
    total: torch.Tensor
    scales: tuple[float, ...] | None
    waves: tuple[torch.Tensor, ...]
    """Ramps along z, y and x."""

    def to_lines(self, x: int, parities: tuple[int, ...], lines: torch.Tensor, part: slice) -> None:
        """Transform some slices along x and y."""
        n_y, n_x = self.image.shape[2:]
        modulation = self._modulation(x, part)
        # A product without a place of its own may have another order in memory than these axes.
        images = modulation.new_empty(len(modulation), len(self.image), *modulation.shape[1:])
        torch.mul(self.image[:, part], modulation[:, None], out=images)
        images = torch.fft.fft(images, dim=-1).contiguous()
        if n_y > 1 or any(parities):
            images = images.view(-1, n_y, n_x)
            turned = images.new_empty(len(parities), len(images), n_x, n_y)
            wave = self.waves[1].numpy()
            compiled.turned(images.numpy(), wave, bool(parities[0]), turned.numpy())
            images = torch.fft.fft(turned, dim=-1).contiguous()
        target = lines[:, :, part, : n_x * n_y]
        target.copy_(images.view(target.shape))

    def multiply(
        self, matrices: Mapping[int, torch.Tensor], line: torch.Tensor, part: slice
    ) -> None:
        """Transform some x along z, multiply by the matrices of every parity along z, transform back."""
        n_z, n_y = self.image.shape[1:3]
        columns = line[..., part.start * n_y : part.stop * n_y].numpy()
        shifted, wave = bool(next(iter(matrices))), self.waves[0].numpy()
        turned = line.new_empty(len(matrices), len(line), columns.shape[2], n_z)
        compiled.turned(columns, wave, shifted, turned.numpy())
        spectra = torch.fft.fft(turned, dim=-1).contiguous()
        begin, end = part.start * n_y * n_z, part.stop * n_y * n_z
        for upper, of_parity in zip(matrices.values(), spectra, strict=True):
            values = of_parity.view(len(self.coils), -1, end - begin).numpy()
            if upper.dtype == torch.float16 or self.scales is not None:
                block = scaled(widened(upper[:, begin:end], 3), self.scales)
                compiled.matrix_product(block.contiguous().numpy(), 0, values)
            else:
                compiled.matrix_product(upper.numpy(), begin, values)
        turned = torch.fft.ifft(spectra, dim=-1, norm="forward").contiguous()
        compiled.turned_back(turned.numpy(), wave, shifted, columns)

    def from_lines(
        self, x: int, parities: tuple[int, ...], lines: torch.Tensor, part: slice
    ) -> None:
        """Transform some slices back along y and x, and add the sum over coils to the total."""
        n_y, n_x = self.image.shape[2:]
        images = lines[:, :, part, : n_x * n_y]
        n_images = images.shape[1] * images.shape[2]
        if n_y > 1 or any(parities):
            turned = torch.fft.ifft(
                images.view(*images.shape[:-1], n_x, n_y), dim=-1, norm="forward"
            )
            turned = turned.reshape(len(parities), n_images, n_x, n_y).contiguous()
            images = turned.new_empty(n_images, n_y, n_x)
            wave = self.waves[1].numpy()
            compiled.turned_back(turned.numpy(), wave, bool(parities[0]), images.numpy())
        images = images.reshape(len(self.coils), len(self.image), -1, n_y, n_x)
        images = torch.fft.ifft(images, dim=-1, norm="forward")
        conjugate = self._modulation(x, part).conj()
        for of_coil, sensitivity in zip(images, conjugate, strict=True):
            self.total[:, part].addcmul_(of_coil, sensitivity)

    def _modulation(self, x: int, part: slice) -> torch.Tensor:
        """Sensitivities, times the ramp along x, of some slices; shape (coil, z, y, x)."""
        coils = self.coils[:, part]
        return coils * self.waves[2] if x else coils


def _by_axis(
    spectra: Mapping[Parity, torch.Tensor],
) -> dict[int, dict[int, dict[int, torch.Tensor]]]:
    """Matrices, shape (pair, frequency, ...) with frequencies by columns, by the parity along x, y and z."""
    grids: dict[int, dict[int, dict[int, torch.Tensor]]] = {}
    for parity, upper in sorted(spectra.items(), key=lambda item: item[0][::-1]):
        z, y, x = _three(parity, 0)
        n_axes = len(parity)
        matrices = _reversed(upper, 1, n_axes).contiguous().flatten(1, n_axes)
        grids.setdefault(x, {}).setdefault(y, {})[z] = matrices
    return grids


def _three(grid: tuple[int, ...], missing: int = 1) -> tuple[int, int, int]:
    """Sizes or parities along z, y and x; those of a slice's axes are put along z and x."""
    if len(grid) == 3:
        return grid
    z, x = (missing, missing, *grid)[-2:]
    return z, missing, x


def _reversed(array: torch.Tensor, first: int, n_axes: int) -> torch.Tensor:
    """An array whose axes of space, from the first on, are in reverse order."""
    axes = range(first, first + n_axes)
    return array.permute(*range(first), *reversed(axes), *range(first + n_axes, array.ndim))


def _row(n: int) -> int:
    """Numbers in a row in memory: a little more than n if rows would share the same lines of the cache."""
    return n + 16 if n % 256 == 0 else n


def _ranges(n: int, size: int) -> list[slice]:
    """Parts of 0 to n of about a size, at least as many as there are threads."""
    n_parts = max(-(-n // max(size, 1)), min(torch.get_num_threads(), n))
    edges = [n * k // n_parts for k in range(n_parts + 1)]
    return [slice(*edge) for edge in zip(edges[:-1], edges[1:], strict=True)]


@lru_cache(maxsize=8)
def _waves(grid: tuple[int, int, int]) -> tuple[torch.Tensor, ...]:
    """exp(-i pi n / N) along every axis."""
    phases = (-math.pi * torch.arange(n, dtype=torch.float64) / n for n in grid)
    return tuple(torch.polar(torch.ones_like(p), p).to(torch.complex64) for p in phases)


def _for_each(tasks: list[Task], function: Callable[[Task], None]) -> None:
    """Do all tasks, in as many threads as torch uses."""
    n_threads = torch.get_num_threads()
    if n_threads == 1 or len(tasks) == 1:
        for task in tasks:
            function(task)
        return
    inference = torch.is_inference_mode_enabled()  # of this thread

    def work(task: Task) -> None:
        with torch.inference_mode(inference):
            function(task)

    for _ in _threads(n_threads).map(work, tasks):
        pass  # raises what a task raised


@cache
def _threads(n: int) -> ThreadPoolExecutor:
    """Threads in each of which torch works alone."""
    pool = ThreadPoolExecutor(n, "convolution", torch.set_num_threads, (1,))
    begun = threading.Barrier(n + 1)
    for _ in range(n):
        pool.submit(begun.wait)
    begun.wait()
    # The number is also the default of threads that begin later.
    torch.set_num_threads(n)
    return pool
