"""What a preconditioner would save: error after every step of conjugate gradients, with and without.

python -m benchmarks.speed.precondition benchmarks/speed/precondition.md

The preconditioner is the circulant one of the sampling density: for every component i,
M^-1 r = F^-1 (F r / (K_ii + e max K_ii)), K_ii the spectrum of its Toeplitz kernel.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.speed.problem import SIZES, make_problem, nrmse
from mri2qmap_bids.recon.arrays import SubspaceImage
from mri2qmap_bids.recon.encoding import toeplitz
from mri2qmap_bids.recon.encoding.forward import Encoding, adjoint

N_STEPS = 30
SHOWN = (3, 6, 9, 12, 15, 20, 30)
RIDGES = (0.3, 0.1, 0.03, 0.01)

Operator = Callable[[SubspaceImage], SubspaceImage]


def steps(
    normal: Operator, target: SubspaceImage, inverse: Operator, truth: np.ndarray
) -> list[float]:
    """Error after every preconditioned step."""
    image, residual = torch.zeros_like(target), target.clone()
    scaled = inverse(residual)
    direction = scaled.clone()
    energy = torch.vdot(residual.flatten(), scaled.flatten()).real
    errors = []
    for _ in range(N_STEPS):
        applied = normal(direction)
        length = energy / torch.vdot(direction.flatten(), applied.flatten()).real
        image = image + length * direction
        residual = residual - length * applied
        scaled = inverse(residual)
        previous, energy = energy, torch.vdot(residual.flatten(), scaled.flatten()).real
        direction = scaled + (energy / previous) * direction
        errors.append(nrmse(image.numpy(), truth))
    return errors


def main() -> None:
    """Solve the 2D problem of ``peers.py`` every way and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    words = parser.parse_args()
    problem = make_problem(SIZES["2d"])
    k, y = problem["k"], problem["y"]
    n = np.array(problem["coils"].shape[1:])
    omega = torch.from_numpy((k.reshape(-1, 2) * 2 * np.pi / n).astype(np.float32))
    frame = torch.arange(len(k)).repeat_interleave(k.shape[1] * k.shape[2])
    basis, coils = (torch.from_numpy(problem[name]) for name in ("basis", "coils"))
    encoding = Encoding(omega, frame, basis, coils)
    operator = toeplitz.toeplitz_normal(encoding)
    target = adjoint(encoding, torch.from_numpy(y.reshape(len(y), -1)))
    rank = basis.shape[1]
    # Pairs i <= j come column by column, so that (i, i) is the last of its column.
    density = operator.spectra[0, [(i + 1) * (i + 2) // 2 - 1 for i in range(rank)]].clamp_min(0)

    def circulant(ridge: float) -> Operator:
        gain = 1 / (density + ridge * density.amax((1, 2), keepdim=True))
        return lambda image: torch.fft.ifftn(gain * torch.fft.fftn(image, dim=(1, 2)), dim=(1, 2))

    ways: dict[str, Operator] = {"none": lambda image: image}
    ways |= {f"circulant, e = {ridge:g}": circulant(ridge) for ridge in RIDGES}
    lines = [
        "# Preconditioned conjugate gradients",
        "",
        f"`python -m benchmarks.speed.precondition {words.table}`: NRMSE against the known image after so many steps, "
        "the 2D problem of [peers](peers.md).",
        "",
        "| preconditioner | " + " | ".join(str(step) for step in SHOWN) + " | least | at step |",
        "|---" * (len(SHOWN) + 3) + "|",
    ]
    for name, inverse in ways.items():
        errors = steps(
            lambda image: toeplitz.apply(operator, image), target, inverse, problem["truth"]
        )
        cells = [f"{errors[step - 1]:.4f}" for step in SHOWN]
        best = int(np.argmin(errors))
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {errors[best]:.4f} | {best + 1} |")
    words.table.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
