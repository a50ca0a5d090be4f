"""The views of the maps: self-contained, of the maps' values, and gone when they are not asked for."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from mri2qmap_bids.report.contents import Page
from mri2qmap_bids.report.page import write_report
from mri2qmap_bids.report.run import load_run
from mri2qmap_bids.report.viewer import viewer_path, write_viewer


@pytest.fixture
def run(derivatives):
    return load_run(derivatives, {"sub": "02", "ses": "1", "acq": "3d"})


def test_nothing_is_asked_of_the_network(run, tmp_path):
    paths = write_viewer(run, tmp_path)
    assert list(paths) == ["T1", "T2"]
    for name, path in paths.items():
        text = (tmp_path / path).read_text()
        assert not re.findall(r"(?:src|href)\s*=\s*[\"']https?:", text)
        assert len(text) > 50_000
        assert f"{name} [ms]" in text


def test_other_maps_give_other_pictures(run, tmp_path):
    first = (tmp_path / write_viewer(run, tmp_path)["T1"]).read_text()
    doubled = replace(run, t1=np.where(run.mask, 2 * run.t1, 0))
    second = (tmp_path / write_viewer(doubled, tmp_path)["T1"]).read_text()
    sprites = [re.findall(r"base64,([A-Za-z0-9+/=]{1000,})", text) for text in (first, second)]
    assert sprites[0]
    assert sprites[0] != sprites[1]


def test_the_report_links_to_it_if_it_was_asked_for(derivatives, run, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(derivatives, out)
    file = viewer_path(run.entities, "T2")
    for viewer in (True, False):
        page = write_report(out, Page("02"), viewer).read_text()
        assert (f'href="{file.as_posix()}"' in page) is viewer
        assert (out / file).is_file() is viewer
