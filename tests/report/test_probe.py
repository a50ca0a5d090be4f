"""The interactive plot: its voxels lie where they are in the map, with their own values."""

import json

import numpy as np
from helpers.diagnostics import SHAPE, some_run

from mri2qmap_bids.report.probe import originals, probe_of


def test_voxels_have_their_values_and_places():
    run = some_run()
    prints = run.diagnostics.part.fingerprints
    probe = probe_of(run)
    content = json.loads(str(probe.data))
    assert sorted(content["id"]) == list(range(len(prints.voxels)))
    for place, number, t1, voxel in zip(
        content["at"], content["id"], content["t1"], content["voxel"], strict=True
    ):
        assert t1 == round(1e3 * float(prints.t1[number]))
        assert voxel == prints.voxels[number][::-1].tolist()
        # The world's x and y grow with the voxel's; y is up in the picture, x to the right.
        x, y = voxel[0], voxel[1]
        assert np.allclose(place, [(x + 0.5) / SHAPE[2], 1 - (y + 0.5) / SHAPE[1]], atol=1e-3)


def test_signals_are_those_of_data_and_maps():
    run = some_run()
    prints, basis = run.diagnostics.part.fingerprints, run.diagnostics.basis
    content = json.loads(str(probe_of(run).data))
    model = np.array(content["model"]) @ np.array(content["basis"]).T
    for number, course in zip(content["id"], model, strict=True):
        largest = prints.model[number][np.abs(prints.model[number]).argmax()]
        expected = (basis @ (prints.model[number] * abs(largest) / largest)).real
        assert np.corrcoef(course, expected)[0, 1] > 0.999
    assert content["data"] == content["model"]


def test_preset_voxels_go_from_short_t1_to_long():
    run = some_run()
    probe = probe_of(run)
    numbers = originals(run, probe)
    t1 = run.diagnostics.part.fingerprints.t1[numbers]
    assert (np.diff(t1) > 0).all() and len(probe.names) == len(numbers)
    assert probe.names[0].startswith(f"T1 {1e3 * t1[0]:.0f} ms")


def test_without_tissue_there_is_no_probe():
    assert probe_of(some_run(mask=np.zeros(SHAPE, bool))) is None
