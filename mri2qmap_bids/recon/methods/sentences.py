"""Sentences that the texts of several methods share."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from mri2qmap_bids.recon.methods.least_squares import LeastSquaresSettings

ENCODED = "Non-uniform fast Fourier transforms [@barnett2019] took images to k-space. "


def least_squares_text(settings: LeastSquaresSettings) -> str:
    """The image without a learned prior that all methods but gridding begin with."""
    smooth = (
        f"a Tikhonov term of weight {settings.weight:g} towards smooth images: a Gaussian prior with the "
        "power spectrum of images with edges [@ruderman1997], its energy in every component fitted to the "
        "data (empirical Bayes)"
        if settings.weight
        else "no smoothness term (weight 0)"
    )
    return (
        "Images in the subspace were reconstructed by least squares with preconditioned conjugate "
        "gradients [@hestenes1952] and a circulant preconditioner [@chan1988]. At most "
        f"{settings.density_steps} steps with density-compensated samples [@pipe1999] gave a first image; the "
        "variance of what it left in shells of k-space gave the noise and, where the model erred by more, the "
        "weights of the samples (generalised least squares [@aitken1936]). The image was then solved "
        f"for with {smooth}, in rounds of at most {settings.steps} steps, each of which ends once the estimated "
        "distance to the minimiser is small against the image's uncertainty."
    )


def error_text(settings: LeastSquaresSettings) -> str:
    """How noise became an error of the least-squares image."""
    return (
        "and the posterior distribution of the least-squares image, of which one sample was drawn "
        f"(perturb-and-MAP [@papandreou2011]; at most {settings.replica_steps} conjugate-gradient steps a "
        "round)"
    )


def penalty_text(penalty: str, weight: float, steps: int) -> str:
    """The regulariser that takes the place of the smoothness term; nothing for weight 0."""
    if not weight:
        return ""
    return (
        f" From that image on, {penalty} took the place of the smoothness term, weight "
        f"{weight:g} relative to the noise, minimised by the alternating direction method of "
        f"multipliers [@boyd2011] in at most {steps} steps."
    )


def data_step_text(steps: int) -> str:
    """The data-consistency step of half-quadratic splitting."""
    return (
        f"a data-consistency step (at most {steps} preconditioned conjugate-gradient steps) with a "
        "quadratic penalty"
    )


def iterations_text(steps: int) -> str:
    """How many iterations."""
    return "one iteration" if steps == 1 else f"at most {steps} iterations"


def weights_text(options: Mapping[str, Any]) -> str:
    """Which weights the denoiser had."""
    given = options.get("denoiser")
    return f"weights {PurePath(given).name}" if given else "weights of the package"
