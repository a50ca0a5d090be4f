"""What imperfect scans do to the maps, and what the program does about it.

python -m benchmarks.effects.run

A digital brain (MNI152, one slice of 64 x 64, 200 frames of FISP, golden-angle spiral, R = 4, 8 coils, light noise),
reconstructed by ``subspace``, and one thing at a time changed in the scan. *before*: nothing is done about it.
*after*: by the program, or with the map, delay or profile that it takes. Writes rows.jsonl, whose rows are not measured
again, and results.md beside this file; what is below its line ``<!-- findings -->`` stays.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from unittest.mock import patch

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids import tools
from mri2qmap_bids.dataset.sidecar import read_scan
from mri2qmap_bids.errors import Mri2QmapError
from mri2qmap_bids.logs import heard_warnings
from mri2qmap_bids.recon import reconstruct as package
from mri2qmap_bids.recon.acquisition.raw import read_samples
from mri2qmap_bids.recon.acquisition.scan import RawScan, SliceSamples
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.recon.physics.slice_profile import RFPulse, slice_profile
from mri2qmap_bids.simulate import scan as simulate_module
from mri2qmap_bids.simulate.fields import static_field
from mri2qmap_bids.simulate.grid import grid_centre, voxel_centres
from mri2qmap_bids.simulate.rawfile import RawFileOptions
from mri2qmap_bids.simulate.scan import Scan, ScanOptions, simulate_scan
from mri2qmap_bids.simulate.sequences import make_sequence
from mri2qmap_bids.simulate.trajectory import Readout, Trajectory, make_trajectory

HERE = Path(__file__).parent
ROWS = HERE / "rows.jsonl"
N_FRAMES, DWELL = 200, 8e-6
OPTIONS = ReconOptions("subspace", device="cpu")
BASE = ScanOptions(
    make_sequence("FISP", N_FRAMES),
    matrix=(64, 64, 1),
    acceleration=4,
    noise=0.1,
    raw_file=RawFileOptions(dwell_time=DWELL),
)


@dataclass(frozen=True)
class Row:
    """One scan, reconstructed."""

    effect: str
    t1: float
    """Mean absolute error in grey and white matter [%]."""
    t2: float
    figures: str
    """What the program measured."""
    warnings: tuple[str, ...]


def raw(simulated: Scan) -> RawScan:
    """A simulated slice as it would be read from a file."""
    acquired, geometry = simulated.acquired, simulated.geometry
    _, n_frames, n_arms, n_coils, n_samples = acquired.kspace.shape
    depth, height, width = (
        n * size for n, size in zip(geometry.matrix, geometry.voxel_size, strict=True)
    )
    centre = int(np.linalg.norm(acquired.trajectory.positions[0, 0], axis=-1).argmin())
    samples = SliceSamples(
        torch.from_numpy(np.moveaxis(acquired.kspace[0], 2, 0).reshape(n_coils, -1).copy()),
        torch.from_numpy(acquired.trajectory.positions.reshape(-1, 2) / np.float32(width)),
        torch.arange(n_frames).repeat_interleave(n_arms * n_samples),
        (torch.arange(n_samples) - centre).repeat(n_frames * n_arms) * DWELL,
    )
    noise = None if acquired.noise is None else torch.from_numpy(acquired.noise)
    return RawScan((samples,), noise, geometry, (depth, height, width), n_frames, is_3d=False)


def changed(scan: RawScan, **changes: object) -> RawScan:
    """A scan with other samples in its slice."""
    return replace(scan, slices=(replace(scan.slices[0], **changes),))  # type: ignore[arg-type]


def coil(scan: RawScan, kind: str) -> RawScan:
    """The third coil dead, with noise alone, or far too noisy."""
    kspace, noise = scan.slices[0].kspace.clone(), scan.noise
    assert noise is not None
    noise = noise.clone()
    generator = torch.Generator().manual_seed(1)
    white = torch.view_as_complex(torch.randn(*kspace[2].shape, 2, generator=generator)) / 2**0.5
    white = white * float(noise[2].abs().square().mean().sqrt())
    if kind == "dead":
        kspace[2], noise[2] = 0, 0
    elif kind == "noise":
        kspace[2] = 3 * white
    else:
        kspace[2] += 30 * white
    return replace(changed(scan, kspace=kspace), noise=noise)


def moved(scan: RawScan, voxels: float) -> RawScan:
    """The object shifted along x in the second half of the train."""
    part = scan.slices[0]
    turn = part.trajectory[:, 0] * voxels * scan.geometry.voxel_size[2]
    phase = torch.exp(-2j * torch.pi * turn)
    late = part.frame >= scan.n_frames // 2
    return changed(scan, kspace=torch.where(late, part.kspace * phase, part.kspace))


def late(positions: NDArray[np.float32], delay: float) -> NDArray[np.float32]:
    """Positions (..., sample, axis) of gradients that come later by a delay [sample]."""
    lines = positions.reshape(-1, *positions.shape[-2:])
    place = np.arange(lines.shape[1])
    result = np.empty_like(lines)
    for line, out in zip(lines, result, strict=True):
        for axis in (0, 1):
            out[:, axis] = np.interp(place - delay, place, line[:, axis])
    return result.reshape(positions.shape)


def with_delay(delay: float) -> tuple[Scan, RawScan, RawScan]:
    """A scan by late gradients; as a file has it, with the nominal trajectory; and with the corrected one."""

    def played(*words: object) -> Trajectory:
        nominal = make_trajectory(*words)  # type: ignore[arg-type]
        return replace(nominal, positions=late(nominal.positions, delay))

    with patch.object(simulate_module, "make_trajectory", played):
        simulated = simulate_scan(BASE, 0, 0)
    file = raw(simulate_scan(replace(BASE, noise=0.0), 0, 0)).slices[0].trajectory
    scan = changed(raw(simulated), trajectory=file)
    n_samples = simulated.acquired.kspace.shape[4]
    lines = file.numpy().reshape(-1, n_samples, 2)
    corrected = torch.from_numpy(late(lines, delay).reshape(-1, 2))
    return simulated, scan, changed(scan, trajectory=corrected)


def score(
    effect: str,
    scan: RawScan,
    truth: Scan,
    sequence: PulseSequence = BASE.sequence,
    b0: np.ndarray | None = None,
    guarded: bool = True,
) -> Row:
    """Reconstruct, and compare with the known maps in grey and white matter."""
    known = _measured().get(effect)
    if known is not None:
        return known
    nothing: Callable[[RawScan], RawScan] = lambda scan: scan  # noqa: E731
    with heard_warnings() as warnings:
        if guarded:
            maps, found = package.reconstruct_and_diagnose(scan, sequence, OPTIONS, b0=b0)
        else:
            with patch.object(package, "without_faulty_coils", nothing):
                maps, found = package.reconstruct_and_diagnose(scan, sequence, OPTIONS, b0=b0)
    inside = np.isin(truth.brain.labels, (1, 2))
    t1, t2 = (
        100 * float(np.mean(np.abs(value[inside] / true[inside] - 1)))
        for value, true in ((maps.t1, truth.brain.t1), (maps.t2, truth.brain.t2))
    )
    (figures,) = (each.figures for each in found.slices)
    words = (
        f"residual {found.part.residual.noise:.2f}, motion {figures.displacement:.2f}, "
        f"delay {figures.delay:.3f}"
    )
    row = Row(effect, t1, t2, words, tuple(warnings))
    with ROWS.open("a") as stream:
        stream.write(json.dumps(asdict(row)) + "\n")
    return row


def _measured() -> dict[str, Row]:
    """Rows of an earlier call, by effect."""
    lines = ROWS.read_text().splitlines() if ROWS.exists() else []
    found = (json.loads(line) for line in lines)
    return {row["effect"]: Row(**{**row, "warnings": tuple(row["warnings"])}) for row in found}


def rows() -> list[Row]:
    """All effects."""
    simulated = simulate_scan(BASE, 0, 0)
    scan, n_samples = raw(simulated), simulated.acquired.kspace.shape[4]
    part = scan.slices[0]
    result = [score("none", scan, simulated)]
    for kind, name in (
        ("dead", "coil without signal"),
        ("noise", "coil of noise alone, 3 x"),
        ("noisy", "coil 30 x noisier than its noise scan"),
    ):
        bad = coil(scan, kind)
        result.append(score(f"{name}: before", bad, simulated, guarded=False))
        result.append(score(f"{name}: after", bad, simulated))
    twice = torch.cat([torch.arange(len(part.frame)), torch.arange(len(part.frame) // 10)])
    again = changed(
        scan,
        kspace=part.kspace[:, twice],
        trajectory=part.trajectory[twice],
        frame=part.frame[twice],
        time=None,
    )
    result.append(score("first tenth of the arms doubled in the file", again, simulated))
    two = simulate_scan(replace(BASE, acceleration=2), 0, 0)
    plain = raw(two)
    rng = np.random.default_rng(0)
    n_lines, n_arm = N_FRAMES * two.acquired.kspace.shape[2], two.acquired.kspace.shape[4]
    stay = np.ones(n_lines, bool)
    stay[2 * rng.choice(N_FRAMES, 60, replace=False)] = False
    chosen = torch.from_numpy(np.repeat(stay, n_arm))
    gaps = changed(
        plain,
        kspace=plain.slices[0].kspace[:, chosen],
        trajectory=plain.slices[0].trajectory[chosen],
        frame=plain.slices[0].frame[chosen],
        time=None,
    )
    result.append(score("two arms a frame", plain, two))
    result.append(score("two arms a frame, one missing in 60 of 200 frames", gaps, two))
    centred = simulate_scan(replace(BASE, offset=(0.03, -0.02, 0.0)), 0, 0)
    result.append(score("field of view off centre by 30 and 20 mm", raw(centred), centred))
    dense = simulate_scan(replace(BASE, readout=Readout(sample_spacing=0.25)), 0, 0)
    result.append(score("readout oversampled", raw(dense), dense))
    for hertz in (50.0, 100.0):
        field_scan = simulate_scan(replace(BASE, off_resonance=hertz), 0, 0)
        points, centre = voxel_centres(scan.geometry), grid_centre(scan.geometry)
        field = static_field(points, centre, hertz).reshape(scan.geometry.matrix)
        name = f"off-resonance up to {hertz:.0f} Hz, readout of {1e3 * n_samples * DWELL:.1f} ms"
        result.append(score(f"{name}: before", raw(field_scan), field_scan))
        result.append(
            score(f"{name}: after", raw(field_scan), field_scan, b0=field.astype(np.float32))
        )
    for delay in (0.5, 1.0, 2.0):
        slow, file, corrected = with_delay(delay)
        name = f"gradient delay of {delay:g} samples"
        result.append(score(f"{name}: before", file, slow))
        result.append(score(f"{name}: after (MRFGradientDelay)", corrected, slow))
    offset = part.trajectory + 0.5 / scan.encoded_fov[2]
    result.append(
        score(
            "k-space shifted by half a cell along x and y",
            changed(scan, trajectory=offset),
            simulated,
        )
    )
    angle = float(BASE.sequence.flip_angle.mean())
    profile = slice_profile(RFPulse("sinc", 4.0), angle)
    shaped = replace(BASE.sequence, slice_profile=profile)
    thick = simulate_scan(replace(BASE, sequence=shaped), 0, 0)
    result.append(score("slice profile of a sinc pulse (product 4): before", raw(thick), thick))
    result.append(
        score("slice profile of a sinc pulse (product 4): after", raw(thick), thick, shaped)
    )
    for voxels in (1.0, 2.0, 3.0):
        name = f"object moved by {voxels:g} voxels in mid-train (reported)"
        result.append(score(name, moved(scan, voxels), simulated))
    return result


def refusals() -> list[tuple[str, str]]:
    """What is said of files with missing lines."""
    said = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "raw"
        words = [
            "--matrix",
            "16",
            "--frames",
            "8",
            "--slices",
            "3",
            "--acceleration",
            "1",
            "--arms",
            "2",
        ]
        tools.main(["simulate", str(root), *words, "--sub", "01"])
        (path,) = root.rglob("*_MRF.h5")
        metadata = json.loads(path.with_suffix(".json").read_text())
        for name, lost in (
            ("one slice missing", lambda head: head["idx"]["slice"] == 1),
            ("one arm of one frame missing", _one_arm),
            ("one frame of one slice missing", _one_frame),
        ):
            copy = path.with_name("copy.h5")
            copy.write_bytes(path.read_bytes())
            with h5py.File(copy, "r+") as file:
                data = file["dataset/data"][:]
                del file["dataset/data"]
                file["dataset"].create_dataset(
                    "data", data=data[~lost(data["head"])], dtype=data.dtype
                )
            try:
                with heard_warnings() as warnings:
                    read_samples(read_scan(metadata, copy)[1])
                said.append((name, "read" + "".join(f"; {text}" for text in warnings)))
            except Mri2QmapError as error:
                said.append((name, "refused: " + str(error).split("copy.h5: ")[-1]))
    return said


def _one_arm(head: np.ndarray) -> np.ndarray:
    idx = head["idx"]
    return (idx["slice"] == 1) & (idx["contrast"] == 3) & (idx["kspace_encode_step_1"] == 1)


def _one_frame(head: np.ndarray) -> np.ndarray:
    return (head["idx"]["slice"] == 1) & (head["idx"]["contrast"] == 3)


def main() -> None:
    """Run everything and write the table."""
    lines = [
        "# Imperfect scans",
        "",
        *(__doc__ or "").split("\n\n")[2].splitlines(),
        "",
        "Errors are means of |e - t| / t over grey and white matter. The figures are those of the report: residual",
        "against the noise (1: noise alone), motion [voxel], delay [sample].",
        "",
        "| effect | T1 [%] | T2 [%] | figures | warnings |",
        "|---|---|---|---|---|",
    ]
    refused = refusals()
    for row in rows():
        said = "; ".join(text.replace("|", "/") for text in row.warnings)
        lines.append(f"| {row.effect} | {row.t1:.2f} | {row.t2:.2f} | {row.figures} | {said} |")
    lines += ["", "| file | what the program does |", "|---|---|"]
    lines += [f"| {name} | {text} |" for name, text in refused]
    path = HERE / "results.md"
    text = path.read_text() if path.exists() else ""
    findings = text.split("<!-- findings -->")[1:] or ["\n"]
    path.write_text("\n".join(lines) + "\n\n<!-- findings -->" + findings[0])


if __name__ == "__main__":
    main()
