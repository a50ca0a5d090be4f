"""Penalised least-squares images by a method's name."""

from dataclasses import replace

from mri2qmap_bids.recon.methods.least_squares import PenalisedImage
from mri2qmap_bids.recon.methods.registry import method_named
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.problem import InverseProblem


def image_of(problem: InverseProblem, method: str, options: ReconOptions) -> PenalisedImage:
    """The image of subspace, lrtv or llr."""
    image = method_named(method).image
    assert image is not None
    return image(problem, replace(options, method=method), None)
