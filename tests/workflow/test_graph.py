"""The graph: what a step's result depends on."""

from pathlib import Path

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
