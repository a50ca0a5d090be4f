"""The graph: what a step's result depends on."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np

from mri2qmap_bids.dataset.checksum import KEY
from mri2qmap_bids.dataset.filters import Filters
from mri2qmap_bids.dataset.index import Index
from mri2qmap_bids.dataset.query import find_runs
from mri2qmap_bids.recon.acquisition import table
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.settings import Settings
from mri2qmap_bids.workflow.graph import init_dataset_wf, init_mri2qmap_wf
from mri2qmap_bids.workflow.planning import survey


def hash_of_reconstruction(tmp_path: Path, weights: Path) -> str:
    settings = Settings(
        bids_dir=tmp_path,
        output_dir=tmp_path / "out",
        work_dir=tmp_path / "work",
        recon=ReconOptions(denoiser=str(weights)),
    )
    node = init_mri2qmap_wf(settings).get_node("reconstruct")
    return node.inputs.get_hashval(hash_method="content")[1]


def test_other_weights_under_the_same_name_are_seen(tmp_path):
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"one")
    first = hash_of_reconstruction(tmp_path, weights)
    assert hash_of_reconstruction(tmp_path, weights) == first
    weights.write_bytes(b"two")
    assert hash_of_reconstruction(tmp_path, weights) != first


def test_every_step_of_a_run_knows_its_name(tmp_path):
    branch = init_mri2qmap_wf(Settings(tmp_path, tmp_path, tmp_path))
    start = branch.get_node("inputnode")
    for step in ("build_dictionary", "reconstruct", "write_derivatives"):
        edge = branch._graph.get_edge_data(start, branch.get_node(step))
        assert ("entities", "entities") in edge["connect"]


def test_the_headers_of_a_run_are_read_once(small_dataset, tmp_path, monkeypatch):
    documents, groups = [], []
    parse_headers, heads = table.parse_headers, table._heads
    monkeypatch.setattr(
        table, "parse_headers", lambda *words: documents.append(words[0]) or parse_headers(*words)
    )
    monkeypatch.setattr(table, "_heads", lambda *words: groups.append(words[0]) or heads(*words))
    settings = Settings(
        bids_dir=small_dataset,
        output_dir=tmp_path / "out",
        work_dir=tmp_path / "work",
        recon=ReconOptions(method="subspace", device="cpu"),
    )
    (run, *_) = find_runs(small_dataset, Filters(participants=("01",)), Index()).runs
    surveys, problems = survey([run], settings)
    assert not problems
    init_dataset_wf([run], settings, surveys).run()
    assert documents == groups == [run.path]
    assert list((tmp_path / "out").rglob("*_T1map.nii.gz"))


def test_maps_in_the_work_directory_are_of_these_inputs_or_made_anew(small_dataset, tmp_path):
    """A new unit of the B0 map makes them anew, and so does force; a T1w image that is not there does not."""
    root, out = tmp_path / "bids", tmp_path / "out"
    shutil.copytree(small_dataset, root)
    fmap = root / "sub-01" / "ses-1" / "fmap"
    fmap.mkdir()
    place = np.diag([20.0, 20.0, 20.0, 1.0])
    place[:3, 3] = -200
    field = nib.Nifti1Image(np.full((21, 21, 21), 60, np.float32), place)
    nib.save(field, fmap / "sub-01_ses-1_fieldmap.nii.gz")
    settings = Settings(
        bids_dir=root,
        output_dir=out,
        work_dir=tmp_path / "work",
        recon=ReconOptions(method="gridding", device="cpu"),
    )

    def reconstruct(forced=False):
        """When the maps were made, and what is written of them."""
        run = find_runs(root, Filters(participants=("01",))).runs[0]
        init_dataset_wf([run], settings, forced=forced).run()
        (made,) = (tmp_path / "work").rglob("reconstruct/maps.npz")
        (sidecar,) = out.rglob("sub-01_ses-1*2d_T1map.json")
        written = sidecar.with_name(sidecar.stem + ".nii.gz").read_bytes()
        return made.stat().st_mtime_ns, written, json.loads(sidecar.read_text())[KEY]

    first = reconstruct()
    image = root / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_T1w.nii.gz"
    image.symlink_to("nowhere")
    assert reconstruct() == first
    (root / "fieldmap.json").write_text('{"Units": "rad/s"}')
    second = reconstruct()
    assert all(new != old for new, old in zip(second, first, strict=True))
    third = reconstruct(forced=True)
    assert third[0] != second[0]
    assert third[2] == second[2]
