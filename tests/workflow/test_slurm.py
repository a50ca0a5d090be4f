"""Steps as jobs of Slurm, with commands that stand in for Slurm's; the real one: make slurm-test."""

import pytest

from mri2qmap_bids.cli import main
from mri2qmap_bids.cli.parser import parse
from mri2qmap_bids.cli.settings import to_settings
from mri2qmap_bids.dataset.filters import Filters
from mri2qmap_bids.dataset.index import Index
from mri2qmap_bids.dataset.query import find_runs
from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.settings import Settings
from mri2qmap_bids.workflow.planning import survey

COMMANDS = {
    "sbatch": 'echo "$@" >> {folder}/submitted; echo Submitted batch job 7',
    "squeue": "",
    "scontrol": "echo JobId=7 JobState=OUT_OF_MEMORY Reason=OutOfMemory StdErr=/a/log",
    "scancel": "",
}


@pytest.fixture
def plugin_file(tmp_path):
    path = tmp_path / "slurm.yml"
    path.write_text("plugin: SLURM\nplugin_args: {sbatch_args: --gpus=1}\n")
    return path


def call(dataset, folder, *words):
    common = [str(dataset), str(folder / "out"), "participant", "-w", str(folder / "work")]
    return main([*common, "--nprocs", "1", *map(str, words)])


def test_steps_ask_for_what_they_need_and_a_killed_one_is_told_of(
    small_dataset, tmp_path, plugin_file, monkeypatch, capfd
):
    for name, line in COMMANDS.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{line.format(folder=tmp_path)}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("LOGNAME", raising=False)
    # No GPU has to be where the call is made.
    words = ["--participant-label", "02", "--use-plugin", plugin_file, "--device", "cuda"]
    assert call(small_dataset, tmp_path, *words) == 1
    (submitted,) = (tmp_path / "submitted").read_text().splitlines()
    assert "--gpus=1" in submitted
    assert "--cpus-per-task=1 --mem=4000M" in submitted
    errors = capfd.readouterr().err
    assert "sub-02_ses-1_acq-3d: failed: Slurm job 7 left no result" in errors
    assert "its state is OUT_OF_MEMORY (OutOfMemory); see /a/log" in errors


def test_a_reconstruction_asks_for_the_memory_of_the_command_line(small_dataset, tmp_path):
    settings = Settings(small_dataset, tmp_path, tmp_path, plugin="SLURM", memory_gb=500)
    runs = find_runs(small_dataset, Filters(participants=("02",)), Index()).runs
    surveys, problems = survey(runs, settings)
    assert surveys["sub-02_ses-1_acq-3d"].memory_gb == 500 and not problems


def test_without_slurm_one_line_says_so(small_dataset, tmp_path, plugin_file, monkeypatch, capfd):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert call(small_dataset, tmp_path, "--use-plugin", plugin_file) == 64
    assert "must be used where Slurm's sbatch is" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plugin: [", "must be a YAML file"),
        ("- SLURM", r"must hold plugin and plugin_args, got \['SLURM'\]"),
        ("plugin: SLURM\nn_procs: 3", "must hold plugin and plugin_args, got"),
        ("plugin: Dask", "plugin must be one of MultiProc, SLURM, got Dask"),
        ("plugin: SLURM\nplugin_args: 7", "plugin_args must be a table, got 7"),
    ],
)
def test_plugin_file_that_breaks_a_rule(tmp_path, content, text):
    path = tmp_path / "plugin.yml"
    path.write_text(content)
    with pytest.raises(UsageError, match=text):
        to_settings(parse(["bids", "out", "participant", "--use-plugin", str(path)]))


def test_arguments_of_multiproc_go_before_the_command_lines(tmp_path):
    path = tmp_path / "plugin.yml"
    path.write_text("plugin: MultiProc\nplugin_args: {n_procs: 3}\n")
    settings = to_settings(parse(["bids", "out", "participant", "--use-plugin", str(path)]))
    assert (settings.plugin, settings.plugin_args) == ("MultiProc", {"n_procs": 3})
