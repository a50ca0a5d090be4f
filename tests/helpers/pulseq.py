"""Small Pulseq files, written by hand."""

from pathlib import Path

import numpy as np

HARD, INVERSION, REFOCUSING, SECOND = 1, 2, 3, 4
READ, SPOILER, PREWINDER, RAMPED = 1, 2, 3, 4
"""Numbers of the RF pulses and gradients below."""

# 1 ms at 1 kHz / 4: 90 degrees. A second one of 45 degrees with phase pi / 2.
_RF = {
    (1, 4): ["1 250 1 2 0 0 0 0", "2 500 1 2 0 0 0 0", "3 500 1 2 0 0 0 1.5707963", "4 125 1 2 0 0 0 1.5707963"],
    (1, 5): [
        "1 250 1 2 0 500 0 0 0 0 0 e",
        "2 500 1 2 0 500 0 0 0 0 0 i",
        "3 500 1 2 0 500 0 0 0 0 1.5707963 r",
        "4 125 1 2 0 500 0 0 0 0 1.5707963 e",
    ],
}  # fmt: skip


def write_pulseq(
    path: Path, blocks: list[tuple[int, ...]], version: tuple[int, int] = (1, 5)
) -> Path:
    """A file of blocks (duration [10 us], rf, gx, gy, gz, adc).

    Pulses are hard and last 1 ms. Gradient 1 reads 20 samples 0.1 ms apart at 10 kHz/m (behind a ramp of
    0.1 ms), 2 spoils by 500 / m, 3 takes half of the read gradient's area back, 4 is a ramp by shape.
    """
    rows = [" ".join(map(str, (n, *block, 0))) for n, block in enumerate(blocks, start=1)]
    edges = "0 10000 " if version == (1, 5) else ""
    adc = "1 20 100000 100 0 0" + (" 0 0 0" if version == (1, 5) else "")
    ramp = " ".join(["4", "10000", edges, "3", "0", "0"])
    lines = [
        "# a comment",
        "[VERSION]",
        f"major {version[0]}",
        f"minor {version[1]}",
        "revision 0",
        "[DEFINITIONS]",
        "BlockDurationRaster 1e-05",
        "GradientRasterTime 1e-05",
        "RadiofrequencyRasterTime 1e-06",
        "[BLOCKS]",
        *rows,
        "[RF]",
        *_RF[version],
        "[GRADIENTS]",
        ramp,
        "[TRAP]",
        "1 10000 100 2000 100 0",
        "2 500000 100 900 100 0",
        "3 -10500 100 900 100 0",
        "[ADC]",
        adc,
        "[SHAPES]",
        # A constant, and 100 points of a ramp between 0 and 1, compressed.
        *("shape_id 1", "num_samples 1000", "1", "0", "0", "997"),
        *("shape_id 2", "num_samples 1000", "0", "0", "998"),
        *("shape_id 3", "num_samples 100", "0.005", "0.01", "0.01", "97"),
        "[SIGNATURE]",
        "Type md5",
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def flat_train(n_frames: int, spoiler: int = SPOILER) -> list[tuple[int, ...]]:
    """An inversion, then frames with a pulse, a read gradient and a spoiler along z."""
    frame = [(100, HARD, 0, 0, 0, 0), (110, 0, PREWINDER, 0, 0, 0), (220, 0, READ, 0, 0, 1)]
    frame += [(110, 0, PREWINDER, 0, spoiler, 0)]
    return [(100, INVERSION, 0, 0, 0, 0), (900, 0, 0, 0, 0, 0), *frame * n_frames]


def hyperbolic_secant(n: int = 4000) -> np.ndarray:
    """A pulse of 10 ms that inverts adiabatically, in units of its largest amplitude."""
    position = np.linspace(-1, 1, n)
    envelope = 1 / np.cosh(5.3 * position)
    return np.asarray(envelope * np.exp(1j * 5 * np.log(envelope)))
