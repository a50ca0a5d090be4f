"""Calls that reconstruct nothing."""

from helpers.command import run


def test_dry_run_lists_runs_and_writes_nothing(small_dataset, tmp_path, capsys):
    assert (
        run(small_dataset, tmp_path / "out", "participant", "--dry-run", "-w", tmp_path / "w") == 0
    )
    lines = capsys.readouterr().out.splitlines()
    names = [line.split("\t")[0] for line in lines if "\t" in line]
    assert names == ["sub-01_ses-1_acq-2d", "sub-01_ses-2_acq-2d", "sub-02_ses-1_acq-3d"]
    assert sum("GB and" in line for line in lines) == 3
    assert sum(line.split()[0] == "denoise" for line in lines) == 3
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "w").exists()


def test_a_run_that_does_not_fit_the_memory_is_refused(small_dataset, tmp_path, capfd):
    words = (small_dataset, tmp_path / "out", "participant", "-w", tmp_path / "w", "--mem", "300M")
    assert run(*words, "--dry-run", "--participant-label", "01") == 1
    errors = capfd.readouterr().err
    assert errors.count("memory must be at least") == errors.count("allow more memory (--mem") == 2
    assert "got 0.3 GB" in errors
