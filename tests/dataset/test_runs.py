"""Runs with maps: those that their files' names and places say."""

import pytest

from mri2qmap_bids.cli.reports import rewrite_reports
from mri2qmap_bids.dataset.boilerplate import works_in
from mri2qmap_bids.dataset.group import write_group_tables
from mri2qmap_bids.dataset.runs import runs_with_maps
from mri2qmap_bids.errors import DatasetError
from mri2qmap_bids.report.contents import pages_of
from mri2qmap_bids.settings import Settings

STRAY = (
    "sub-01/anat/mean_T1map",
    "sub-01/anat/sub-01_mean_T1map",
    "sub-01/anat/ses-a_T1map",
    "sub-01/anat/sub-02_T1map",
    "sub-01/anat/sub-01_ses-a_T1map",
    "sub-01/deep/anat/sub-01_T1map",
)


def put(root, *stems):
    for stem in stems:
        for extension in (".nii.gz", ".json"):
            path = root / f"{stem}{extension}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")


@pytest.mark.parametrize("extension", [".nii.gz", ".json"])
def test_maps_on_their_own_grid_and_in_their_place_count(tmp_path, extension):
    own = ("sub-02/ses-b/anat/sub-02_ses-b_run-1_T1map", "sub-01/anat/sub-01_T1map")
    put(tmp_path, *own, *STRAY, "sub-01/anat/sub-01_desc-std_T1map")
    first, second = {"sub": "01"}, {"sub": "02", "ses": "b", "run": "1"}
    assert runs_with_maps(tmp_path, extension=extension) == [first, second]
    assert runs_with_maps(tmp_path, "02", extension) == [second]
    assert runs_with_maps(tmp_path, "0[12]", extension) == []


def test_someone_elses_files_stop_neither_text_nor_tables_nor_reports(tmp_path):
    put(tmp_path, *STRAY)
    assert works_in(tmp_path) == []
    assert pages_of(tmp_path, ["01"], 1) == []
    with pytest.raises(DatasetError, match="must hold maps"):
        write_group_tables(tmp_path)
    with pytest.raises(DatasetError, match="must hold maps"):
        rewrite_reports(Settings(tmp_path, tmp_path, tmp_path / "work"))
