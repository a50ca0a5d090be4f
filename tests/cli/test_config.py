"""Options in a file."""

import pytest
from helpers.command import run, settings

from mri2qmap_bids.cli.config import read_plugin, write_options
from mri2qmap_bids.cli.parser import parse
from mri2qmap_bids.cli.settings import to_settings
from mri2qmap_bids.errors import UsageError


def test_options_are_kept_and_can_be_given_back(small_dataset, tmp_path, capfd):
    words = ["--recon-method", "gridding", "--matrix", "16", "--acquisition-label", "2d"]
    words += ["--session-label", "1", "--nprocs", "1", "--write-graph", "--omp-nthreads", "1"]
    common = [small_dataset, tmp_path / "out", "participant", "-w", tmp_path / "w"]
    assert run(*common, *words) == 0
    (file,) = (tmp_path / "out" / "logs").glob("*.toml")
    assert (tmp_path / "w" / "graph.dot").exists() or (tmp_path / "w" / "graph.svg").exists()
    again = ["bids", "out", "participant", "--config-file", str(file)]
    assert to_settings(parse(again)).recon == settings(*words).recon
    assert to_settings(parse(again)).acquisitions == ("2d",)
    assert to_settings(parse(again)).write_graph
    # What stands on the command line goes before.
    later = to_settings(parse([*again, "--recon-method", "llr", "--session-label", "2"]))
    assert later.recon.method == "llr"
    assert later.recon.matrix == (16, 16, 16)
    assert later.sessions == ("2",)


def test_files_of_a_saved_call_are_found_from_another_folder(tmp_path, monkeypatch):
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder in (here / "b1", elsewhere):
        folder.mkdir(parents=True)
    for name in ("own.safetensors", "filter.json"):
        (here / name).touch()
    (here / "labels.txt").write_text("sub-02")
    monkeypatch.chdir(here)
    call = ["bids", "out", "participant"]
    words = [
        "--participant-label",
        "01",
        "labels.txt",
        "--denoiser",
        "own.safetensors",
        "-d",
        "b1",
        "x=b1",
    ]
    words += ["--bids-filter-file", "filter.json", "--bids-database-dir", "index"]
    first = parse([*call, *words])
    expected = to_settings(first)
    file = write_options(first, tmp_path)
    monkeypatch.chdir(elsewhere)
    call[:2] = [str(here / word) for word in call[:2]]
    again = to_settings(parse([*call, "--config-file", str(file)]))
    assert again.participants == expected.participants == ("01", "02")
    assert again.derivatives == (("b1", here / "b1"), ("x", here / "b1"))
    assert again.recon == expected.recon
    assert again.work_dir == here / "work"
    assert (again.filter_file, again.database_dir) == (here / "filter.json", here / "index")


def test_calls_of_the_same_second_and_process_id_keep_their_options_apart(tmp_path, monkeypatch):
    """As in containers, whose programs all have the same id."""
    monkeypatch.setattr("time.strftime", lambda _: "20260101-000000")
    arguments = parse(["bids", "out", "participant"])
    assert write_options(arguments, tmp_path) != write_options(arguments, tmp_path)
    assert len(list(tmp_path.glob("*.toml"))) == 2


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("nonsense", "must be a TOML file"),
        ("[call]", r"must have a table \[options\]"),
        ("[options]\ncolour = 1", "must be long options with underscores, got colour"),
        ("[options]\nbids_dir = 'x'", "must be long options with underscores, got bids_dir"),
        ("[options]\nnprocs = 'many'", "c.toml: nprocs must be a whole number, got 'many'"),
        (
            "[options]\nrecon_method = 'magic'",
            "recon_method must be one of mri2qmap, .*, got 'magic'",
        ),
        ("[options]\nmatrix = 3", "matrix must be a list, each of it a whole number, got 3"),
        ("[options]\nnotrack = 'no'", "notrack must be true or false, got 'no'"),
        ("[options]\nnotrack = 1", "notrack must be true or false, got 1"),
        ("[options]\nverbose = true", "verbose must be a whole number, got True"),
        ("[options]\nnprocs = 1.5", "nprocs must be a whole number, got 1.5"),
        ("[options]\nnprocs = true", "nprocs must be a whole number, got True"),
        ("[options]\nregularisation = [1]", r"regularisation must be a number, got \[1\]"),
        ("[options]\ndevice = 3", "device must be a text, got 3"),
        ("[options]\nmem = 1.5", "mem must be a text, got 1.5"),
        ("[options]\nwork_dir = 3", "work_dir must be a text, got 3"),
        (
            "[options]\nparticipant_label = [1]",
            r"participant_label must be a list, .* a text, got \[1",
        ),
        ("[options]\nderivatives = [3]", "derivatives must be a list, each of it a text, got"),
    ],
)
def test_bad_config_files_are_refused(tmp_path, content, text):
    file = tmp_path / "c.toml"
    file.write_text(content)
    with pytest.raises(UsageError, match=text):
        parse(["bids", "out", "participant", "--config-file", str(file)])


def test_numbers_are_taken_as_on_the_command_line(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("[options]\nmem = 16000\nregularisation = 1\nmatrix = [16]\nverbose = 1")
    arguments = parse(["bids", "out", "participant", "--config-file", str(file)])
    assert (arguments.mem, arguments.regularisation) == ("16000", 1.0)
    assert (arguments.matrix, arguments.verbose) == ([16], 1)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("n_procs: '2'", "n_procs of plugin_args must be a whole number of at least 1, got '2'"),
        ("n_procs: 0", "n_procs of plugin_args must be a whole number of at least 1, got 0"),
        ("memory_gb: lots", "memory_gb of plugin_args must be a number above 0, got 'lots'"),
        ("memory_gb: .inf", "memory_gb of plugin_args must be a number above 0, got inf"),
        ("raise_insufficient: 1", "raise_insufficient of plugin_args must be true or false, got 1"),
        ("sbatch_args: [1]", r"sbatch_args of plugin_args must be a text, got \[1\]"),
    ],
)
def test_bad_arguments_of_plugins_are_refused(tmp_path, content, text):
    file = tmp_path / "p.yml"
    file.write_text(f"plugin: MultiProc\nplugin_args: {{{content}}}")
    with pytest.raises(UsageError, match=f"--use-plugin .*p.yml: {text}"):
        read_plugin(file)


def test_good_arguments_of_plugins_are_taken(tmp_path):
    file = tmp_path / "p.yml"
    file.write_text("plugin: MultiProc\nplugin_args: {n_procs: 2, memory_gb: 4, other: [x]}")
    assert read_plugin(file) == ("MultiProc", {"n_procs": 2, "memory_gb": 4, "other": ["x"]})
