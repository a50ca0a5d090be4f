"""Colour scales of the maps, the same for all participants."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from cmcrameri import cm
from matplotlib import colormaps
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scale:
    """A colour scale."""

    label: str
    """Quantity and unit."""
    colours: Literal["lipari", "navia", "gray", "cividis", "viridis"]
    """Colour map: perceptually uniform and safe for colour-blind eyes."""
    low: float
    """Value of the first colour, in the label's unit."""
    high: float
    """Value of the last colour."""
    logarithmic: bool = False
    """Whether the scale is logarithmic."""
    factor: float = 1.0
    """Factor from the map's unit to the label's unit."""
    ticks: tuple[float, ...] = ()
    """Ticks of the colour bar; empty: chosen automatically."""

    @property
    def colormap(self) -> Colormap:
        """Black where there is no value."""
        crameri = {"lipari": cm.lipari, "navia": cm.navia}
        colours: Colormap = crameri.get(self.colours) or colormaps[self.colours]
        return colours.with_extremes(bad="black")

    @property
    def shown_ticks(self) -> list[float]:
        """Values beside the colour bar."""
        if self.ticks:
            return list(self.ticks)
        ticks = MaxNLocator(5).tick_values(self.low, self.high)
        return [float(tick) for tick in ticks if self.low <= tick <= self.high]

    @property
    def norm(self) -> Normalize:
        """Values to 0..1."""
        kind = LogNorm if self.logarithmic else Normalize
        return kind(self.low, self.high, clip=True)


# Colours and logarithm as the MRM guideline recommends: Fuderer et al., Color-map recommendation
# for MR relaxometry maps (2024), doi:10.1002/mrm.30290.
T1 = Scale("T1 [ms]", "lipari", 400, 4000, True, 1e3, (400, 700, 1000, 1500, 2500, 4000))
T2 = Scale("T2 [ms]", "navia", 40, 300, True, 1e3, (40, 60, 80, 120, 200, 300))
# 0.5 to 50 %: errors of a good scan and of a bad one in different colours.
_ERRORS = (0.5, 1, 2, 5, 10, 20, 50)
RELATIVE_T1 = Scale("standard deviation of T1 [%]", "cividis", 0.5, 50, True, 100, _ERRORS)
RELATIVE_T2 = Scale("standard deviation of T2 [%]", "cividis", 0.5, 50, True, 100, _ERRORS)
MISFIT = Scale("misfit of the fingerprint [%]", "cividis", 0.1, 100, True, 100, (0.1, 1, 10, 100))
RESIDUAL = Scale("residual / noise", "cividis", 0, 4, ticks=(0, 1, 2, 3, 4))


def own_scale(label: str, values: NDArray[np.floating], unit: str = "arbitrary") -> Scale:
    """Grey scale of an image of no usual range; white is the 99th percentile, black 0 or the 1st one if that is less.

    Parameters
    ----------
    label
        The image's name.
    values
        Those inside the mask; what is not finite does not count.
    unit
        Of the values.
    """
    finite = values[np.isfinite(values)]
    low, high = (float(v) for v in np.quantile(finite, (0.01, 0.99))) if finite.size else (0.0, 0.0)
    low = min(low, 0.0)
    return Scale(f"{label} [{unit}]", "gray", low, high if high > low else low + 1)
