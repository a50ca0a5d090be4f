"""Arguments to validated settings."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from mri2qmap_bids.cli.config import is_label_file, read_plugin
from mri2qmap_bids.cli.directories import check_emptied, check_output, check_work
from mri2qmap_bids.encoded_text import read_text
from mri2qmap_bids.errors import InputError, UsageError
from mri2qmap_bids.recon.bounds import LEAST_MATRIX
from mri2qmap_bids.recon.methods.registry import (
    OWN_OPTIONS,
    has_option,
    method_names,
    resolved,
    sloppy,
)
from mri2qmap_bids.recon.options import LARGEST_SEED, ReconOptions
from mri2qmap_bids.recon.planning.resources import usable_memory_gb
from mri2qmap_bids.settings import PLUGINS, Settings


def to_settings(arguments: argparse.Namespace) -> Settings:
    """Validated settings from the parsed arguments.

    Raises
    ------
    UsageError
        If values are invalid or contradict each other.
    InputError
        If a named file does not exist.
    """
    bids_dir, output_dir = arguments.bids_dir.absolute(), arguments.output_dir.absolute()
    check_output(bids_dir.resolve(), output_dir.resolve())
    check_work(bids_dir.resolve(), output_dir.resolve(), arguments.work_dir.resolve())
    derivatives = _derivatives(arguments.derivatives)
    if arguments.clean_workdir:
        kept = {"bids_dir": bids_dir, "output_dir": output_dir}
        kept |= {f"--derivatives {name}": root for name, root in derivatives}
        if arguments.bids_database_dir is not None:
            kept["--bids-database-dir"] = arguments.bids_database_dir
        check_emptied(
            arguments.work_dir.resolve(), {name: path.resolve() for name, path in kept.items()}
        )
    _check_task(arguments)
    for name in ("nprocs", "omp_nthreads", "rank", "n_iterations", "aggregate_session_reports"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} must be at least 1, got {value}")
    if not 0 <= arguments.random_seed <= LARGEST_SEED:
        raise UsageError(
            f"--random-seed must be from 0 to {LARGEST_SEED}, got {arguments.random_seed}"
        )
    _check_method_options(arguments)
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", arguments.device):
        raise UsageError(f"--device must be auto, cpu, cuda or cuda:N, got {arguments.device}")
    if arguments.denoiser and not Path(arguments.denoiser).is_file():
        raise InputError(f"--denoiser must be a file, got {arguments.denoiser}")
    n_procs = arguments.nprocs
    recon = ReconOptions(
        method=arguments.recon_method,
        n_iterations=arguments.n_iterations,
        regularisation=arguments.regularisation,
        denoiser=str(Path(arguments.denoiser).absolute()) if arguments.denoiser else None,
        rank=arguments.rank,
        matrix=_matrix(arguments.matrix),
        device=arguments.device,
        random_seed=arguments.random_seed,
        inversion_efficiency=arguments.inversion_efficiency,
    )
    plugin, plugin_args = (
        read_plugin(arguments.use_plugin) if arguments.use_plugin else (PLUGINS[0], {})
    )
    return Settings(
        bids_dir=bids_dir,
        output_dir=output_dir,
        work_dir=arguments.work_dir.absolute(),
        participants=_labels("--participant-label", arguments.participant_label, "sub-"),
        sessions=_labels("--session-label", arguments.session_label, "ses-"),
        acquisitions=_labels("--acquisition-label", arguments.acquisition_label, "acq-"),
        runs=_labels("--run-label", arguments.run_label, "run-"),
        derivatives=derivatives,
        b1_ignored="b1" in arguments.ignore,
        b0_ignored="b0" in arguments.ignore,
        t1w_ignored="t1w" in arguments.ignore,
        output_spaces=_spaces(arguments.output_spaces, arguments.ignore),
        filter_file=arguments.bids_filter_file,
        database_dir=arguments.bids_database_dir,
        database_renewed=arguments.bids_database_wipe,
        stop_on_first_crash=arguments.stop_on_first_crash,
        write_graph=arguments.write_graph,
        clean_work_dir=arguments.clean_workdir,
        plugin=plugin,
        plugin_args=plugin_args,
        most_sessions=arguments.aggregate_session_reports,
        viewer=arguments.viewer,
        fail_on=arguments.fail_on,
        n_procs=n_procs,
        omp_threads=min(arguments.omp_nthreads or min(n_procs, 8), n_procs),
        memory_gb=(
            usable_memory_gb() if arguments.mem is None else _gigabytes("--mem", arguments.mem)
        ),
        gpu_memory_gb=(
            None if arguments.gpu_mem is None else _gigabytes("--gpu-mem", arguments.gpu_mem)
        ),
        low_memory=arguments.low_mem,
        recon=resolved(sloppy(recon) if arguments.sloppy else recon),
    )


def _check_task(arguments: argparse.Namespace) -> None:
    """Refuse options that ask for another task than the level or each other."""
    only = [
        f"--{name.replace('_', '-')}"
        for name in ("dry_run", "reports_only", "boilerplate_only")
        if getattr(arguments, name)
    ]
    if len(only) > 1:
        raise UsageError(f"{' and '.join(only)} must not be combined")
    at_group = arguments.analysis_level == "group"
    if arguments.reports_only and arguments.bids_filter_file is not None:
        raise UsageError(
            "--reports-only must not be combined with --bids-filter-file, which selects raw files; give "
            f"--session-label and the like, got {arguments.bids_filter_file}"
        )
    if at_group and arguments.bids_filter_file is not None:
        only.append("--bids-filter-file (but --session-label and the like)")
    if at_group and only:
        raise UsageError(f"{only[0]} must not be given at the group level, which cannot follow it")


def _spaces(spaces: Sequence[str], ignored: Sequence[str]) -> tuple[str, ...]:
    """The grids asked for, each once; that of the maps themselves always."""
    if "T1w" in spaces and "t1w" in ignored:
        raise UsageError("--output-spaces T1w needs the T1w images that --ignore t1w leaves out")
    return tuple(dict.fromkeys(("native", *spaces)))


def _check_method_options(arguments: argparse.Namespace) -> None:
    """Refuse options that the method does not have, and a negative weight."""
    method = arguments.recon_method
    for name in OWN_OPTIONS:
        if getattr(arguments, name) is None or has_option(method, name):
            continue
        methods = [other for other in method_names() if has_option(other, name)]
        raise UsageError(
            f"--{name.replace('_', '-')} needs --recon-method of {', '.join(methods)}, got {method}"
        )
    weight = arguments.regularisation
    if weight is not None and not 0 <= weight < float("inf"):
        raise UsageError(f"--regularisation must be at least 0, got {weight:g}")


def _with_files(words: Sequence[str]) -> list[str]:
    """The values, with files replaced by the first column of their lines."""
    labels: list[str] = []
    for word in words:
        if not is_label_file(word):
            labels.append(word)
            continue
        try:
            lines = read_text(Path(word)).splitlines()
        except (OSError, ValueError) as error:
            raise InputError(
                f"--participant-label {word}: must be labels, or a file with one label per line, got: {error}"
            ) from error
        columns = [line.split()[0] for line in lines if line.strip()]
        # participants.tsv is such a file, too.
        labels += [label for label in columns if label != "participant_id"]
    return labels


def _labels(option: str, words: Sequence[str], prefix: str) -> tuple[str, ...]:
    """Labels without prefix, from values that may contain several, separated by commas.

    Raises
    ------
    UsageError
        If values are given, but no label, which would select all; or labels of other characters.
    """
    values = _with_files(words) if option == "--participant-label" else words
    parts = [part.strip() for value in values for part in value.split(",")]
    labels = tuple(dict.fromkeys(part.removeprefix(prefix) for part in parts if part))
    if words and not labels:
        raise UsageError(f"{option} must name at least one label, got none in {', '.join(words)}")
    wrong = [label for label in labels if not re.fullmatch(r"[0-9A-Za-z+]+", label)]
    if wrong:
        raise UsageError(f"{option}: labels must be of letters and digits, got {', '.join(wrong)}")
    return labels


def _derivatives(words: Sequence[str]) -> tuple[tuple[str, Path], ...]:
    """(name, root) of datasets from NAME=PATH, or PATH named by its last part."""
    roots: dict[str, Path] = {}
    for word in words:
        name, _, place = word.rpartition("=")
        path = Path(place).absolute()
        name = name or path.name
        if not re.fullmatch(r"[0-9A-Za-z_.-]+", name) or name == "raw" or name in roots:
            raise UsageError(
                "--derivatives must be NAME=PATH, each NAME once, of letters, digits and ._- and not "
                f"raw, got {word}"
            )
        if not path.is_dir():
            raise InputError(f"--derivatives {word}: must be a directory, got no such directory")
        roots[name] = path
    return tuple(roots.items())


def _matrix(values: Sequence[int] | None) -> tuple[int, int, int] | None:
    """Voxels along (z, y, x) from N or NX NY NZ."""
    if values is None:
        return None
    if len(values) not in (1, 3) or min(values) < LEAST_MATRIX:
        raise UsageError(
            f"--matrix must be N or NX NY NZ, each at least {LEAST_MATRIX}, got {list(values)}"
        )
    x, y, z = values if len(values) == 3 else (values[0],) * 3
    return z, y, x


def _gigabytes(name: str, size: str) -> float:
    """Memory from a size such as 16G, 512M or 16000 (MB)."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", size.strip(), re.IGNORECASE)
    if not match or float(match[1]) == 0:
        raise UsageError(
            f"{name} must be a size above 0 such as 16G, or a number of MB, got {size}"
        )
    factor = {"K": 1e-6, "M": 1e-3, "": 1e-3, "G": 1.0, "T": 1e3}[match[2].upper()]
    return float(match[1]) * factor
