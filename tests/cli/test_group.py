"""The group level's call."""

from helpers.command import one_error, run


def test_group_level_needs_maps(small_dataset, tmp_path, capfd):
    assert run(small_dataset, tmp_path / "out", "group") == 16
    assert "run the participant level first" in one_error(capfd)
    assert not (tmp_path / "out").exists()
