"""The figures of a run: which there are, and where they are written."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.diagnostics import SHAPE, full, some_diagnostics, some_run

from mri2qmap_bids.recon.methods.registry import method_named
from mri2qmap_bids.report.probe import probe_of
from mri2qmap_bids.report.run_figures import (
    comparisons_of,
    diagnostic_pictures,
    map_mosaics,
    registration_check,
)


def with_start(start):
    diagnostics = some_diagnostics()
    (plane,) = diagnostics.part.planes
    planes = (replace(plane, start_t1=start, start_t2=start),)
    return replace(diagnostics, part=replace(diagnostics.part, planes=planes))


def test_every_map_has_a_mosaic_beside_the_others(tmp_path):
    run = replace(some_run(), synthetic={"T1w": full(2.0)})
    mosaics = dict(map_mosaics(run, tmp_path))
    assert list(mosaics) == ["T1", "T2", "M0", "± T1", "± T2", "T1w"]
    files = {path.name for path in (tmp_path / "sub-01" / "figures").iterdir()}
    assert files >= {"sub-01_desc-mosaic_T1map.png", "sub-01_desc-mosaicsynthetic_T1w.png"}
    assert len({picture.file for picture in mosaics.values()}) == len(mosaics)


def test_maps_without_deviations_have_none_drawn(tmp_path):
    mosaics = dict(map_mosaics(some_run(t1_std=None, t2_std=None), tmp_path))
    assert list(mosaics) == ["T1", "T2", "M0"]


def test_mosaics_of_maps_that_are_gone_are_removed(tmp_path):
    other = replace(some_run(), entities={"sub": "01", "acq": "x"})
    for run in (some_run(), other, some_run(t1_std=None)):
        list(map_mosaics(run, tmp_path))
    files = {path.name for path in (tmp_path / "sub-01" / "figures").iterdir()}
    assert "sub-01_desc-mosaicstd_T1map.png" not in files
    assert files >= {"sub-01_desc-mosaicstd_T2map.png", "sub-01_acq-x_desc-mosaicstd_T1map.png"}


def test_initial_and_final_maps_are_compared_where_both_are(tmp_path):
    assert list(comparisons_of(some_run(), tmp_path)) == []
    run = some_run(diagnostics=with_start(np.full(SHAPE[1:], 0.9, np.float16)))
    comparisons = list(comparisons_of(run, tmp_path))
    assert [part.name.split(",")[0] for part in comparisons] == ["T1", "T2"]
    for part in comparisons:
        assert (
            "of the initial image" in part.start.markup and "of the final image" in part.end.markup
        )


def test_a_registration_is_drawn_where_there_is_one_on_the_grid(tmp_path):
    image = np.arange(200, dtype=np.float32).reshape(SHAPE)
    run = replace(some_run(), synthetic={"T1w": image})
    other = image[:, :5].astype(np.uint8)
    for absent in (run, replace(some_run(), t1w=image.astype(np.uint8)), replace(run, t1w=other)):
        assert registration_check(absent, tmp_path) is None
    picture = registration_check(replace(run, t1w=image.astype(np.uint8)), tmp_path)
    assert picture is not None and "Checkerboard" in picture.markup


@pytest.mark.parametrize("white", [True, False])
def test_noise_convergence_and_fingerprints_are_drawn_where_they_are_known(tmp_path, white):
    figure = method_named("subspace").curve.figure
    steps = {"subspace": [{figure: 1.0}, {figure: 0.1}]} if white else {}
    diagnostics = some_diagnostics(white=white, steps=steps)
    run = some_run(diagnostics=diagnostics)
    probe = probe_of(run) if white else None
    pictures = diagnostic_pictures(run, diagnostics, probe, tmp_path)
    always = {"train", "basis", "sampling", "residual", "residualmap", "misfit", "coils"}
    known = {"noise", "convergence", "fingerprints"}
    assert set(pictures) == (always | known if white else always)
