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

from tests.helpers.hostile import KINDS, call, complaint, make_base


def main() -> int:
    """Spoil, look, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--whole", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    words = parser.parse_args()
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in KINDS}
    longest = 0.0
    with tempfile.TemporaryDirectory(prefix="mri2qmap-hostile-") as place:
        base = make_base(Path(place) / "base").parent
        for name, kind in KINDS.items():
            count = 0

            @seed(words.seed)
            @settings(
                max_examples=words.cases // len(KINDS),
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(st.data())
            def attempt(data: st.DataObject) -> None:
                nonlocal count, longest
                count += 1
                folder = Path(place) / "case"
                shutil.copytree(base, folder)
                root = folder / "dataset"
                path = root / kind.file
                change = kind.spoil(data.draw, path)
                beside = folder / kind.words[1].removeprefix("../") if kind.words else path
                options = (
                    [kind.words[0], str(path if "{}" in kind.words else beside)]
                    if kind.words
                    else []
                )
                whole = count % words.whole == 0
                mode = ["--recon-method", "gridding", "--sloppy"] if whole else ["--dry-run"]
                start = time.perf_counter()
                code, log = call(root, *mode, *options)
                longest = max(longest, time.perf_counter() - start)
                wrong = complaint(root, code, log)
                outcomes[name]["wrong" if wrong else "refused" if code else "taken"] += 1
                if wrong:
                    sys.stdout.write(f"{name}, {change}: {wrong}\n{log[-2000:]}\n")
                shutil.rmtree(folder)

            attempt()
            sys.stdout.write(f"{name}: {dict(outcomes[name])}\n")
            sys.stdout.flush()
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sys.stdout.write(f"longest call {longest:.1f} s; at most {held:.2f} GB held\n")
    return int(any(counts["wrong"] for counts in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
