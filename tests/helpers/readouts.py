"""Readouts as a converter has them."""

import numpy as np

from mri2qmap_bids.convert.readouts import COUNTERS, Readouts


def readouts(n, n_samples=5, **counters):
    """Readouts of one coil, each with its number as signal; counters that are not named are 0."""
    values = {name: np.zeros(n, np.int64) for name in (*COUNTERS, "slice")}
    values |= {name: np.asarray(numbers) for name, numbers in counters.items()}
    samples = [np.full((1, n_samples), number, np.complex64) for number in range(n)]
    return Readouts(samples, values, [{"number": number} for number in range(n)])
