"""The science's knobs and their defaults, in one place."""

from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

ReconMethod = Literal["mri2qmap", "subspace", "gridding", "lrtv", "llr", "pnp"]
RECON_METHODS: tuple[ReconMethod, ...] = get_args(ReconMethod)

DEFAULT_ITERATIONS: dict[ReconMethod, int] = {
    "mri2qmap": 1,
    "subspace": 24,
    "lrtv": 40,
    "llr": 40,
    "pnp": 5,
}
"""Most steps of the methods that iterate; they end when they have converged."""
LEAST_SQUARES_STEPS = 24
"""Most conjugate-gradient steps of the least-squares image that other methods start from."""
DENSITY_STEPS = 6
"""Most conjugate-gradient steps of the density-compensated image that least squares start from."""
REPLICA_STEPS = 8
"""Most conjugate-gradient steps of the replica that tells the error of the least-squares image."""
DEFAULT_REGULARISATION: dict[ReconMethod, float] = {
    "subspace": 1.0,
    "lrtv": 0.5,
    "llr": 0.5,
    "pnp": 1.0,
}
"""Weight of the regulariser (pnp: noise that the denoiser is told), relative to the noise."""
START: ReconMethod = "lrtv"
"""Where mri2qmap starts."""
START_NOISE = 0.8
"""Error that is believed to be in every component of that start, relative to that of the noisiest
component of the least-squares image."""
CG_STEPS = 8
"""Most conjugate-gradient steps in every iteration of mri2qmap and pnp."""
RESIDUAL_WEIGHT = 0.05
"""Weight of the smoothness term in solving for what mri2qmap's maps leave of the data."""
RESIDUAL_LEVEL = 0.1
"""Sampling density below which what they leave is not believed, relative to the median density: errors
of the model (coil sensitivities) grow there as noise does, but with the signal."""
DECAY = 0.7
"""Noise that is believed to be in the image, relative to the iteration before."""
REMAINING = 0.5
"""Noise that a denoised image is believed to keep, where it is weighed against the data."""
DETAIL = (0.04, 0.06, 0.04)
"""Relative deviation of T1, T2 and M0 in detail that mri2qmap's denoiser cannot know."""
TAKEN_BACK = 2.0
"""Squared relative error of mri2qmap's maps beyond that, by the square of what the data took back."""
TOLD = 1.0
"""Noise that mri2qmap's denoiser is told, relative to what is believed."""


@dataclass(frozen=True)
class ReconOptions:
    """How a scan is reconstructed."""

    method: ReconMethod = "mri2qmap"
    """mri2qmap: plug-and-play with a denoiser of synthetic weighted images; subspace: least squares
    with a smoothness term; gridding: density-compensated adjoint; lrtv and llr: total variation and locally
    low rank of the subspace image; pnp: plug-and-play with a denoiser of the subspace image."""
    n_iterations: int | None = None
    """Most steps of conjugate gradients (subspace), of alternating directions (lrtv, llr) or of
    plug-and-play; None takes the method's default."""
    regularisation: float | None = None
    """Weight of subspace's smoothness term, of lrtv's and llr's regulariser, or noise that pnp's
    denoiser is told, relative to the noise; None takes the method's default."""
    rank: int | None = None
    """Dimension of the temporal subspace; None keeps ``energy``."""
    energy: float = 0.9999
    """Fraction of the dictionary's energy that the subspace must hold, 0..1."""
    n_virtual_coils: int = 8
    """Coils left after compression."""
    matrix: tuple[int, int, int] | None = None
    """Voxels along (z, y, x) over the scan's field of view; None takes the file's."""
    t1_range: tuple[float, float] = (0.1, 5.0)
    """Shortest and longest T1 in the dictionary [s]."""
    t2_range: tuple[float, float] = (0.01, 2.0)
    """Shortest and longest T2 in the dictionary [s]."""
    grid_step: float = 0.05
    """Largest relative step between neighbouring dictionary values."""
    denoiser: str | None = None
    """Weights of mri2qmap's or pnp's denoiser (.safetensors); None takes those of the package."""
    random_seed: int = 0
    """Of the noise whose way through the solver tells how noisy the image is."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    @property
    def iterations(self) -> int:
        """Steps that the method takes; 0 if it is direct."""
        return self.n_iterations or DEFAULT_ITERATIONS.get(self.method, 0)

    @property
    def weight(self) -> float:
        """Weight of the regulariser; 0 if the method has none."""
        default = DEFAULT_REGULARISATION.get(self.method, 0.0)
        return default if self.regularisation is None else self.regularisation

    @property
    def weights_file(self) -> Path | None:
        """Weights of the denoiser; None if the method has no denoiser."""
        if self.method not in ("mri2qmap", "pnp"):
            return None
        return Path(self.denoiser) if self.denoiser else default_weights(self.method)

    def resolved(self) -> "ReconOptions":
        """The same options with the method's defaults filled in, and None for what it lacks."""
        return replace(
            self,
            n_iterations=self.iterations if self.method in DEFAULT_ITERATIONS else None,
            regularisation=self.weight if self.method in DEFAULT_REGULARISATION else None,
        )


def sloppy(options: ReconOptions) -> ReconOptions:
    """The same method quick and rough: a coarse dictionary, few coils, components and steps.

    Steps that were asked for stay.

    Parameters
    ----------
    options
        What it is made of.
    """
    steps = {method: max(1, n // 4) for method, n in DEFAULT_ITERATIONS.items()}
    return replace(
        options,
        grid_step=4 * options.grid_step,
        energy=0.999,
        n_virtual_coils=4,
        n_iterations=options.n_iterations or steps.get(options.method),
    )


def default_weights(method: ReconMethod = "mri2qmap") -> Path:
    """The weights that come with the package.

    Parameters
    ----------
    method
        mri2qmap's see all contrasts of a slice together, pnp's one image at a time.
    """
    name = "separate" if method == "pnp" else "joint"
    return Path(str(files("mri2qmap_bids.recon.pnp") / "weights" / f"{name}.safetensors"))
