"""Training data on disk, and sources of batches."""

import pytest
from helpers.training import CONTRASTS, some_slices, some_tissues, write_volume

from mri2qmap_bids.training.draw import Sources
from mri2qmap_bids.training.noise import (
    noise_tables,
)


@pytest.fixture
def folder(tmp_path):
    for subject in ("01", "02"):
        for contrast in ("T1w", "FLAIR"):
            write_volume(
                tmp_path / f"sub-{subject}/anat/sub-{subject}_{contrast}.nii.gz", int(subject)
            )
    write_volume(tmp_path / "other/IXI001-HH_T2.nii.gz", 3)
    return tmp_path


@pytest.fixture(scope="session")
def tables():
    return noise_tables(CONTRASTS, 3, 0)


@pytest.fixture(scope="session")
def sources(tables):
    return Sources(CONTRASTS, some_slices(), some_tissues(), tables)
