"""The graph: what a step's result depends on."""

from pathlib import Path

from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.settings import Settings
from mri2qmap_bids.workflow.graph import init_mri2qmap_wf


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
