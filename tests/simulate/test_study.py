"""Runs of a call: which there are, and where their randomness comes from."""

import numpy as np
import pytest

from mri2qmap_bids.errors import OutputError
from mri2qmap_bids.simulate import study as study_module
from mri2qmap_bids.simulate.scan import ScanOptions
from mri2qmap_bids.simulate.sequences import make_sequence
from mri2qmap_bids.simulate.study import Study, seed_of, simulate_study

OPTIONS = ScanOptions(make_sequence("FISP", 2), matrix=(8, 8, 1), n_coils=1)


@pytest.fixture
def scans(monkeypatch):
    """Seeds of the scans that are simulated; none is."""
    seeds = []
    monkeypatch.setattr(
        study_module, "simulate_scan", lambda options, *own: seeds.append(own) or own
    )
    monkeypatch.setattr(
        study_module, "write_run", lambda dataset, entities, *rest: dataset / str(entities)
    )
    return seeds


def test_every_subject_has_every_session_once(scans, tmp_path):
    paths = simulate_study(tmp_path, Study(["1", "2"], ["a", "b"], "x", "3"), OPTIONS)
    common = {"acq": "x", "run": "3"}
    assert [path.name for path in paths] == [
        str({"sub": sub, "ses": ses, **common}) for sub in "12" for ses in "ab"
    ]
    assert simulate_study(tmp_path, Study(["1"]), OPTIONS) == [tmp_path / str({"sub": "1"})]


def test_a_subject_is_the_same_in_every_session_and_call_and_noise_is_not(scans, tmp_path):
    simulate_study(tmp_path, Study(["1", "2"], ["a", "b"]), OPTIONS)
    simulate_study(tmp_path, Study(["2"], ["b"]), OPTIONS)
    simulate_study(tmp_path, Study(["2"], ["b"], seed=1), OPTIONS)
    brains, noises = np.array(scans).T
    assert brains[0] == brains[1] != brains[2] == brains[3]
    assert len(set(noises[:4])) == 4
    assert scans[4] == scans[3] and scans[5][0] != scans[3][0] and scans[5][1] != scans[3][1]


def test_nothing_is_simulated_where_one_run_is_there_already(scans, tmp_path):
    path = tmp_path / "sub-2" / "anat" / "sub-2_MRF.h5"
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.raises(OutputError, match="sub-2"):
        simulate_study(tmp_path, Study(["1", "2"]), OPTIONS)
    assert scans == []
    simulate_study(tmp_path, Study(["1", "2"], overwrite=True), OPTIONS)
    assert len(scans) == 2


def test_seeds_differ_by_seed_and_by_name():
    assert len({seed_of(seed, name) for seed in range(3) for name in ("a", "b", "ab")}) == 9
