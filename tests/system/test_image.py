"""The image as Docker's and Apptainer's users run it: builds it, and compares with a run outside.

Not part of the other tests: ``make image-test``. The image and its layers stay in
``$MRI2QMAP_IMAGE_STORE`` (default /var/tmp/mri2qmap-image, some 6 GB) for the next time.
"""

import json
import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from helpers import apptainer, image
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
# cpu, or cuda, which is several times as large: it is built here, but only its libraries can be tried.
DEVICE = os.environ.get("MRI2QMAP_IMAGE_DEVICE", "cpu")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
TAG = f"localhost/mri2qmap:{VERSION}-{DEVICE}"
# torch names the exact versions of these itself.
OF_TORCH = ("nvidia-", "cuda-", "triton")
STRANGER = 12345  # no such user in the image
WORDS = ["/data", "/out", "participant", "-w", "/work", "--nprocs", "1"]

pytestmark = pytest.mark.skipif(
    image.reason_to_skip() is not None, reason=f"image: {image.reason_to_skip()}"
)


@pytest.fixture(scope="module")
def engine():
    engine = image.Engine(image.STORE)
    arguments = {"DEVICE": DEVICE, "VERSION": VERSION, "REVISION": "test"}
    start = time.monotonic()
    engine.build(
        ROOT, TAG, [word for item in arguments.items() for word in ("--build-arg", "=".join(item))]
    )
    sys.stderr.write(
        f"\nbuilt in {time.monotonic() - start:.0f} s: {engine.size(TAG) / 1e9:.2f} GB\n"
    )
    return engine


@pytest.fixture(scope="module")
def maps_outside(small_dataset, tmp_path_factory):
    """What the same call makes without a container."""
    root = tmp_path_factory.mktemp("outside")
    words = [str(small_dataset), str(root / "out"), "participant", "-w", str(root / "work")]
    program = [sys.executable, "-m", "mri2qmap_bids", *words, "--nprocs", "1"]
    subprocess.run(program, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return root / "out"


@pytest.fixture
def folders(tmp_path_factory):
    """An output and a work directory that belong to the stranger, below ones he may enter."""
    root = tmp_path_factory.mktemp("container")
    for name in ("out", "work", "home"):
        (root / name).mkdir()
        os.chown(root / name, STRANGER, STRANGER)
    for path in (root, root.parent, root.parent.parent):
        path.chmod(0o755)
    return root


def mounts(dataset, folders, *names):
    options = ["-v", f"{dataset}:/data:ro"]
    for name in names:
        options += ["-v", f"{folders / name}:/{name}"]
    return options


def assert_same_maps(folder: Path, expected: Path):
    """The same files, and in each image the same values but for rounding."""
    names = sorted(path.relative_to(expected) for path in expected.glob("sub-*/**/*.*"))
    assert sorted(path.relative_to(folder) for path in folder.glob("sub-*/**/*.*")) == names
    images = [name for name in names if name.name.endswith(".nii.gz")]
    assert len(images) == 3 * 17
    for name in images:
        ours, theirs = nib.load(folder / name), nib.load(expected / name)
        assert np.array_equal(ours.affine, theirs.affine)
        difference = np.abs(ours.get_fdata() - theirs.get_fdata())
        scale = np.abs(theirs.get_fdata()).max()
        assert np.quantile(difference, 0.99) <= 1e-3 * scale, name


@pytest.mark.parametrize("home", ["", "/nowhere", None], ids=["default", "unwritable", "unset"])
def test_any_user_without_root_file_system_network_or_home(
    engine, small_dataset, maps_outside, folders, home, validator
):
    options = ["--user", f"{STRANGER}:{STRANGER}", "--read-only", "--read-only-tmpfs=false"]
    options += mounts(small_dataset, folders, "out", "work")
    words = WORDS
    if home is None:
        entry = [*engine.config(TAG)["Entrypoint"], *words]
        options += ["--entrypoint", "env"]
        words = ["-u", "HOME", *entry]
    elif home:
        options += ["--env", f"HOME={home}"]
    engine.run(TAG, *words, options=options)
    assert_same_maps(folders / "out", maps_outside)
    assert validator(folders / "out")[0] == 0
    assert {path.stat().st_uid for path in (folders / "out").rglob("*")} == {STRANGER}


def test_call_of_the_bids_apps_with_nothing_but_data_and_output(engine, small_dataset, folders):
    os.chown(folders / "out", 0, 0)
    options = ["--read-only", "--read-only-tmpfs=false", *mounts(small_dataset, folders, "out")]
    words = ["/data", "/out", "participant", "--recon-method", "gridding"]
    engine.run(TAG, *words, "--participant_label", "02", options=options)
    assert list((folders / "out").glob("sub-02/**/*_T1map.nii.gz"))
    engine.run(TAG, "/data", "/out", "group", options=options)
    assert (folders / "out" / "group_T1map.tsv").is_file()


def test_output_that_cannot_be_written_is_said_in_one_line(engine, small_dataset):
    options = ["--user", f"{STRANGER}:{STRANGER}", "--read-only"]
    command = engine.command(TAG, *WORDS, options=[*options, *mounts(small_dataset, Path())])
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 73
    assert "the output directory must be writable, got /out" in process.stderr
    assert "Traceback" not in process.stderr


def test_stop_ends_a_container_at_once(engine, small_dataset, folders):
    name = f"mri2qmap-test-{os.getpid()}"
    options = ["--name", name, *mounts(small_dataset, folders, "out", "work")]
    running = subprocess.Popen(
        engine.command(TAG, *WORDS, options=options), stderr=subprocess.PIPE, text=True
    )
    for line in running.stderr:
        if "run(s) found" in line:
            break
    # Had it not ended by itself, it would have been killed, with another code.
    subprocess.run([*engine.podman, "stop", "-t", "120", name], check=True, capture_output=True)
    running.communicate()
    assert running.returncode == 128 + 15


def test_labels_and_version(engine):
    labels = engine.config(TAG)["Labels"]
    assert labels["org.opencontainers.image.version"] == VERSION
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert engine.run(TAG, "--version").strip() == f"mri2qmap {VERSION}"
    tools = engine.run(TAG, "--version", options=["--entrypoint", "mri2qmap-tools"])
    assert tools.strip() == f"mri2qmap-tools {VERSION}"


def test_image_holds_the_pinned_versions_and_nothing_of_the_machine_that_built_it(engine):
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {
        canonicalize_name(name): version
        for name, _, version in (line.partition("==") for line in lines if "==" in line)
    }
    frozen = engine.run(TAG, "freeze", options=["--entrypoint", "pip"]).splitlines()
    versions = dict(re.split(r"==| @ ", line) for line in frozen)
    versions = {canonicalize_name(name): version for name, version in versions.items()}
    versions = {name: at for name, at in versions.items() if not name.startswith(OF_TORCH)}
    assert versions.pop("mri2qmap-bids")
    assert {name: version.partition("+")[0] for name, version in versions.items()} == {
        name: pinned.get(name) for name in versions
    }
    with engine.mounted(TAG) as root:
        assert not (root / "etc" / "pip.conf").exists()
        files = [path for path in (root / "run" / "host").rglob("*") if path.is_file()]
        assert [path for path in files if path.stat().st_size] == []
        assert not list(root.glob("opt/venv/**/mri2qmap_bids/**/test_*.py"))
        assert list(root.glob("opt/venv/**/mri2qmap_bids/recon/denoisers/weights/*.safetensors"))


@pytest.mark.skipif(DEVICE != "cuda", reason="MRI2QMAP_IMAGE_DEVICE=cuda was not asked for")
def test_libraries_of_cuda_are_found(engine):
    """Without a GPU this is all that can be told."""
    program = (
        "from mri2qmap_bids.recon.encoding.cuda import load_cuda_libraries as load\n"
        "import torch; load(); import cufinufft; print(torch.version.cuda)"
    )
    version = engine.run(TAG, "-c", program, options=["--entrypoint", "python3"])
    assert version.startswith("13.")


@pytest.fixture(scope="module")
def unpacked(engine):
    reason = apptainer.reason_to_skip()
    if reason:
        pytest.skip(reason)
    with engine.mounted(TAG) as files, apptainer.squashed(files, image.STORE) as root:
        yield root


def test_apptainer_emulated_with_the_environment_of_a_careless_user(
    engine, unpacked, small_dataset, maps_outside, folders
):
    """The caller's PYTHONPATH, thread count and user packages must not reach the program."""
    wrong = folders / "home" / "wrong"
    for folder in (wrong, folders / "home" / ".local/lib/python3.11/site-packages"):
        folder.mkdir(parents=True)
        (folder / "numpy.py").write_text("raise SystemExit('a numpy of the host')\n")
    environment = {"PYTHONPATH": str(wrong), "OMP_NUM_THREADS": "2", "LANG": "de_DE.UTF-8"}
    small_dataset.parent.parent.parent.chmod(0o755)
    small_dataset.parent.parent.chmod(0o755)
    small_dataset.parent.chmod(0o755)
    caller = apptainer.Apptainer(unpacked, engine.config(TAG), STRANGER, folders / "home")
    process = caller.run(
        *WORDS,
        binds={
            small_dataset: "/data",
            folders / "out": "/out",
            folders / "work": "/work",
        },
        read_only=[small_dataset],
        environment=environment,
    )
    assert process.returncode == 0, process.stderr
    assert_same_maps(folders / "out", maps_outside)


def test_apptainer_emulated_with_nothing_bound_but_home(engine, unpacked, small_dataset, folders):
    """Data, output and work lie below the home directory, as most users have them."""
    caller = apptainer.Apptainer(unpacked, engine.config(TAG), STRANGER, folders / "home")
    subprocess.run(["cp", "-r", str(small_dataset), str(folders / "home" / "data")], check=True)
    words = ["data", "out", "participant", "--recon-method", "gridding"]
    process = caller.run(*words, "--participant-label", "02", binds={}, environment={})
    assert process.returncode == 0, process.stderr
    description = json.loads((folders / "home" / "out" / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert list((folders / "home" / "out").glob("sub-02/**/*_T1map.nii.gz"))
