"""Whether the program takes spoiled input, or refuses it in one line each."""

import contextlib
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from mri2qmap_bids import tools
from mri2qmap_bids.cli import main
from tests.helpers import mutations

EXIT_CODES = (0, 1, 16, 17, 18, 64, 66, 73)
NAME = "sub-01/anat/sub-01_acq-2d_MRF"


@dataclass(frozen=True)
class Kind:
    """A kind of input, and how it is spoiled."""

    file: str
    """Of the dataset, or beside it."""
    spoil: Callable[[mutations.Draw, Path], str]
    words: tuple[str, ...] = ()
    """Further arguments; {} is the file."""


KINDS = {
    "bytes of the raw file": Kind(f"{NAME}.h5", mutations.spoil_bytes),
    "members of the raw file": Kind(f"{NAME}.h5", mutations.spoil_groups),
    "header": Kind(f"{NAME}.h5", mutations.spoil_header),
    "acquisitions": Kind(f"{NAME}.h5", mutations.spoil_acquisitions),
    "sidecar": Kind(f"{NAME}.json", mutations.spoil_json),
    "transmit field": Kind("sub-01/fmap/sub-01_acq-2d_TB1map.nii.gz", mutations.spoil_bytes),
    "dataset description": Kind("dataset_description.json", mutations.spoil_json),
    "filter file": Kind(
        "../filter.json", mutations.spoil_json, ("--bids-filter-file", "{}")
    ),
    "configuration": Kind("../options.toml", mutations.spoil_bytes, ("--config-file", "{}")),
    "weights": Kind("../weights.json", mutations.spoil_json, ("--denoiser", "../weights.safetensors")),
}  # fmt: skip


def make_base(folder: Path) -> Path:
    """A dataset of one participant, with a transmit field, and files beside it."""
    root = folder / "dataset"
    words = ["simulate", str(root), "--sub", "01", "--acq", "2d", "--matrix", "16", "--coils", "2"]
    words += ["--frames", "24", "--noise", "0.01", "--b1", "0.1", "--seed", "1"]
    with contextlib.redirect_stderr(io.StringIO()):
        assert tools.main(words) == 0
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "filter.json").write_text(json.dumps({"mrf": {"acquisition": "2d"}}))
    (folder / "options.toml").write_text(
        '[options]\nrandom_seed = 3\nsloppy = true\nrecon_method = "subspace"\n'
    )
    weights = Path(tools.__file__).parent / "recon/denoisers/weights"
    for suffix in (".json", ".safetensors"):
        shutil.copy(weights / f"joint{suffix}", folder / f"weights{suffix}")
    return root


def options_of(kind: Kind, folder: Path) -> list[str]:
    """Further arguments for a copy of the base in a folder."""
    if not kind.words:
        return []
    option, name = kind.words
    root = folder / "dataset"
    path = root / kind.file if name == "{}" else folder / name.removeprefix("../")
    return [option, str(path)]


def call(root: Path, *words: str) -> tuple[int, str]:
    """Exit code and log of one call on a dataset."""
    stream = io.StringIO()
    base = root.parent
    arguments = [str(root), str(base / "out"), "participant", "-w", str(base / "work"), *words]
    with contextlib.redirect_stderr(stream), contextlib.redirect_stdout(io.StringIO()):
        code = main(arguments)
    return code, stream.getvalue()


def complaint(root: Path, code: int, log: str) -> str:
    """What is wrong with a call's outcome; empty: nothing."""
    errors = [line for line in log.splitlines() if re.search(r"\bERROR\b", line)]
    if code not in EXIT_CODES:
        return f"exit code {code}"
    if "Traceback" in log or "Exception raised while executing Node" in log:
        return "a traceback"
    if code != 0 and not 1 <= len(errors) <= 2:
        return f"{len(errors)} lines of errors"
    if code == 0 and errors:
        return "errors, and exit code 0"
    return partial_output(root.parent / "out")


def partial_output(out: Path) -> str:
    """Derivatives that are incomplete or no numbers; empty: none."""
    for image in out.rglob("*.nii.gz"):
        if not image.with_name(image.name.replace(".nii.gz", ".json")).is_file():
            return f"{image.name} without a sidecar"
        if not np.isfinite(np.asarray(nib.load(image).dataobj)).all():
            return f"{image.name} has values that are no numbers"
    hidden = [path.name for path in out.rglob(".tmp-*")]
    return f"left over: {', '.join(hidden)}" if hidden else ""
