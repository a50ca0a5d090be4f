"""Small training data."""

import gzip

import nibabel as nib
import numpy as np

from mri2qmap_bids.recon.denoisers.unet import UNetShape
from mri2qmap_bids.training.data import Slice, TissueSlice

CONTRASTS = UNetShape().contrasts


def write_volume(path, seed=0, shape=(64, 60, 20), sizes=(1.0, 1.0, 4.0)):
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    volume = 100 * (grid[0] ** 2 + grid[1] ** 2 < 0.9) * (1 + 0.3 * np.sin(5 * grid[0] + seed))
    volume += rng.random(shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(volume.astype(np.float32), np.diag([*sizes, 1.0])), path)


def some_slices(n=6):
    rng = np.random.default_rng(0)
    return [
        Slice(
            rng.random((6, 70, 80)).astype(np.float16),
            np.array([True, True, number % 2 == 0, True, False, False]),
            f"s{number}",
        )
        for number in range(n)
    ]


def some_tissues(n=4):
    """Rings of grey and white matter with fluid around them, in air."""
    y, x = np.mgrid[:80, :72]
    tissues = []
    for number in range(n):
        radius = np.hypot(y - 40, x - 36) + number
        which = np.select([radius < 12, radius < 22, radius < 30], [3, 2, 1], 0)
        parts = 255 * (which == np.arange(12)[:, None, None])
        tissues.append(TissueSlice(parts.astype(np.uint8), f"b{number}"))
    return tissues


def write_labels(path, numbers=(2, 3, 24, 507), n=56):
    """A head of nested balls, with FreeSurfer's numbers from the inside out."""
    z, y, x = np.mgrid[:n, :n, :n] - n / 2
    radius = np.sqrt(x**2 + y**2 + z**2) / (n / 2)
    labels = np.select([radius < edge for edge in (0.4, 0.6, 0.75, 0.95)], numbers, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(labels.astype(np.int16), np.eye(4)), path)
    return path


DAMAGES = ("truncated", "corrupt", "header", "text", "empty")


def damage(path, how):
    """Spoil a compressed volume."""
    whole = path.read_bytes()
    content = {
        "truncated": whole[: len(whole) // 2],
        "corrupt": whole[:100] + b"\xff" * 200 + whole[300:],
        "header": gzip.compress(gzip.decompress(whole)[:40] + b"\xff" * 400),
        "text": b"nothing",
        "empty": b"",
    }
    path.write_bytes(content[how])
