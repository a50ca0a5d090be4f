"""Which runs of a group stand out."""

import numpy as np
import pandas as pd

THRESHOLD = 3.5
"""A run stands out if its robust z is beyond this, as Iglewicz and Hoaglin advise."""
FEWEST_RUNS = 10
"""With fewer runs nothing is judged: of ten normal values 1.7 % are beyond the threshold, of five
5.3 %."""
# Median absolute deviation of a normal distribution, in standard deviations.
_MAD = 0.6745


def robust_z(values: pd.Series) -> pd.Series:
    """How far each value is from the median, in robust standard deviations.

    z = 0.6745 (x - median) / MAD, where MAD is the median of |x - median|.

    Parameters
    ----------
    values
        One per run; NaN counts as no run.

    Returns
    -------
    NaN for all, if there are fewer than ``FEWEST_RUNS`` or more than half of them are the same.

    References
    ----------
    Iglewicz and Hoaglin, How to detect and handle outliers (1993), ASQC Quality Press.
    """
    distance = values - values.median()
    spread = distance.abs().median()
    if values.count() < FEWEST_RUNS or not spread > 0:
        return pd.Series(np.nan, values.index)
    return _MAD * distance / spread


def flags(z: pd.Series) -> pd.Series:
    """``true`` where z is beyond the threshold, ``false`` where not, missing if z is."""
    beyond = pd.Series(np.where(z.abs() > THRESHOLD, "true", "false"), z.index, dtype=object)
    return beyond.where(z.notna(), None)
