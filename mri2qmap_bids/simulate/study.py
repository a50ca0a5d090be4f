"""All runs of one call: which subjects and sessions, each with its own seeds."""

import logging
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mri2qmap_bids.dataset.rawdataset import check_free, run_path
from mri2qmap_bids.simulate.scan import ScanOptions, simulate_scan
from mri2qmap_bids.simulate.write import write_run

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Study:
    """Which runs to make; each combination of subject and session is one."""

    subjects: Sequence[str]
    """Participant labels, without ``sub-``."""
    sessions: Sequence[str] = ()
    """Session labels, without ``ses-``; none: a dataset without sessions."""
    acquisition: str | None = None
    """Label of ``acq-``."""
    run: str | None = None
    """Index of ``run-``."""
    seed: int = 0
    """Seed of everything random."""
    overwrite: bool = False
    """Whether runs already there are replaced."""


def simulate_study(dataset: Path, study: Study, options: ScanOptions) -> list[Path]:
    """Simulate and write every run of a study.

    A subject's anatomy depends on the seed and its label alone; the noise also
    on the run's name. So runs may be made in any order, in one call or several.

    Parameters
    ----------
    dataset
        Root of the raw dataset, made if missing.
    study
        Which runs.
    options
        What to scan and how.

    Returns
    -------
    The raw files written.

    Raises
    ------
    OutputError
        If a run is already there, or the dataset cannot be written.
    UsageError
        If the options contradict one another.
    """
    runs = list(_entities(study))
    for entities in runs:
        check_free(dataset, entities, study.overwrite)
    paths = []
    for entities in runs:
        subject_seed = seed_of(study.seed, f"sub-{entities['sub']}")
        scan_seed = seed_of(study.seed, run_path(Path(), entities).name)
        scan = simulate_scan(options, subject_seed, scan_seed)
        participant = {
            "species": "homo sapiens",
            "phantom": options.phantom,
            "seed": str(study.seed),
        }
        path = write_run(dataset, entities, scan, options.sequence, options.raw_file, participant)
        _log.info("simulated %s", path)
        paths.append(path)
    return paths


def seed_of(seed: int, name: str) -> int:
    """A seed of its own for each name."""
    return zlib.crc32(f"{seed} {name}".encode())


def _entities(study: Study) -> Iterator[Mapping[str, str]]:
    """BIDS entities of each run."""
    common = {
        key: value
        for key, value in (("acq", study.acquisition), ("run", study.run))
        if value is not None
    }
    for subject in study.subjects:
        for session in study.sessions or (None,):
            with_session = {} if session is None else {"ses": session}
            yield {"sub": subject, **with_session, **common}
