"""The command line: words to settings, and bad input to one clear line and an exit code."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from mri2qmap_bids.cli import build_parser, main, parse, to_settings
from mri2qmap_bids.config import write_options
from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.recon.methods.registry import method_named


def settings(*words):
    return to_settings(build_parser().parse_args(["bids", "out", "participant", *words]))


def run(*words) -> int:
    return main([str(word) for word in words])


def errors_in(capfd) -> list[str]:
    """The error lines on the standard error, without time and level."""
    lines = capfd.readouterr().err.splitlines()
    assert not any(line.startswith("Traceback") for line in lines)
    return [line.split(" ERROR ", 1)[1] for line in lines if " ERROR " in line]


def one_error(capfd) -> str:
    """The only error line."""
    (line,) = errors_in(capfd)
    return line


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
        (["--matrix", "2"], "--matrix must be"),
        (["--matrix", "8", "8"], "--matrix must be"),
        (["--rank", "0"], "--rank must be at least 1, got 0"),
        (["--regularisation", "1"], "--regularisation needs --recon-method of subspace, lrtv"),
        (["--recon-method", "llr", "--regularisation", "-1"], "--regularisation must be at least"),
        (["--recon-method", "llr", "--regularisation", "nan"], "--regularisation must be at least"),
        (["--nprocs", "0"], "--nprocs must be at least 1"),
        (["--device", "tpu"], "--device must be"),
    ],
)
def test_contradictory_words_are_refused(words, text):
    with pytest.raises(UsageError, match=text):
        settings(*words)


def test_solver_takes_its_methods_defaults():
    assert settings().recon.n_iterations == method_named("mri2qmap").iterations
    assert (
        settings("--recon-method", "subspace").recon.n_iterations
        == method_named("subspace").iterations
    )
    assert settings("--recon-method", "lrtv").recon.regularisation == 0.5
    assert settings("--recon-method", "lrtv", "--n-iterations", "7").recon.n_iterations == 7


def test_one_step_never_gets_more_cores_than_the_run():
    assert settings("--nprocs", "2", "--omp-nthreads", "8").omp_threads == 2


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 64, "the following arguments are required: bids_dir, output_dir, analysis_level"),
        (["bids", "out"], 64, "required: analysis_level"),
        (["bids", "out", "everyone"], 17, "analysis_level must be one of participant, group"),
        (["bids", "out", "participant", "--colour"], 64, "unrecognized arguments: --colour"),
        (["bids", "out", "participant", "--nprocs", "two"], 64, "--n-cpus/--n_cpus/--nthreads"),
        (["bids", "out", "participant", "--ignore", "b0"], 64, "invalid choice: 'b0'"),
        (["bids", "out", "participant", "-d", "a=/nowhere"], 66, "must be a directory"),
        (["bids", "out", "participant", "-d", "raw=/"], 64, "--derivatives must be NAME=PATH"),
        (["bids", "out", "participant", "-d", "x=/", "x=/tmp"], 64, "each NAME once"),
        (["bids", "out", "participant", "--denoiser", "nowhere.safetensors"], 66, "must be a file"),
        (["bids", "out", "participant", "--config-file", "nowhere.toml"], 66, "must be a file"),
        (["bids", "out", "participant", "--use-plugin", "nowhere.yml"], 66, "must be a file"),
        (
            ["bids", "out", "participant", "--participant-label", "no/file"],
            66,
            "or a file with one",
        ),
        (["bids", "out", "participant", "--participant-label", "a_b"], 64, "must be of letters"),
        (["nowhere", "out", "participant"], 66, "no such directory"),
    ],
)
def test_wrong_words_have_one_line_and_an_exit_code(words, code, text, capfd):
    assert run(*words) == code
    assert text in one_error(capfd)


def test_a_filter_file_that_is_not_there(small_dataset, tmp_path, capfd):
    words = (small_dataset, tmp_path / "out", "participant", "--bids-filter-file", "nowhere.json")
    assert run(*words) == 66
    assert "--bids-filter-file nowhere.json: must be a file" in one_error(capfd)


def test_participants_are_taken_from_files(tmp_path):
    plain, table = tmp_path / "labels.txt", tmp_path / "participants.tsv"
    plain.write_text("sub-01\n\n02\n")
    table.write_text("participant_id\tage\nsub-03\t30\n")
    words = ("--participant-label", str(plain), str(table), "sub-04,05")
    assert settings(*words).participants == ("01", "02", "03", "04", "05")


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


def test_dataset_without_mrf_files(tmp_path, capfd):
    (tmp_path / "bids" / "sub-01" / "anat").mkdir(parents=True)
    assert run(tmp_path / "bids", tmp_path / "out", "participant", "-w", tmp_path / "w") == 16
    assert "must hold raw MRF files" in one_error(capfd)
    assert not (tmp_path / "out").exists()


def test_participant_that_is_not_there(small_dataset, tmp_path, capfd):
    words = (small_dataset, tmp_path / "out", "participant", "--participant-label", "99")
    assert run(*words, "-w", tmp_path / "w") == 18
    assert "--participant-label must be among 01, 02, got 99" in one_error(capfd)


def test_group_level_needs_maps(small_dataset, tmp_path, capfd):
    assert run(small_dataset, tmp_path / "out", "group") == 16
    assert "run the participant level first" in one_error(capfd)


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


def test_a_dataset_of_nothing_but_a_broken_sidecar_says_so(tmp_path, capfd):
    anat = tmp_path / "bids" / "sub-1" / "anat"
    anat.mkdir(parents=True)
    (anat / "sub-1_MRF.h5").touch()
    (anat / "sub-1_MRF.json").write_text("{broken")
    words = (tmp_path / "bids", tmp_path / "out", "participant", "-w", tmp_path / "w")
    for more in ((), ("--dry-run",)):
        assert run(*words, *more) == 1
        line = one_error(capfd)
        assert line.startswith("sub-1: failed: ")
        assert "sub-1_MRF.json" in line


def drop_flip_angles(path: Path) -> None:
    sidecar = path.with_suffix(".json")
    content = json.loads(sidecar.read_text())
    del content["FlipAngle"]
    sidecar.write_text(json.dumps(content))
    with h5py.File(path, "r+") as file:  # nor may the header give them
        xml = file["dataset/xml"][0].decode()
        while "<flipAngle_deg>" in xml:
            start, end = xml.index("<flipAngle_deg>"), xml.index("</flipAngle_deg>")
            xml = xml[:start] + xml[end + len("</flipAngle_deg>") :]
        file["dataset/xml"][0] = xml.encode()


def shorten_flip_angles(path: Path) -> None:
    sidecar = path.with_suffix(".json")
    content = json.loads(sidecar.read_text())
    content["FlipAngle"] = content["FlipAngle"][:-1]
    sidecar.write_text(json.dumps(content))


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def replace_by_text(path: Path) -> None:
    path.write_text("this is no ISMRMRD file")


def put_nan(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        record = file["dataset/data"][5]
        record["data"][3] = np.nan
        file["dataset/data"][5] = record


def drop_trajectory(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        records = file["dataset/data"][:]
        records["head"]["trajectory_dimensions"] = 0
        for record in records:
            record["traj"] = np.zeros(0, np.float32)
        file["dataset/data"][:] = records


@pytest.mark.slow
def test_bad_runs_fail_alone_each_with_its_reason(small_dataset, tmp_path, capfd):
    """Every way a run can be bad, side by side with a good one."""
    damages = {
        drop_flip_angles: "FlipAngle must be given",
        shorten_flip_angles: "got 60 frames and 59 flip angles",
        truncate: "must be a complete ISMRMRD (HDF5) file",
        replace_by_text: "must be a complete ISMRMRD (HDF5) file",
        put_nan: "k-space must be finite, got 1 NaN or infinite values in acquisition 5",
        drop_trajectory: "must carry a trajectory",
    }
    bids = tmp_path / "bids"
    source = small_dataset / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_acq-2d_MRF.h5"
    for number, damage in enumerate([None, *damages]):
        path = bids / f"sub-{number}" / "anat" / f"sub-{number}_MRF.h5"
        path.parent.mkdir(parents=True)
        shutil.copy(source, path)
        shutil.copy(source.with_suffix(".json"), path.with_suffix(".json"))
        if damage:
            damage(path)
    (bids / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.11.1"}')
    assert run(bids, tmp_path / "out", "participant", "-w", tmp_path / "w") == 1
    errors = sorted(errors_in(capfd))
    assert len(errors) == len(damages)
    for number, (line, words) in enumerate(zip(errors, damages.values(), strict=True), start=1):
        assert line.startswith(f"sub-{number}: failed: ")
        assert f"sub-{number}_MRF" in line.split("[")[0].split("failed: ")[1]
        assert words in line
    maps = sorted(path.name for path in (tmp_path / "out").rglob("*_T?map.nii.gz"))
    ends = ("T1map", "T2map", "desc-std_T1map", "desc-std_T2map")
    assert maps == sorted(f"sub-0_{end}.nii.gz" for end in ends)
    assert not [p for p in (tmp_path / "out").rglob("*") if p.name.startswith(".tmp")]


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


def test_options_of_other_apps_are_taken():
    words = ["--notrack", "--skip_bids_validation", "--run-label", "run-1", "2"]
    assert settings(*words).runs == ("1", "2")


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


def test_the_first_failure_stops_the_others_if_asked(small_dataset, tmp_path, capfd):
    copy = tmp_path / "bids"
    shutil.copytree(small_dataset, copy)
    for file in copy.rglob("sub-01*_MRF.h5"):
        put_nan(file)
    words = [copy, tmp_path / "out", "participant", "-w", tmp_path / "w", "--nprocs", "1"]
    words += ["--recon-method", "gridding", "--stop-on-first-crash"]
    assert run(*words) == 1
    assert "0 done, 0 skipped, 1 failed, 2 not run" in capfd.readouterr().err
    # What the headers tell stops all others before they begin.
    for file in copy.rglob("sub-01_ses-1*_MRF.h5"):
        truncate(file)
    assert run(*words) == 1
    assert "0 done, 0 skipped, 1 failed, 2 not run" in capfd.readouterr().err


def test_a_second_call_does_only_what_is_missing_or_changed(small_dataset, tmp_path, capfd):
    """Without the work directory: from the derivatives alone."""
    copy, out = tmp_path / "bids", tmp_path / "out"
    shutil.copytree(small_dataset, copy)
    call = 0

    def done(*words) -> dict[str, str]:
        nonlocal call
        call += 1
        common = [copy, out, "participant", "-w", tmp_path / f"w{call}", "--nprocs", "1"]
        assert run(*common, "--participant-label", "01", "--recon-method", "gridding", *words) == 0
        lines = capfd.readouterr().err.splitlines()
        names = ("sub-01_ses-1_acq-2d", "sub-01_ses-2_acq-2d")
        return {
            name: next(
                kind for line in lines for kind in ("skipped", "done") if f"{name}: {kind}" in line
            )
            for name in names
        }

    first, second = "sub-01_ses-1_acq-2d", "sub-01_ses-2_acq-2d"
    assert done() == {first: "done", second: "done"}
    stamp = {path: path.stat().st_mtime_ns for path in out.rglob("*.nii.gz")}
    assert done() == {first: "skipped", second: "skipped"}
    assert stamp == {path: path.stat().st_mtime_ns for path in out.rglob("*.nii.gz")}
    next(out.rglob("sub-01_ses-1*_desc-brain_mask.nii.gz")).unlink()
    assert done() == {first: "done", second: "skipped"}
    sidecar = next(copy.rglob("sub-01_ses-2*_MRF.json"))
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"Note": "changed"}))
    assert done() == {first: "skipped", second: "done"}
    assert done("--matrix", "24") == {first: "done", second: "done"}
    assert done("--matrix", "24", "--force") == {first: "done", second: "done"}
