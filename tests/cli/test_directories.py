"""Output and work directory."""

from helpers.command import one_error, run


def test_output_must_not_be_the_raw_data(tmp_path, capfd):
    (tmp_path / "sub-01").mkdir()
    assert run(tmp_path, tmp_path, "participant") == 64
    assert "another directory than bids_dir" in one_error(capfd)
    assert run(tmp_path, tmp_path / "sub-01" / "maps", "participant") == 64
    assert "must not lie in the raw data" in one_error(capfd)


def test_output_must_be_writable(small_dataset, tmp_path, capfd):
    (tmp_path / "file").write_text("")
    assert run(small_dataset, tmp_path / "file" / "out", "participant", "-w", tmp_path / "w") == 73
    assert "the output directory must be writable" in one_error(capfd)


def test_the_work_directory_is_emptied_only_if_it_is_ours(small_dataset, tmp_path, capfd):
    work = tmp_path / "w"
    (work / "photos").mkdir(parents=True)
    words = [small_dataset, tmp_path / "out", "participant", "-w", work, "--clean-workdir"]
    assert run(*words) == 64
    assert (
        "must hold nothing but crashes, dictionaries, group, mri2qmap_wf, reports_wf, got photos"
        in one_error(capfd)
    )
    assert (work / "photos").exists()
