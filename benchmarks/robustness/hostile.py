"""Many more spoiled inputs than the tests try, some of them through the whole command.

python -m benchmarks.robustness.hostile [--cases 2000] [--whole 20] [--seed 0]

Of every kind of ``tests/helpers/hostile.py`` the same number of cases: each spoils one file of a small dataset and
looks at it (``--dry-run``); every ``--whole``-th case is reconstructed. Prints what the program did wrong (a
traceback, no line or several, a partial derivative), a count of each kind, and how much memory was held at most; the
exit code is 1 if anything was wrong.
"""

import argparse
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.helpers.hostile import KINDS, call, complaint, make_base, options_of


def attack(
    name: str, base: Path, n_cases: int, every: int, number: int
) -> tuple[Counter[str], float]:
    """Outcomes of some cases of one kind, and the seconds of the longest call."""
    kind, outcomes, seconds = KINDS[name], Counter[str](), [0.0]

    @seed(number)
    @settings(
        max_examples=n_cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def attempt(data: st.DataObject) -> None:
        with tempfile.TemporaryDirectory(prefix="mri2qmap-case-") as place:
            shutil.copytree(base, place, dirs_exist_ok=True)
            root = Path(place) / "dataset"
            path = root / kind.file
            change = kind.spoil(data.draw, path)
            options = options_of(kind, Path(place))
            whole = outcomes.total() % every == 0
            mode = ["--recon-method", "gridding", "--sloppy"] if whole else ["--dry-run"]
            start = time.perf_counter()
            code, log = call(root, *mode, *options)
            seconds.append(time.perf_counter() - start)
            wrong = complaint(root, code, log)
        outcomes["wrong" if wrong else "refused" if code else "taken"] += 1
        if wrong:
            sys.stdout.write(f"{name}, {change}: {wrong}\n{log[-2000:]}\n")

    attempt()
    return outcomes, max(seconds)


def main() -> int:
    """Spoil, look, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--whole", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    words = parser.parse_args()
    faults, longest = 0, 0.0
    with tempfile.TemporaryDirectory(prefix="mri2qmap-hostile-") as place:
        base = make_base(Path(place)).parent
        for name in words.kinds:
            outcomes, seconds = attack(
                name, base, words.cases // len(words.kinds), words.whole, words.seed
            )
            faults, longest = faults + outcomes["wrong"], max(longest, seconds)
            sys.stdout.write(f"{name}: {dict(outcomes)}\n")
            sys.stdout.flush()
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sys.stdout.write(f"longest call {longest:.1f} s; at most {held:.2f} GB held\n")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
