"""Steps of a run as Nipype sees them."""

import logging

import nibabel as nib
import numpy as np
import pytest
from helpers.trains import train

from mri2qmap_bids.recon.acquisition.geometry import affine
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.simulate.rawfile import RawFileOptions, write_raw_file
from mri2qmap_bids.simulate.scan import ScanOptions, simulate_scan
from mri2qmap_bids.simulate.sidecar import make_sidecar
from mri2qmap_bids.workflow.reconstruction import BuildDictionary, Reconstruct


def _hash(tmp_path, **inputs):
    for name in ("raw.h5", "dictionary.npz", "scan.pickle"):
        if not (tmp_path / name).exists():
            (tmp_path / name).touch()
    step = Reconstruct(
        raw_file=str(tmp_path / "raw.h5"),
        dictionary_file=str(tmp_path / "dictionary.npz"),
        scan_file=str(tmp_path / "scan.pickle"),
        metadata={},
        options=ReconOptions(),
        **inputs,
    )
    return step.inputs.get_hashval()[1]


def test_results_of_another_version_of_the_program_are_not_taken(tmp_path):
    assert _hash(tmp_path) == _hash(tmp_path)
    assert _hash(tmp_path) != _hash(tmp_path, program="0.0.1")


def test_other_inputs_of_the_same_size_and_time_are_seen(tmp_path):
    assert _hash(tmp_path, checksum="a") == _hash(tmp_path, checksum="a")
    assert _hash(tmp_path, checksum="a") != _hash(tmp_path, checksum="b")


def test_memory_and_threads_do_not_make_a_step_anew(tmp_path):
    assert _hash(tmp_path) == _hash(tmp_path, memory_gb=1.0, n_threads=3, low_memory=True)


class Said(BuildDictionary):
    def _step(self, runtime):
        logging.getLogger("mri2qmap_bids.workflow").warning("it is cold")
        return runtime


def test_lines_go_to_the_log_of_the_run_that_the_folders_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    common = {"metadata": {}, "options": ReconOptions(), "cache_dir": "", "log_dir": str(tmp_path)}
    for session in ("a", "b"):
        raw_file = tmp_path / f"ses-{session}" / "sub-01_MRF.h5"
        raw_file.parent.mkdir()
        raw_file.touch()
        entities = {"sub": "01", "ses": session}
        Said(raw_file=str(raw_file), entities=entities, **common).run()
    # Without entities it is the name of the file that counts.
    Said(raw_file=str(raw_file), **common).run()
    names = ["sub-01.log", "sub-01_ses-a.log", "sub-01_ses-b.log"]
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == names


@pytest.mark.parametrize("kind", ["b1", "b0"])
def test_the_warnings_of_a_field_map_are_those_of_its_run(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    sequence, raw_file = train(n_frames=6), tmp_path / "sub-01_MRF.h5"
    scan = simulate_scan(ScanOptions(sequence, matrix=(16, 16), n_coils=3), 1, 1)
    write_raw_file(raw_file, scan.acquired, sequence, scan.geometry, RawFileOptions())
    # The map ends in the middle of the scan: 0.4 of the scan lies within.
    n_z, n_y, n_x = scan.geometry.matrix
    placed = np.diag([1e3, 1e3, 1e3, 1.0]) @ affine(scan.geometry)
    values = np.full((int(0.4 * n_x), n_y, n_z), {"b1": 95.0, "b0": 20.0}[kind], np.float32)
    nib.save(nib.Nifti1Image(values, placed), tmp_path / "map.nii.gz")
    common = {
        "raw_file": str(raw_file),
        "metadata": make_sidecar(sequence, scan.acquired.trajectory, 3, RawFileOptions()),
        "options": ReconOptions(method="gridding", device="cpu"),
    }
    if kind == "b1":
        common["b1_file"] = str(tmp_path / "map.nii.gz")
    built = BuildDictionary(**common, cache_dir=str(tmp_path / "cache")).run().outputs
    if kind == "b0":
        common["b0_file"] = str(tmp_path / "map.nii.gz")
    result = Reconstruct(
        **common, dictionary_file=built.dictionary_file, scan_file=built.scan_file
    ).run()
    assert any("map.nii.gz" in warning and "%" in warning for warning in result.outputs.warnings)
