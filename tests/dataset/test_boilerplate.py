"""Files that say what was done, beside the derivatives."""

from dataclasses import replace

from mri2qmap_bids.citation.methods import methods_text
from mri2qmap_bids.cli import main
from mri2qmap_bids.dataset.boilerplate import planned_work, works_in, write_boilerplate
from mri2qmap_bids.dataset.derivatives import MapDocument, write_maps
from mri2qmap_bids.dataset.description import initialise_dataset
from mri2qmap_bids.dataset.filters import Filters
from mri2qmap_bids.dataset.provenance import describe_maps
from mri2qmap_bids.dataset.query import FieldMap, find_runs
from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps

NAMES = ["CITATION.bib", "CITATION.html", "CITATION.md"]


def write(root, label, method):
    import numpy as np

    ones = np.ones((2, 4, 4), np.float32)
    maps = QuantitativeMaps(ones, ones / 10, ones.astype("c8"), ones > 0, np.eye(4) * 1e-3)
    header = ScanHeader((4, 4, 2), (0.2, 0.2, 0.1), (4, 4, 2), (0.2, 0.2, 0.1))
    metadata = describe_maps({"PulseSequenceType": "FISP"}, header, ReconOptions(method=method))
    write_maps(MapDocument({"sub": label}, maps, metadata=metadata), root)


def test_the_derivatives_tell_what_was_done(tmp_path, validator):
    initialise_dataset(tmp_path, "x", raw_dataset=tmp_path.parent)
    write(tmp_path, "01", "llr")
    write(tmp_path, "02", "llr")
    write_boilerplate(works_in(tmp_path), tmp_path)
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == NAMES
    text = (tmp_path / "logs" / "CITATION.md").read_text()
    assert "2 runs" in text
    assert "locally low rank" in text
    assert "denoiser" not in text
    page = (tmp_path / "logs" / "CITATION.html").read_text()
    assert "locally low rank" in page
    assert page.startswith("<!DOCTYPE html>")
    assert "@article{zhang2015," in (tmp_path / "logs" / "CITATION.bib").read_text()
    assert validator(tmp_path)[0] == 0


def test_text_that_says_the_same_is_left_alone(tmp_path):
    write(tmp_path, "01", "subspace")
    write_boilerplate(works_in(tmp_path), tmp_path)
    file = tmp_path / "logs" / "CITATION.md"
    stamp = file.stat().st_mtime_ns
    write_boilerplate(works_in(tmp_path), tmp_path)
    assert file.stat().st_mtime_ns == stamp
    (work,) = works_in(tmp_path)
    write_boilerplate([work, replace(work, sidecar={**work.sidecar, "Sources": []})], tmp_path)
    assert file.stat().st_mtime_ns != stamp


def test_a_dataset_of_another_program_tells_nothing(tmp_path):
    anat = tmp_path / "sub-01" / "anat"
    anat.mkdir(parents=True)
    (anat / "sub-01_T1map.json").write_text('{"Units": "s"}')
    (anat / "sub-01_run-1_T1map.json").write_text("{")
    assert works_in(tmp_path) == []


def test_boilerplate_only_writes_the_plan_and_stops(small_dataset, tmp_path):
    out, work = tmp_path / "out", tmp_path / "work"
    words = [str(small_dataset), str(out), "participant", "--boilerplate-only", "-w", str(work)]
    assert main([*words, "--recon-method", "lrtv", "--n-iterations", "9"]) == 0
    assert [path.name for path in out.iterdir()] == ["logs"]
    assert sorted(path.name for path in (out / "logs").iterdir()) == NAMES
    assert not work.exists()
    text = (out / "logs" / "CITATION.md").read_text()
    assert "2 runs" in text  # the 2D ones
    assert "1 run more" in text  # the 3D one
    assert text.count("in at most 9 steps") == 2


def test_the_plan_tells_of_the_b1_map_that_would_be_used(tmp_path, small_dataset):
    (run, *_) = find_runs(small_dataset, Filters(participants=("02",))).runs
    options = ReconOptions()
    assert "transmit field" not in methods_text([planned_work(run, options)]).markdown
    field = FieldMap(tmp_path / "x", "bids:raw:sub-02/fmap/sub-02_TB1map.nii.gz", {})
    with_b1 = planned_work(replace(run, b1=field), options)
    assert "transmit field" in methods_text([with_b1]).markdown
