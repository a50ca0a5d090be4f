"""Options in a file."""

import pytest
from helpers.command import run, settings

from mri2qmap_bids.cli.config import write_options
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
        ("[options]\nnprocs = 'many'", "nprocs must be a value of --nprocs, got 'many'"),
        ("[options]\nrecon_method = 'magic'", "recon_method must be a value of --recon-method"),
        ("[options]\nmatrix = 3", "matrix must be a value of --matrix, got 3"),
        ("[options]\nnotrack = 'no'", "notrack must be a value of --notrack"),
    ],
)
def test_bad_config_files_are_refused(tmp_path, content, text):
    file = tmp_path / "c.toml"
    file.write_text(content)
    with pytest.raises(UsageError, match=text):
        parse(["bids", "out", "participant", "--config-file", str(file)])
