"""sigpy loads wherever the program runs, and leaves nothing behind."""

import os
import subprocess
import sys

import numpy as np
import pytest

COILS = """
import sys
import numpy as np
{before}
from mri2qmap_bids.simulate.coils import coil_maps
np.save(sys.argv[1], coil_maps((1, 12, 12), False, 4, seed=0))
import numba
assert not numba.config.DISABLE_JIT
"""
# What numba meets where packages and home are read-only.
NO_CACHE = "import numba.core.caching as caching; caching.CacheImpl._locator_classes = []"


@pytest.mark.parametrize("before", ["", NO_CACHE], ids=["cache", "no cache"])
def test_coils_need_no_cache_and_leave_nothing_in_the_temporary_folder(tmp_path, before):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    subprocess.run(
        [sys.executable, "-c", COILS.format(before=before), str(tmp_path / "maps.npy")],
        check=True,
        env={**environment, "TMPDIR": str(temporary)},
    )
    maps = np.load(tmp_path / "maps.npy")
    np.testing.assert_allclose((np.abs(maps) ** 2).sum(axis=0), 1, rtol=1e-4)
    assert list(temporary.iterdir()) == []
