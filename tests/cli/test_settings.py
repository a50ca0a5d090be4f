"""Arguments to settings."""

import pytest
from helpers.command import settings

from mri2qmap_bids.cli.parser import build_parser
from mri2qmap_bids.cli.settings import to_settings
from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.recon.methods.registry import method_named


@pytest.mark.parametrize(
    "option",
    ["--participant-label", "--participant_label", "--participant-labels", "--participant_labels"],
)
def test_participants_are_taken_in_every_spelling(option):
    assert settings(option, "sub-01", "02,sub-03").participants == ("01", "02", "03")


@pytest.mark.parametrize("option", ["--session-label", "--session_label", "--session-id"])
def test_sessions_are_taken_in_every_spelling(option):
    assert settings(option, "ses-a", "b").sessions == ("a", "b")


@pytest.mark.parametrize(
    ("words", "gigabytes"),
    [("16G", 16), ("16GB", 16), ("500M", 0.5), ("16000", 16), ("1.5T", 1500)],
)
def test_memory_is_taken_with_units(words, gigabytes):
    assert settings("--mem", words).memory_gb == pytest.approx(gigabytes)


def test_matrix_is_given_as_x_y_z_and_kept_as_z_y_x():
    assert settings("--matrix", "64").recon.matrix == (64, 64, 64)
    assert settings("--matrix", "64", "48", "32").recon.matrix == (32, 48, 64)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--mem", "lots"], "--mem must be"),
        (["--mem", "0"], "--mem must be a size above 0 such as 16G, or a number of MB, got 0"),
        (["--gpu-mem", "0.0G"], "--gpu-mem must be a size above 0"),
        (["--mem=-1"], "--mem must be a size above 0"),
        (["--matrix", "4"], "--matrix must be N or NX NY NZ, each at least 5"),
        (["--random-seed", "-1"], "--random-seed must be from 0 to 18446744073709551615, got -1"),
        (["--random-seed", str(2**64)], "--random-seed must be from 0 to"),
        (["--dry-run", "--reports-only"], "--dry-run and --reports-only must not be combined"),
        (["--boilerplate-only", "--dry-run"], "--dry-run and --boilerplate-only must not be comb"),
        (
            ["--reports-only", "--bids-filter-file", "f.json"],
            "--reports-only must not be combined with --bids-filter-file, .* got f.json",
        ),
        (["--matrix", "8", "8"], "--matrix must be"),
        (["--rank", "0"], "--rank must be at least 1, got 0"),
        (["--regularisation", "1"], "--regularisation needs --recon-method of subspace, lrtv"),
        (["--recon-method", "llr", "--regularisation", "-1"], "--regularisation must be at least"),
        (["--recon-method", "llr", "--regularisation", "nan"], "--regularisation must be at least"),
        (
            ["--recon-method", "lrtv", "--denoiser", "x"],
            "--denoiser needs --recon-method of mri2qmap, pnp, got lrtv",
        ),
        (
            ["--recon-method", "gridding", "--n-iterations", "9"],
            "--n-iterations needs --recon-method of mri2qmap, subspace, lrtv, llr, pnp, got gridding",
        ),
        (["--nprocs", "0"], "--nprocs must be at least 1"),
        (["--device", "tpu"], "--device must be"),
    ],
)
def test_contradictory_words_are_refused(words, text):
    with pytest.raises(UsageError, match=text):
        settings(*words)


@pytest.mark.parametrize(
    "words",
    [["--dry-run"], ["--reports-only"], ["--boilerplate-only"], ["--bids-filter-file", "f"]],
)
def test_what_the_group_level_cannot_follow_is_refused(words):
    arguments = build_parser().parse_args(["bids", "out", "group", *words])
    with pytest.raises(UsageError, match=f"{words[0]}.* must not be given at the group level"):
        to_settings(arguments)


def test_solver_takes_its_methods_defaults():
    assert settings().recon.n_iterations == method_named("mri2qmap").iterations
    assert (
        settings("--recon-method", "subspace").recon.n_iterations
        == method_named("subspace").iterations
    )
    assert (
        settings("--recon-method", "lrtv").recon.regularisation
        == method_named("lrtv").regularisation
    )
    assert settings("--recon-method", "lrtv", "--n-iterations", "7").recon.n_iterations == 7


def test_one_step_never_gets_more_cores_than_the_run():
    assert settings("--nprocs", "2", "--omp-nthreads", "8").omp_threads == 2


def test_participants_are_taken_from_files(tmp_path):
    plain, table = tmp_path / "labels.txt", tmp_path / "participants.tsv"
    plain.write_text("sub-01\n\n02\n")
    table.write_text("participant_id\tage\nsub-03\t30\n")
    words = ("--participant-label", str(plain), str(table), "sub-04,05")
    assert settings(*words).participants == ("01", "02", "03", "04", "05")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_participants_files_may_begin_with_a_byte_order_mark(tmp_path, encoding):
    """As Excel and PowerShell write them."""
    file = tmp_path / "participants.tsv"
    file.write_text("participant_id\tage\nsub-03\t30\n", encoding=encoding)
    assert settings("--participant-label", str(file)).participants == ("03",)
    file.write_text("sub-01\nsub-02\n", encoding=encoding)
    assert settings("--participant-label", str(file)).participants == ("01", "02")


@pytest.mark.parametrize("content", ["", "\n\n", "participant_id\tage\n"])
def test_a_list_of_nobody_does_not_select_all(tmp_path, content):
    file = tmp_path / "todo.txt"
    file.write_text(content)
    with pytest.raises(
        UsageError,
        match=f"--participant-label must name at least one label, got none in {file}",
    ):
        settings("--participant-label", str(file))
    assert settings("--participant-label", str(file), "01").participants == ("01",)


@pytest.mark.parametrize("word", [",", "", " "])
@pytest.mark.parametrize("kind", ["participant", "session", "acquisition", "run"])
def test_labels_that_are_none_do_not_select_all(kind, word):
    with pytest.raises(UsageError, match=f"--{kind}-label must name at least one label"):
        settings(f"--{kind}-label", word)


def test_labels_of_other_characters_are_refused_by_the_options_name():
    with pytest.raises(
        UsageError, match="--run-label: labels must be of letters and digits, got _"
    ):
        settings("--run-label", "1", "_")


def test_derivatives_have_names(tmp_path):
    (tmp_path / "qmap").mkdir()
    words = ("-d", f"b1={tmp_path / 'qmap'}", str(tmp_path / "qmap"))
    assert settings(*words).derivatives == (("b1", tmp_path / "qmap"), ("qmap", tmp_path / "qmap"))


def test_low_mem_is_asked_for():
    assert settings("--low-mem").low_memory
    assert not settings().low_memory


def test_sloppy_is_the_same_method_with_less_of_all():
    usual, rough = settings().recon, settings("--sloppy").recon
    assert rough.method == usual.method
    assert rough.grid_step > usual.grid_step
    assert rough.energy < usual.energy
    assert settings("--sloppy", "--recon-method", "lrtv").recon.n_iterations == 10
    words = ("--sloppy", "--recon-method", "lrtv", "--n-iterations", "7")
    assert settings(*words).recon.n_iterations == 7
