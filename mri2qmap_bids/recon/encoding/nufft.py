"""Non-uniform Fourier transforms on the CPU (finufft) or a GPU (cufinufft).

Positions ``omega`` are in radians per voxel, columns in array order (z, y, x);
voxel ``floor(n / 2)`` of each axis is the origin.
"""

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch

from mri2qmap_bids.recon.encoding.cuda import load_cuda_libraries
from mri2qmap_bids.recon.encoding.shared_positions import SharedPositions

logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")

# Samples, or voxels, of all images that are transformed together on several cores. Two cores take half the
# time for eight small slices together, whose transforms are too short to be shared out one by one.
_TOGETHER = 2**22
# upsampfac 1.25 is 3.5 times faster than the default 2, and reaches 1e-4 but not much less.
TOLERANCE = 1e-4
_UPSAMPLING = 1.25


class Nufft:
    """One set of sample positions, planned once for both directions.

    forward: s_j = sum_r x(r) exp(-i omega_j . r)
    adjoint: x(r) = sum_j s_j exp(+i omega_j . r)

    Parameters
    ----------
    omega
        Positions [rad/voxel], shape (sample, dim), on the device to compute on.
    shape
        Image shape, in the order of omega's columns.
    tolerance
        Requested relative error of the transform.
    spread_only
        Leave out the Fourier transform: grid with the spreading kernel, and
        interpolate with it. The kernel is the exponential of a semicircle on both devices,
        exp(b (sqrt(1 - (2 x / w)^2) - 1)), w = 1 - log10(tolerance) cells
        wide, rounded up, b = 2.3 w for w of 5 or more
        (Barnett, Magland, af Klinteberg 2019, doi:10.1137/18M120885X).
    shared
        From :func:`shared_positions` of omega: each distinct position is transformed once.
    """

    def __init__(
        self,
        omega: torch.Tensor,
        shape: tuple[int, ...],
        tolerance: float = TOLERANCE,
        spread_only: bool = False,
        shared: SharedPositions | None = None,
    ) -> None:
        self.omega = omega
        self.shape = shape
        self.tolerance = tolerance
        self.spread_only = spread_only
        self._shared = shared
        self._positions = omega if shared is None else shared.omega
        self._plans: dict[tuple[int, int], Any] = {}

    @property
    def at_once(self) -> int:
        """How many images are best transformed together: one, if they are large, on one core or on a GPU."""
        if self.omega.is_cuda or torch.get_num_threads() == 1:
            return 1
        return max(1, _TOGETHER // max(len(self.omega), 2 * math.prod(self.shape)))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Samples of an image, or of several: (*shape) to (sample,), or (image, *shape) to (image, sample)."""
        values = self._execute(2, -1, image, image.ndim > len(self.shape))
        return values if self._shared is None else self._shared.of_samples(values)

    def adjoint(self, samples: torch.Tensor) -> torch.Tensor:
        """Adjoint of :meth:`forward`: (sample,) to (*shape), or (image, sample) to (image, *shape)."""
        if self._shared is not None:
            samples = self._shared.summed(samples)
        return self._execute(1, 1, samples, samples.ndim > 1)

    def _execute(self, kind: int, sign: int, data: torch.Tensor, several: bool) -> torch.Tensor:
        number = len(data) if several else 1
        if several and number == 1:  # the libraries have no axis of images then
            return self._execute(kind, sign, data[0], False)[None]
        if (kind, number) not in self._plans:
            self._plans[kind, number] = self._plan(kind, sign, number)
        data = data.to(torch.complex64).contiguous()
        if self.omega.is_cuda:
            execute = partial(self._plans[kind, number].execute, data)
            return torch.as_tensor(_with_memory(execute))
        return torch.from_numpy(self._plans[kind, number].execute(data.numpy()))

    def _plan(self, kind: int, sign: int, number: int) -> Any:
        columns = [
            self._positions[:, axis].to(torch.float32).contiguous()
            for axis in range(len(self.shape))
        ]
        settings = {
            "n_trans": number,
            "eps": self.tolerance,
            "isign": sign,
            "dtype": "complex64",
        }
        if self.omega.is_cuda:
            load_cuda_libraries()
            import cufinufft  # ships with the GPU extra only

            if self.spread_only:
                settings |= {"gpu_spreadinterponly": 1, "upsampfac": 2.0}
            settings["gpu_device_id"] = self.omega.device.index or 0
            plan = _with_memory(partial(cufinufft.Plan, kind, self.shape, **settings))
            _with_memory(partial(plan.setpts, *columns))
            return plan
        import finufft

        settings["upsampfac"] = _UPSAMPLING if self.tolerance >= 1e-5 else 2.0
        if self.spread_only:
            settings |= {
                "spreadinterponly": 1,
                "upsampfac": 2.0,
                **_semicircle_kernel(finufft.__version__),
            }
        # finufft would warn if there are more threads than OMP_NUM_THREADS; here that is intended.
        threads = torch.get_num_threads()
        plan = finufft.Plan(kind, self.shape, nthreads=threads, showwarn=0, **settings)
        plan.setpts(*[_within_one_period(column.numpy()) for column in columns])
        return plan


def _with_memory(action: Callable[[], _Result]) -> _Result:
    """Call cuFINUFFT, which allocates memory beside torch; again without torch's unused blocks if it fails.

    Raises
    ------
    torch.OutOfMemoryError
        If it fails twice: its errors name the step, not the cause.
    """
    try:
        return action()
    except RuntimeError as error:
        logger.debug("cuFINUFFT: %s; trying again with torch's unused memory", error)
    torch.cuda.empty_cache()
    try:
        return action()
    except RuntimeError as error:
        raise torch.OutOfMemoryError(f"cuFINUFFT, most likely short of memory: {error}") from error


def _semicircle_kernel(version: str) -> dict[str, int]:
    """Setting of finufft for the kernel that cufinufft has: since 2.5 another is the default."""
    major, minor = (int(number) for number in version.split(".")[:2])
    return {"spread_kerformula": 1} if (major, minor) >= (2, 5) else {}


def _within_one_period(omega: np.ndarray) -> np.ndarray:
    return (
        omega
        if np.abs(omega).max(initial=0) <= np.pi
        else np.remainder(omega + np.pi, 2 * np.pi) - np.pi
    )
