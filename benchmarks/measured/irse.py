"""T1 of a phantom from measured inversion-recovery spin echoes, by the whole command.

python -m benchmarks.measured.irse DATA WORK

DATA is a folder with raw_TI50ms.mat ... raw_TI3000ms.mat (128 lines, 20 coils, 128 samples each): the ISMRM/NIST
phantom at 3 T, TR 4.5 s, TE 10 ms. The ten inversion times are ten frames of one scan, converted by
``mri2qmap-tools convert arrays`` and reconstructed by ``mri2qmap`` with all lines, and with every fourth or
eighth line of each frame (another one in every frame). Writes irse.json and the maps into WORK; with ``--table FILE``
it only makes a table of them, below the line ``<!-- table -->`` of that file, and a picture beside it.
"""

import argparse
import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
import scipy.io
from numpy.typing import NDArray

from mri2qmap_bids import tools
from mri2qmap_bids.cli import main as mri2qmap

INVERSION_TIMES = (50, 75, 100, 125, 150, 250, 1000, 1500, 2000, 3000)
NOMINAL = (1838, 1398, 998, 726, 509, 367, 259, 185, 131, 91, 64, 46, 33)
"""T1 of the spheres at 20 C and 3 T [ms]."""
CENTRES = (
    (38.0, 64.0), (43.1, 78.9), (56.0, 88.0), (72.1, 88.1), (84.7, 78.6), (89.3, 63.6), (84.1, 48.8),
    (71.3, 39.2), (55.6, 39.4), (42.8, 48.9), (53.4, 53.8), (53.7, 74.1), (74.3, 74.1),
)  # fmt: skip
"""Row and column of the spheres' centres in the plain image, in the order of NOMINAL."""
METHODS = ("subspace", "lrtv", "llr", "mri2qmap")
FOV = 0.25
"""Along read and phase encoding [m]."""


def read_kspace(data: Path) -> NDArray[np.complex64]:
    """K-space of all inversion times, shape (coil, frame, line, sample)."""
    frames = [
        scipy.io.loadmat(data / f"raw_TI{time}ms.mat")["data"].transpose(1, 0, 2)
        for time in INVERSION_TIMES
    ]
    return np.ascontiguousarray(np.stack(frames, axis=1), np.complex64)


def sidecar() -> dict[str, object]:
    """The pulse sequence; how complete its inversion is, is not known."""
    return {
        "PulseSequenceType": "SpinEcho",
        "EchoTime": 0.01,
        "RepetitionTimeExcitation": 4.5,
        "InversionTime": [time * 1e-3 for time in INVERSION_TIMES],
    }


def spheres(shape: tuple[int, int]) -> NDArray[np.int64]:
    """Labels of the spheres, discs of 2.5 voxels around their centres in the plain image, by falling T1."""
    rows, columns = np.indices(shape)
    labels = np.zeros(shape, np.int64)
    for number, (row, column) in enumerate(CENTRES, start=1):
        labels[(rows - row) ** 2 + (columns - column) ** 2 <= 2.5**2] = number
    return labels


def undersampled(factor: int, n_frames: int, n_lines: int) -> NDArray[np.bool_]:
    """Every ``factor``-th line, with another start in each frame, shape (frame, line)."""
    lines = np.zeros((n_frames, n_lines), bool)
    step = 3 if factor % 3 else 1
    for frame in range(n_frames):
        lines[frame, (step * frame) % factor :: factor] = True
    return lines


def write_scan(kspace: NDArray[np.complex64], factor: int, folder: Path) -> Path:
    """A BIDS dataset of the scan, with some of its lines."""
    n_coils, n_frames, n_lines, n_samples = kspace.shape
    lines = undersampled(factor, n_frames, n_lines)
    ky, kx = np.meshgrid(
        np.arange(n_lines) - n_lines // 2, np.arange(n_samples) - n_samples // 2, indexing="ij"
    )
    positions = np.broadcast_to(np.stack([kx, ky], -1), (n_frames, n_lines, n_samples, 2))
    frames = np.broadcast_to(np.arange(n_frames)[:, None, None], (n_frames, n_lines, n_samples))
    edge = kspace[:, :, [0, 1, -2, -1]].reshape(n_coils, -1)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "scan.npz",
        kspace=kspace[:, lines].reshape(n_coils, -1),
        trajectory=positions[lines].reshape(-1, 2),
        trajectory_units="cycles/fov",
        frames=frames[lines].reshape(-1),
        fov=[FOV, FOV, 0.006],
        matrix=[n_samples, n_lines],
        # There is no noise scan: the outermost lines hold hardly anything else.
        noise=edge,
    )
    (folder / "train.json").write_text(json.dumps(sidecar()))
    words = ["convert", "arrays", str(folder / "scan.npz"), str(folder / "bids")]
    words += ["--participant-label", "nist", "--sidecar", str(folder / "train.json"), "--overwrite"]
    if tools.main(words) != 0:
        sys.exit(f"{folder}: the scan could not be converted")
    return folder / "bids"


def t1_of(
    dataset: Path, method: str, folder: Path, efficiency: str
) -> tuple[NDArray[np.float64], float]:
    """T1 map [s], axes (y, x), and the inversion efficiency: that of the scan, or the median of its map."""
    name = f"{method}-{efficiency}"
    words = [str(dataset), str(folder / name), "participant", "-w", str(folder / f"work-{name}")]
    words += ["--recon-method", method, "--inversion-efficiency", efficiency, "--force"]
    if mri2qmap(words) != 0:
        sys.exit(f"{dataset}: {method} failed")
    (path,) = (folder / name).rglob("sub-nist_T1map.nii.gz")
    keys = json.loads(path.with_name("sub-nist_T1map.json").read_text())
    return np.asarray(nib.load(path).dataobj).T[0], keys["MRFInversionEfficiency"]


def plain_fit(
    kspace: NDArray[np.complex64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], float]:
    """T1 of every sphere [s], fitted to its signals in the images, and one efficiency.

    s(TI) = a (1 - (1 + e m) exp(-TI / T1)), m = 1 - exp(-(TR - TI) / T1) the magnetisation that the inversion meets;
    s is the first singular vector of the voxels and coils of a sphere. The efficiency is that of the spheres above
    100 ms.
    """
    axes = (2, 3)
    images = np.fft.fftshift(
        np.fft.ifft2(np.fft.ifftshift(kspace, axes=axes), axes=axes), axes=axes
    )
    ti = 1e-3 * np.array(INVERSION_TIMES)
    t1 = np.geomspace(0.02, 4.0, 2000)[:, None]
    signals = []
    for number in range(1, len(NOMINAL) + 1):
        voxels = images[:, :, labels == number].transpose(1, 0, 2).reshape(len(ti), -1)
        u, s, _ = np.linalg.svd(voxels, full_matrices=False)
        signal = u[:, 0] * s[0]
        signals.append((signal * np.exp(-1j * np.angle((signal**2).sum()) / 2)).real)

    def fitted(efficiency: float) -> tuple[NDArray[np.float64], float]:
        meets = 1 - np.exp(-(4.5 - ti) / t1)
        model = 1 - (1 + efficiency * meets) * np.exp(-ti / t1)
        model /= np.linalg.norm(model, axis=1, keepdims=True)
        rest = np.array([1 - (model @ s) ** 2 / (s @ s) for s in signals])
        best, long = rest.argmin(1), np.array(NOMINAL) > 100
        return t1[best, 0], float(np.log(rest.min(1)[long]).sum())

    efficiencies = np.arange(0.5, 1.0001, 0.002)
    best = min(efficiencies, key=lambda e: fitted(e)[1])
    return fitted(best)[0], float(best)


def write_table(work: Path, file: Path) -> None:
    """Median T1 of every sphere, and the maps."""
    results = json.loads((work / "irse.json").read_text())
    head = (
        "| method | lines | efficiency | "
        + " | ".join(map(str, NOMINAL))
        + " | mean error above 100 ms |"
    )
    rows = [head, "|---" * (4 + len(NOMINAL)) + "|"]
    long = np.array(NOMINAL) > 100
    order = {name: (int(name.split()[1]), METHODS.index(name.split()[0])) for name in results["t1"]}
    results["t1"] = {name: results["t1"][name] for name in sorted(order, key=order.__getitem__)}
    for name, spheres_of in results["t1"].items():
        method, factor, efficiency_from = name.split()
        values = np.array([median for median, _ in spheres_of])
        error = 100 * np.abs(values / NOMINAL - 1)[long].mean()
        lines = "all" if factor == "1" else f"1 of {factor}"
        cells = " | ".join(f"{value:.0f}" for value in values)
        efficiency = f"{results['efficiency'][name]:.3f}" + " (map)" * (efficiency_from == "map")
        rows.append(f"| {method} | {lines} | {efficiency} | {cells} | {error:.1f} % |")
    cells = " | ".join(f"{value:.0f}" for value in results["plain"][0])
    error = 100 * np.abs(np.array(results["plain"][0]) / NOMINAL - 1)[long].mean()
    plain = f"| plain fit | all | {results['plain'][1]:.3f} | {cells} | {error:.1f} % |"
    rows.insert(2, plain)
    text = file.read_text().split("<!-- table -->")[0]
    file.write_text(f"{text}<!-- table -->\n\n" + "\n".join(rows) + "\n")
    methods = list(dict.fromkeys(name.split()[0] for name in results["t1"]))
    factors = list(dict.fromkeys(name.split()[1] for name in results["t1"]))
    figure, axes = plt.subplots(
        len(factors), len(methods), figsize=(2.6 * len(methods), 2.6 * len(factors)), squeeze=False
    )
    for row, factor in zip(axes, factors, strict=True):
        for axis, method in zip(row, methods, strict=True):
            path = work / f"t1-{method}-{factor}-estimate.npy"
            axis.axis("off")
            if path.exists():
                axis.imshow(np.load(path)[20:108, 18:106], vmin=0, vmax=2.2, cmap="inferno")
                axis.set_title(f"{method}, {'all lines' if factor == '1' else f'1 of {factor}'}")
    figure.tight_layout()
    figure.savefig(file.with_suffix(".png"), dpi=80)


def main() -> None:
    """Reconstruct, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--factors", nargs="+", type=int, default=[1, 4, 8])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--efficiency", choices=("estimate", "map"), default="estimate")
    parser.add_argument("--table", type=Path)
    words = parser.parse_args()
    if words.table:
        write_table(words.work, words.table)
        return
    kspace = read_kspace(words.data)
    labels = spheres(kspace.shape[2:])
    file = words.work / "irse.json"
    results = json.loads(file.read_text()) if file.exists() else {"efficiency": {}, "t1": {}}
    times, plain_efficiency = plain_fit(kspace, labels)
    results["plain"] = [(1e3 * times).tolist(), plain_efficiency]
    for factor in words.factors:
        folder = words.work / f"r{factor}"
        dataset = write_scan(kspace, factor, folder)
        for method in words.methods:
            t1, efficiency = t1_of(dataset, method, folder, words.efficiency)
            name = f"{method} {factor} {words.efficiency}"
            results["efficiency"][name] = efficiency
            np.save(words.work / f"t1-{name.replace(' ', '-')}.npy", t1)
            numbers = range(1, int(labels.max()) + 1)
            results["t1"][name] = [
                [1e3 * float(np.median(t1[labels == n])), 1e3 * float(t1[labels == n].std())]
                for n in numbers
            ]
            file.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
