"""Output and work directory."""

from helpers.command import one_error, run

from mri2qmap_bids.workflow.folders import WorkFolder


def test_output_must_not_be_the_raw_data(tmp_path, capfd):
    (tmp_path / "sub-01").mkdir()
    assert run(tmp_path, tmp_path, "participant") == 64
    assert "another directory than bids_dir" in one_error(capfd)
    assert run(tmp_path, tmp_path / "sub-01" / "maps", "participant") == 64
    assert "must not lie in the raw data" in one_error(capfd)


def test_work_must_not_be_among_what_is_kept(tmp_path, capfd):
    bids, out = tmp_path / "bids", tmp_path / "out"
    bids.mkdir()
    (tmp_path / "link").symlink_to(bids)
    for work, text in (
        (out, "another directory than output_dir"),
        (bids / "w", "not lie in bids"),
        (tmp_path / "link" / "w", "not lie in bids"),
    ):
        assert run(bids, out, "participant", "-w", work) == 64
        assert f"--work-dir must {'be ' * (work == out)}{text}" in one_error(capfd)
        assert not work.exists()


def test_output_must_be_writable(small_dataset, tmp_path, capfd):
    (tmp_path / "file").write_text("")
    assert run(small_dataset, tmp_path / "file" / "out", "participant", "-w", tmp_path / "w") == 73
    assert "the output directory must be writable" in one_error(capfd)


def test_the_work_directory_is_emptied_only_if_it_is_ours(small_dataset, tmp_path, capfd):
    work = tmp_path / "w"
    (work / "photos").mkdir(parents=True)
    words = [small_dataset, tmp_path / "out", "participant", "-w", work, "--clean-workdir"]
    assert run(*words) == 64
    assert "must hold nothing but crashes, dictionaries, group" in (error := one_error(capfd))
    assert error.endswith("got photos")
    assert (work / "photos").exists()


def test_a_work_directory_of_every_level_is_emptied(small_dataset, tmp_path):
    """What runs, reports, the graph and the group level leave in it is the program's own."""
    work, out = tmp_path / "w", tmp_path / "out"
    words = ["--recon-method", "gridding", "--matrix", "16", "--acquisition-label", "2d"]
    words += ["--session-label", "1", "--nprocs", "1", "--write-graph", "-w", work]
    assert run(small_dataset, out, "participant", *words) == 0
    assert run(small_dataset, out, "participant", "--reports-only", "-w", work) == 0
    assert run(small_dataset, out, "group", "-w", work) == 0
    assert {path.name for path in work.iterdir() if path.is_dir()} == set(WorkFolder)
    old = work / WorkFolder.SCANS / "old.pickle"
    old.touch()
    assert run(small_dataset, out, "participant", *words, "--force", "--clean-workdir") == 0
    assert not old.exists()
