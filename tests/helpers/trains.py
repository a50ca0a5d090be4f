"""Short pulse sequences for tests."""

import numpy as np

from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence


def train(kind="FISP", n_frames=150, **changes) -> PulseSequence:
    """A train with lobes of flip angle after an inversion; fields may be changed."""
    frame = np.arange(n_frames)
    tr = 0.012 if kind == "FISP" else 0.006
    fields = {
        "kind": kind,
        "flip_angle": np.deg2rad(8 + 50 * np.abs(np.sin(np.pi * frame / 60))),
        "repetition_time": np.full(n_frames, tr),
        "echo_time": np.full(n_frames, 0.002 if kind == "FISP" else tr / 2),
        "rf_phase": np.zeros(n_frames) if kind == "FISP" else np.pi * (frame % 2),
        "inversion_time": 0.02,
    }
    return PulseSequence(**(fields | changes))
