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


def test_a_scan_becomes_maps_without_bids(folder):
    example, _ = blocks("python")
    shape, median = run(example, folder).rsplit(" ", 1)
    assert shape == "(1, 32, 32)"
    file = folder / "dataset/derivatives/mri2qmap-simulate/sub-01/anat/sub-01_T1map.nii.gz"
    t1 = np.asarray(nib.load(file).dataobj)
    assert float(median) == pytest.approx(np.median(t1[t1 > 0]), rel=0.1)


def test_the_workflow_is_a_part_of_another_pipeline(folder):
    _, example = blocks("python")
    # The example ends with the graph of finished nodes.
    last_line = "print([n.result.outputs.t1 for n in graph.nodes if n.name == 'median'][0])"
    median = float(run(example + last_line, folder).splitlines()[-1])
    t1 = nib.load(folder / "maps/sub-01/anat/sub-01_T1map.nii.gz").get_fdata()
    mask = nib.load(folder / "maps/sub-01/anat/sub-01_desc-brain_mask.nii.gz").get_fdata() > 0
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
