"""One pulse sequence of every type."""

import numpy as np

from mri2qmap_bids.recon.physics.sequences.bssfp import bssfp
from mri2qmap_bids.recon.physics.sequences.fisp import fisp
from mri2qmap_bids.recon.physics.sequences.look_locker import look_locker
from mri2qmap_bids.recon.physics.sequences.multi_echo_spin_echo import multi_echo_spin_echo
from mri2qmap_bids.recon.physics.sequences.prepared_gradient_echo import prepared_gradient_echo
from mri2qmap_bids.recon.physics.sequences.qti import qti
from mri2qmap_bids.recon.physics.sequences.spin_echo import spin_echo
from mri2qmap_bids.recon.physics.sequences.spoiled_gradient_echo import spoiled_gradient_echo

rng = np.random.default_rng(3)
N = 60
FLIPS = np.deg2rad(5 + 40 * rng.random(N))
TIMES = 0.008 + 0.006 * rng.random(N)
CASES = {
    "FISP": fisp(FLIPS, TIMES, 0.002, inversion_time=0.02, inversion_efficiency=0.9),
    "bSSFP": bssfp(FLIPS, TIMES, inversion_time=0.02),
    "SpoiledGradientEcho": spoiled_gradient_echo(FLIPS, TIMES, 0.003, inversion_time=0.1),
    "SpinEcho": spin_echo(
        [0.01, 0.02, 0.05, 0.1], [1.0, 0.6, 0.8, 1.5], [0.0, 0.1, 0.3, 0.6],
        flip_angle=1.4, refocusing_angle=2.8, inversion_efficiency=0.93,
    ),
    "MultiEchoSpinEcho": multi_echo_spin_echo(
        0.01 * np.arange(1, 17), 0.7, refocusing_angle=np.deg2rad(130 + 40 * rng.random(16))
    ),
    "PreparedGradientEcho": prepared_gradient_echo(
        0.15, 0.006, 0.002,
        inversion_time=np.where(np.arange(N) == 0, 0.05, 0.0),
        t2_preparation_time=np.where(np.arange(N) % 20 == 0, 0.04 * (np.arange(N) > 0), 0.0),
        recovery_time=np.where(np.arange(N) % 20 == 0, 0.4, 0.0),
    ),
    "LookLocker": look_locker(np.full(N, 0.1), 0.03, 0.002, inversion_time=0.02),
    "QTI": qti(
        FLIPS, TIMES, 0.001 + 0.003 * rng.random(N), 6 * rng.random(N),
        spoiling_cycles=rng.integers(0, 3, N), recovery_time=0.1 * (rng.random(N) < 0.1),
        inversion_time=0.2 * (rng.random(N) < 0.1), inversion_efficiency=0.95,
        t2_preparation_time=0.05 * (rng.random(N) < 0.1),
    ),
}  # fmt: skip
