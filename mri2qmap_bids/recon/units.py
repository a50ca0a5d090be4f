"""Units that are mistaken for each other, with their factors to SI."""

import math

TIMES = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
ANGLES = {"rad": 1.0, "deg": math.pi / 180}
LENGTHS = {"m": 1.0, "mm": 1e-3, "cm": 1e-2}
# The Larmor frequency of protons is 42.577 MHz/T.
FIELDS = {"T": 1.0, "mT": 1e-3, "MHz": 1 / 42.577, "G": 1e-4}
RATIOS = {"1": 1.0, "%": 1e-2}
