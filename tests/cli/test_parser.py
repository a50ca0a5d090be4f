"""Bad words on the command line: one clear line and an exit code."""

import subprocess
import sys

import pytest
from helpers.command import one_error, run, settings

from mri2qmap_bids.cli.parser import build_parser


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 64, "the following arguments are required: bids_dir, output_dir, analysis_level"),
        (["bids", "out"], 64, "required: analysis_level"),
        (["bids", "out", "everyone"], 17, "analysis_level must be one of participant, group"),
        (["bids", "out", "participant", "--colour"], 64, "unrecognized arguments: --colour"),
        (
            ["bids", "out", "participant", "--participant-lable", "1"],
            64,
            "mean --participant-label?",
        ),
        (["bids", "out", "participant", "--nproc=2"], 64, "(did you mean --nprocs?)"),
        (["bids", "out", "participant", "--nprocs", "two"], 64, "--n-cpus/--n_cpus/--nthreads"),
        (["bids", "out", "participant", "--ignore", "b9"], 64, "invalid choice: 'b9'"),
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


def test_options_of_other_apps_are_taken():
    words = ["--notrack", "--skip_bids_validation", "--run-label", "run-1", "2"]
    assert settings(*words).runs == ("1", "2")


def test_help_waits_for_no_large_library():
    program = (
        "import sys\n"
        "from mri2qmap_bids.cli import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit:\n"
        "    print(sorted({'numpy', 'torch', 'nipype', 'nibabel'} & set(sys.modules)))\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert process.stdout.splitlines()[-1] == "[]", process.stderr


def test_options_stand_under_what_they_are_about_and_help_ends_with_examples():
    text = build_parser().format_help()
    headings = ["selection:", "reconstruction:", "resources:", "reports:", "execution:"]
    places = [text.index(f"\n{heading}") for heading in headings]
    assert places == sorted(places)
    for option in ("--work-dir", "--force", "--verbose", "--dry-run"):
        assert text.rindex(f"{option}") > places[-1]
    assert text.index("--gpu-mem") < text.index("--low-mem") < places[-1]
    end = text[text.index("\nexamples:") :]
    assert end.count("\n  mri2qmap data out participant ") == 2
    assert "documentation:" in end
