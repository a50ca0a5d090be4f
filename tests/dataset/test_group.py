"""Tables over a group whose regions and outliers are known."""

import json
import re
from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from mri2qmap_bids.cli import main
from mri2qmap_bids.dataset.atlas import SegmentationFile, find_segmentations, load_segmentation
from mri2qmap_bids.dataset.derivatives import MapDocument, relative_path, write_maps
from mri2qmap_bids.dataset.description import initialise_dataset
from mri2qmap_bids.dataset.filters import GroupFilters
from mri2qmap_bids.dataset.group import UNITS, write_group_tables
from mri2qmap_bids.dataset.outliers import FEWEST_RUNS, THRESHOLD, flags, robust_z
from mri2qmap_bids.dataset.tissue import literature_t1, tissue_classes
from mri2qmap_bids.errors import DatasetError, NothingSelectedError
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps

SHAPE = (3, 10, 24)
AFFINE = np.diag([-2e-3, 2e-3, 4e-3, 1.0])
T1, T2, M0 = [1.4, 0.85, 4.0], [0.09, 0.06, 1.5], [0.8, 0.7, 1.0]
LABELS = np.broadcast_to(1 + np.arange(SHAPE[2]) // 8, SHAPE).astype(np.uint8)


def maps(t1_scale=1.0, seed=0):
    """Stripes of grey and white matter and fluid, with 2 % of noise."""
    rng = np.random.default_rng(seed)
    t1, t2, m0 = (
        (np.choose(LABELS - 1, values) * np.exp(0.02 * rng.standard_normal(SHAPE))).astype("f4")
        for values in (T1, T2, M0)
    )
    mask = np.ones(SHAPE, bool)
    mask[:, 0] = False
    return QuantitativeMaps(t1 * t1_scale, t2, m0.astype("c8"), mask, AFFINE)


def write(root, entities, some_maps=None, field=3.0):
    metadata = {} if field is None else {"MagneticFieldStrength": field}
    write_maps(MapDocument(entities, some_maps or maps(), metadata=metadata), root)


def table_of(root, measure="T1map"):
    return pd.read_csv(
        root / f"group_{measure}.tsv", sep="\t", dtype={"run": str, "acquisition": str}
    )


def segmentation(path, labels, affine=None, names=None):
    """A label image with axes (z, y, x) given, and the table of its labels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([1e3, 1e3, 1e3, 1.0]) @ AFFINE if affine is None else affine
    nib.save(nib.Nifti1Image(labels.transpose(2, 1, 0).astype(np.int16), affine), path)
    if names:
        text = "index\tname\n" + "".join(f"{k}\t{v}\n" for k, v in names.items())
        path.with_name(path.name.replace(".nii.gz", ".tsv")).write_text(text)


def test_regions_have_the_statistics_of_their_voxels(tmp_path):
    true_maps = maps()
    write(tmp_path, {"sub": "01", "ses": "a", "acq": "x", "run": "2"}, true_maps)
    write_group_tables(tmp_path)
    grey = (LABELS == 1) & true_maps.mask
    sources = {"T1map": true_maps.t1, "T2map": true_maps.t2, "M0map": np.abs(true_maps.m0)}
    sources |= {"R1map": 1 / true_maps.t1, "R2map": 1 / true_maps.t2}
    for measure, values in sources.items():
        table = table_of(tmp_path, measure)
        assert list(table.region) == ["GM", "WM", "CSF", "mask"]
        row = table[table.region == "GM"].iloc[0]
        assert row.n_voxels == grey.sum()
        inside = values[grey]
        assert row["mean"] == pytest.approx(inside.mean(), rel=1e-4)
        assert row["median"] == pytest.approx(np.median(inside), rel=1e-4)
        assert row["sd"] == pytest.approx(inside.std(), rel=1e-4)
        assert row["iqr"] == pytest.approx(
            np.subtract(*np.quantile(inside, [0.75, 0.25])), rel=1e-4
        )
        assert (row.participant_id, row.session_id, row.acquisition) == ("sub-01", "ses-a", "x")
        assert row.run == "2"
        described = json.loads((tmp_path / f"group_{measure}.json").read_text())
        assert list(described) == list(table.columns)
        assert described["median"]["Units"] == UNITS[measure]


def test_tissue_is_told_by_t1_at_the_field_strength():
    for field in (1.5, 3.0, 7.0):
        t1_of_tissue = literature_t1(field)
        t1 = np.array([t1_of_tissue[tissue] for tissue in ("fat", "WM", "GM", "CSF")])
        assert list(tissue_classes(t1, np.ones(4, bool), field)) == [0, 2, 1, 3]
    assert not tissue_classes(t1, np.zeros(4, bool), 3.0).any()


def test_the_sidecars_field_strength_counts(tmp_path):
    grey_at_low_field = replace(maps(), t1=np.full(SHAPE, literature_t1(0.5)["GM"], "f4"))
    for label, field in (("low", 0.5), ("high", 7.0)):
        write(tmp_path, {"sub": label}, grey_at_low_field, field)
    write_group_tables(tmp_path)
    n_voxels = table_of(tmp_path).set_index(["participant_id", "region"]).n_voxels
    assert n_voxels["sub-low", "GM"] == n_voxels["sub-low", "mask"] > 0
    assert n_voxels["sub-high", "GM"] == 0


def test_the_run_that_stands_out_is_flagged(tmp_path):
    scales = [1, 1.01, 0.99, 1.005, 0.995, 1.015, 0.985, 1.002, 0.998, 1.1]
    assert len(scales) == FEWEST_RUNS
    for index, scale in enumerate(scales):
        write(tmp_path, {"sub": f"{index:02d}"}, maps(scale, index))
    write_group_tables(tmp_path)
    table = table_of(tmp_path)
    grey = table[table.region == "GM"]
    assert list(grey.participant_id[grey.outlier]) == ["sub-09"]
    median = grey["median"]
    z = 0.6745 * (median - median.median()) / (median - median.median()).abs().median()
    assert np.allclose(grey.robust_z, z, rtol=0.02, atol=0.01)
    # T2 is nobody's to stand out by, and in R1 the long T1 stands out below.
    assert not table_of(tmp_path, "T2map").outlier.any()
    rates = table_of(tmp_path, "R1map")
    assert rates[(rates.region == "GM") & rates.outlier].robust_z.iloc[0] < -THRESHOLD


def test_acquisitions_are_not_compared_with_one_another(tmp_path):
    for index in range(FEWEST_RUNS):
        write(tmp_path, {"sub": f"{index:02d}", "acq": "a"}, maps(seed=index))
        if index:  # one too few to be judged
            write(tmp_path, {"sub": f"{index:02d}", "acq": "b"}, maps(1.1, seed=50 + index))
    write_group_tables(tmp_path)
    table = table_of(tmp_path)
    assert table[table.acquisition == "a"].robust_z.notna().all()
    assert table[table.acquisition == "b"].robust_z.isna().all()


def test_too_few_or_equal_runs_are_not_judged(tmp_path):
    few = pd.Series([1.0] * (FEWEST_RUNS - 2) + [9.0])
    assert robust_z(few).isna().all()
    assert robust_z(pd.Series([1.0] * FEWEST_RUNS + [9.0])).isna().all()
    assert flags(robust_z(few)).isna().all()
    write(tmp_path, {"sub": "01"})
    write_group_tables(tmp_path)
    lines = (tmp_path / "group_T1map.tsv").read_text().splitlines()
    assert all(line.endswith("n/a\tn/a") for line in lines[1:])


def test_a_users_segmentation_is_laid_over_the_maps(tmp_path):
    write(tmp_path / "out", {"sub": "01", "ses": "a"})
    # The same world seen by a grid that is twice as fine, turned over and shifted.
    fine = LABELS.repeat(2, 0).repeat(2, 1).repeat(2, 2)[:, :, ::-1]
    affine = np.diag([1e3, 1e3, 1e3, 1.0]) @ AFFINE @ np.diag([-0.5, 0.5, 0.5, 1])
    affine[:3, 3] = [-2 * 23.25, -0.5, -1.0]
    file = tmp_path / "other/sub-01/ses-a/anat/sub-01_ses-a_desc-aseg_dseg.nii.gz"
    segmentation(file, fine * 10, affine, {10: "left", 20: "middle"})
    write_group_tables(tmp_path / "out", derivatives=[("fs", tmp_path / "other")])
    table = table_of(tmp_path / "out")
    from_t1 = table[table.segmentation == "tissue"].set_index("region")
    from_file = table[table.segmentation == "fs:aseg"].set_index("region")
    assert list(from_file.index) == ["left", "middle", "label-30"]
    assert list(from_file.n_voxels) == list(from_t1.n_voxels[["GM", "WM", "CSF"]])
    assert np.allclose(from_file["median"], from_t1["median"][["GM", "WM", "CSF"]])


def test_the_command_line_takes_segmentations(tmp_path):
    write(tmp_path / "out", {"sub": "01"})
    segmentation(tmp_path / "fs/sub-01/anat/sub-01_dseg.nii.gz", LABELS)
    words = [str(tmp_path / "raw"), str(tmp_path / "out"), "group", "-w", str(tmp_path / "work")]
    assert main([*words, "-d", f"fs={tmp_path / 'fs'}"]) == 0
    assert set(table_of(tmp_path / "out").segmentation) == {"tissue", "fs"}


def test_labels_are_named_by_the_inherited_table(tmp_path):
    anat = tmp_path / "sub-01" / "anat"
    segmentation(anat / "sub-01_desc-aseg_dseg.nii.gz", LABELS)
    segmentation(anat / "sub-01_dseg.nii.gz", LABELS)
    segmentation(anat / "sub-01_space-MNI152NLin6Asym_dseg.nii.gz", LABELS)
    (tmp_path / "desc-aseg_dseg.tsv").write_text("index\tname\tcolor\n1\tx\t-\n2\ty\t-\n3\tz\t-\n")
    files = find_segmentations("d", tmp_path, {"sub": "01", "ses": "1", "run": "3"})
    assert {file.name for file in files} == {"d", "d:aseg"}
    reference = nib.load(anat / "sub-01_dseg.nii.gz")
    names = {file.name: load_segmentation(file, reference).names for file in files}
    assert names["d:aseg"] == {1: "x", 2: "y", 3: "z"}
    assert names["d"] == {1: "GM", 2: "WM", 3: "CSF"}  # what BIDS says of these labels
    assert find_segmentations("d", tmp_path, {"sub": "02"}) == []


def test_bad_segmentations_are_said(tmp_path):
    anat = tmp_path / "d" / "sub-01" / "anat"
    for run in ("1", "2"):
        segmentation(anat / f"sub-01_run-{run}_dseg.nii.gz", LABELS)
    with pytest.raises(DatasetError, match="segmentation d must be one image, got sub-01_run-1"):
        find_segmentations("d", tmp_path / "d", {"sub": "01"})
    (file,) = find_segmentations("d", tmp_path / "d", {"sub": "01", "run": "2"})
    assert file.path.name == "sub-01_run-2_dseg.nii.gz"
    reference = nib.load(file.path)
    table = tmp_path / "dseg.tsv"
    table.write_text("number\tname\n1\tx\n")
    with pytest.raises(DatasetError, match=r"dseg.tsv: must be a table with the columns index"):
        load_segmentation(SegmentationFile("d", file.path, table), reference)
    file.path.write_bytes(file.path.read_bytes()[:80])
    with pytest.raises(DatasetError, match="must be a complete image file"):
        load_segmentation(file, reference)


def test_one_broken_run_does_not_stop_the_others(tmp_path, capfd):
    for label in ("01", "02", "03"):
        write(tmp_path / "out", {"sub": label})
    (tmp_path / "out" / relative_path({"sub": "02"}, "T2map")).unlink()
    cut = tmp_path / "out" / relative_path({"sub": "03"}, "M0map")
    cut.write_bytes(cut.read_bytes()[:-40])
    words = [str(tmp_path / "raw"), str(tmp_path / "out"), "group", "-w", str(tmp_path / "work")]
    assert main(words) == 1
    errors = [line for line in capfd.readouterr().err.splitlines() if " ERROR " in line]
    assert "sub-02: failed:" in errors[0]
    assert "T2map.nii.gz: must be there" in errors[0]
    assert "sub-03: failed:" in errors[1]
    assert "M0map.nii.gz: must be a complete image file" in errors[1]
    assert set(table_of(tmp_path / "out").participant_id) == {"sub-01"}


def test_filters_keep_what_they_name(tmp_path):
    for entities in ({"sub": "01", "run": "01"}, {"sub": "01", "run": "2"}, {"sub": "02"}):
        write(tmp_path, entities)
    write_group_tables(tmp_path, GroupFilters(participants=("01",), runs=("1",)))
    assert set(table_of(tmp_path).run) == {"01"}
    with pytest.raises(NothingSelectedError, match="must select maps"):
        write_group_tables(tmp_path, GroupFilters(sessions=("x",)))


@pytest.mark.parametrize("absent", ["9", "1"])
def test_participants_without_maps_are_refused(tmp_path, absent):
    for label in ("01", "02"):
        write(tmp_path, {"sub": label})
    words = f"--participant-label must be among 01, 02, got {absent}"
    with pytest.raises(NothingSelectedError, match=words):
        write_group_tables(tmp_path, GroupFilters(participants=("01", absent)))


def test_labels_that_select_no_run_are_warned_of(tmp_path, caplog):
    for entities in ({"sub": "01", "ses": "a"}, {"sub": "02", "ses": "b"}):
        write(tmp_path, entities)
    write_group_tables(tmp_path, GroupFilters(("01", "02"), sessions=("a", "zz")))
    assert [record.getMessage() for record in caplog.records] == [
        "--participant-label 02: selects no run",
        "--session-label zz: selects no run",
    ]


def test_only_what_changed_is_read_again(tmp_path, monkeypatch):
    for label in ("01", "02"):
        write(tmp_path / "out", {"sub": label})
    cache = tmp_path / "work" / "group"
    write_group_tables(tmp_path / "out", cache_dir=cache)
    first = table_of(tmp_path / "out")
    read_files = []
    load = nib.load
    monkeypatch.setattr(nib, "load", lambda path: read_files.append(path.name) or load(path))
    write_group_tables(tmp_path / "out", cache_dir=cache)
    assert not read_files
    pd.testing.assert_frame_equal(table_of(tmp_path / "out"), first)
    write(tmp_path / "out", {"sub": "02"}, maps(1.1))
    write_group_tables(tmp_path / "out", cache_dir=cache)
    assert read_files
    assert all(name.startswith("sub-02") for name in read_files)
    grey = table_of(tmp_path / "out").set_index(["participant_id", "region"])["median"]
    assert grey["sub-02", "GM"] > 1.05 * grey["sub-01", "GM"]


def test_tables_of_measures_that_no_run_has_are_removed(tmp_path):
    efficiency = np.full(SHAPE, 0.9, np.float32)
    write(tmp_path, {"sub": "01"}, replace(maps(), inversion_efficiency=efficiency))
    write(tmp_path, {"sub": "02"})
    notes = tmp_path / "group_notes.tsv"
    notes.write_text("participant_id\tnote\n")

    def measures():
        return {path.stem.removeprefix("group_") for path in tmp_path.glob("group_*.json")}

    for labels, further in ((), {"IEmap"}), (("02",), set()), (("01",), {"IEmap"}):
        paths = write_group_tables(tmp_path, GroupFilters(participants=labels)).paths
        assert measures() == {*UNITS, *further}
        assert set(tmp_path.glob("group_*.tsv")) == {*paths, notes}


def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path):
    write(tmp_path / "out", {"sub": "01"})
    (tmp_path / "file").write_text("")
    assert write_group_tables(tmp_path / "out", cache_dir=tmp_path / "file" / "group").paths


@pytest.mark.parametrize("content", [b"", b'[{"a": 1', b"\xff", b"[]", b"{}"])
def test_a_damaged_cache_is_made_anew(tmp_path, content):
    write(tmp_path / "out", {"sub": "01"})
    cache = tmp_path / "group"
    write_group_tables(tmp_path / "out", cache_dir=cache)
    first = table_of(tmp_path / "out")
    (file,) = cache.glob("*.json")
    file.write_bytes(content)
    assert not write_group_tables(tmp_path / "out", cache_dir=cache).problems
    pd.testing.assert_frame_equal(table_of(tmp_path / "out"), first)
    assert json.loads(file.read_text())


def test_a_sidecar_that_is_no_object_is_said(tmp_path):
    for label in ("01", "02"):
        write(tmp_path, {"sub": label})
    (tmp_path / relative_path({"sub": "02"}, "T1map", ".json")).write_text("[]")
    ((_, reason),) = write_group_tables(tmp_path).problems
    assert re.search("T1map.json: must be a JSON object, got list", reason)


def test_the_dataset_with_tables_passes_the_validator(tmp_path, validator):
    initialise_dataset(tmp_path, "Group", raw_dataset=tmp_path.parent)
    write(tmp_path, {"sub": "01"})
    write_group_tables(tmp_path)
    assert validator(tmp_path)[0] == 0


def test_tissue_lies_inside_the_mask_of_the_brain(tmp_path):
    brain = np.zeros(SHAPE, bool)
    brain[:, :5] = True
    document = MapDocument({"sub": "01"}, maps(), metadata={"MagneticFieldStrength": 3.0})
    write_maps(replace(document, brain=brain), tmp_path)
    write_maps(replace(document, entities={"sub": "02"}), tmp_path)  # without one, all of the head
    write_group_tables(tmp_path)
    n_voxels = table_of(tmp_path).set_index(["participant_id", "region"]).n_voxels
    head = maps().mask
    assert n_voxels["sub-01", "GM"] == ((LABELS == 1) & head & brain).sum()
    assert n_voxels["sub-01", "mask"] == n_voxels["sub-02", "mask"] == head.sum()
    assert n_voxels["sub-02", "GM"] == ((LABELS == 1) & head).sum()
