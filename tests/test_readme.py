"""The README's examples run as they stand."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mri2qmap_bids import tools
from mri2qmap_bids.simulate.scan import ScanOptions, known_maps, simulate_scan
from mri2qmap_bids.simulate.sequences import make_sequence

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.M | re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the README's own command has made its dataset."""
    place = tmp_path_factory.mktemp("readme")
    (command,) = blocks("sh")
    program, *words = shlex.split(command)
    assert program == "mri2qmap-tools"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert tools.main(words) == 0
    return place


def run(code: str, folder: Path) -> str:
    """What a program of its own prints."""
    (folder / "example.py").write_text(code)
    process = subprocess.run(
        [sys.executable, "example.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_arrays_become_maps(tmp_path):
    example, _, _ = blocks("python")
    sequence = make_sequence("FISP", 60)
    options = ScanOptions(
        sequence, matrix=(32, 32), fov=(0.24,), n_coils=4, point_spread=0.0, acceleration=4.0
    )
    simulated = simulate_scan(options, 1, 2)
    np.savez(
        tmp_path / "scan.npz",
        kspace=simulated.acquired.kspace[0].transpose(2, 0, 1, 3),
        trajectory=simulated.acquired.trajectory.positions,
        noise=simulated.acquired.noise,
        flip_angle_deg=np.rad2deg(sequence.flip_angle),
    )
    assert np.allclose((sequence.repetition_time, sequence.echo_time), [[0.012], [0.002]])
    assert sequence.inversion_time == 0.02
    run(example, tmp_path)
    t1 = np.asarray(nib.load(tmp_path / "maps/T1map.nii.gz").dataobj).T
    known = known_maps(simulated)
    inside = known.mask & (t1 > 0)
    assert np.median(np.abs(t1[inside] / known.t1[inside] - 1)) < 0.15
    assert inside.sum() > 0.7 * known.mask.sum()


def test_a_scan_becomes_maps_without_bids(folder):
    _, example, _ = blocks("python")
    shape, median = run(example, folder).rsplit(" ", 1)
    assert shape == "(1, 32, 32)"
    file = folder / "dataset/derivatives/mri2qmap-simulate/sub-01/anat/sub-01_T1map.nii.gz"
    t1 = np.asarray(nib.load(file).dataobj)
    assert float(median) == pytest.approx(np.median(t1[t1 > 0]), rel=0.1)


def test_the_workflow_is_a_part_of_another_pipeline(folder):
    _, _, example = blocks("python")
    # The example ends with the graph of finished nodes.
    last_line = "print([n.result.outputs.t1 for n in graph.nodes if n.name == 'median'][0])"
    median = float(run(example + last_line, folder).splitlines()[-1])
    t1 = nib.load(folder / "maps/sub-01/anat/sub-01_T1map.nii.gz").get_fdata()
    mask = nib.load(folder / "maps/sub-01/anat/sub-01_desc-head_mask.nii.gz").get_fdata() > 0
    assert median == pytest.approx(np.median(t1[mask]))
    assert 0.5 < median < 2


def test_the_package_opens_quickly_and_gives_what_it_names():
    program = (
        "import sys, mri2qmap_bids\n"
        "assert not {'torch', 'nipype', 'numpy', 'bids'} & set(sys.modules)\n"
        "for name in mri2qmap_bids.__all__: getattr(mri2qmap_bids, name)\n"
        "print(set(mri2qmap_bids.__all__) <= set(dir(mri2qmap_bids)))\n"
        "mri2qmap_bids.nothing"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert process.stdout == "True\n"
    assert "has no attribute 'nothing'" in process.stderr.splitlines()[-1]
