"""What a report is made of, there and back."""

import json

from mri2qmap_bids.dataset.figures import (
    Conditions,
    figure_path,
    read_conditions,
    versions_in_use,
    write_diagnostics,
)

ENTITIES = {"sub": "01", "ses": "a", "acq": "x"}
CONDITIONS = Conditions(
    "mri2qmap in out", ("one", "two"), {"rank": 5}, {"read": 1.5}, 2.5, {"a": "1"}
)


def test_conditions_come_back_beside_the_arrays(tmp_path):
    source = tmp_path / "d.npz"
    source.write_bytes(b"arrays")
    write_diagnostics(source, CONDITIONS, ENTITIES, tmp_path / "out")
    assert read_conditions(ENTITIES, tmp_path / "out") == CONDITIONS
    path = tmp_path / "out" / figure_path(ENTITIES, "MRF", ".npz", "diagnostics")
    assert path.read_bytes() == b"arrays"


def test_conditions_that_cannot_be_read_are_none(tmp_path):
    assert read_conditions(ENTITIES, tmp_path) is None
    path = tmp_path / figure_path(ENTITIES, "MRF", ".json", "diagnostics")
    path.parent.mkdir(parents=True)
    for text in ("{", "[]", json.dumps({"Command": "x"})):
        path.write_text(text)
        assert read_conditions(ENTITIES, tmp_path) is None


def test_figures_of_different_runs_have_different_names():
    runs = [ENTITIES, {**ENTITIES, "ses": "b"}, {**ENTITIES, "acq": "y"}, {"sub": "01"}]
    paths = {figure_path(run, "MRF", ".png", desc) for run in runs for desc in ("a", "b")}
    assert len(paths) == 8 and {path.parent.as_posix() for path in paths} == {"sub-01/figures"}


def test_versions_are_those_that_are_imported():
    import numpy as np

    versions = versions_in_use(("numpy",))
    assert versions["numpy"] == np.__version__
    assert set(versions) == {"mri2qmap_bids", "Python", "numpy"}
