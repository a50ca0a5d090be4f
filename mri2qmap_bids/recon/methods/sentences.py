"""Sentences shared by the methods texts of several methods."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from mri2qmap_bids.recon.methods.least_squares import LeastSquaresSettings
from mri2qmap_bids.recon.priors.smoothness import HIDDEN

ENCODED = (
    "Images were transformed to k-space by non-uniform fast Fourier transforms [@barnett2019]. "
)


def least_squares_text(settings: LeastSquaresSettings) -> str:
    """The least-squares image, from which all methods except gridding start."""
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
        "variance of its residual in shells of k-space gave the noise level and, where model errors exceeded the "
        "noise, the weights of the samples (generalised least squares [@aitken1936]). The image was then solved "
        f"for with {smooth}, in rounds of at most {settings.steps} steps, each of which stops once the estimated "
        "distance to the minimiser is small compared with the uncertainty of the image."
    )


def error_text(settings: LeastSquaresSettings) -> str:
    """How noise was propagated to the error of the least-squares image."""
    return (
        "and the posterior distribution of the least-squares image, from which one sample was drawn "
        f"(perturb-and-MAP [@papandreou2011]; at most {settings.replica_steps} conjugate-gradient steps per "
        "round)"
    )


def penalty_text(penalty: str, weight: float, scale: str, steps: int) -> str:
    """The regulariser that replaces the smoothness term, but for its share in heavy noise; empty for weight 0."""
    if not weight:
        return ""
    return (
        f" Starting from that image, {penalty} replaced the smoothness term (where the mean of the transfer function "
        f"was below {100 * HIDDEN[1]:g} %, joined it with a share that rises to 1 at {100 * HIDDEN[0]:g} %), with "
        f"weight {weight:g} relative to {scale}; the sum was minimised by the alternating direction method of "
        f"multipliers [@boyd2011] in at most {steps} steps."
    )


def edges_text(known: float) -> str:
    """Total variation in two rounds, the second with edge weights.

    Parameters
    ----------
    known
        Mean of the transfer function from which on there are two.
    """
    return (
        f" Where the mean of the transfer function was at least {100 * known:g} %, this was done in two rounds; in "
        "the second, total variation of a voxel was weighted by 2 d / (d + |D x|), with |D x| its differences in the "
        "image of the first and d their mean in the object, so that edges keep their height (reweighted l1 "
        "minimisation [@candes2008])."
    )


def data_step_text(steps: int) -> str:
    """The data-consistency step of half-quadratic splitting."""
    return (
        f"a data-consistency step (at most {steps} preconditioned conjugate-gradient steps) with a "
        "quadratic penalty"
    )


def iterations_text(steps: int) -> str:
    """The number of iterations."""
    return "one iteration" if steps == 1 else f"at most {steps} iterations"


def weights_text(options: Mapping[str, Any]) -> str:
    """The weights of the denoiser."""
    file = options.get("denoiser")
    return f"weights {PurePath(file).name}" if file else "weights of the package"
