"""Steps of a run as Nipype sees them."""

from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.workflow.interfaces import Reconstruct


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


def test_memory_and_threads_do_not_make_a_step_anew(tmp_path):
    assert _hash(tmp_path) == _hash(tmp_path, memory_gb=1.0, n_threads=3, low_memory=True)
