"""Which lines belong together: counters, encodings, frames, slices."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.rawfile import header_xml, simple_readouts, write_file

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.counters import COUNTERS, CounterUse
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.raw import read_raw

THREE = ReadLayout(n_frames=3)
DOCS = Path(__file__).parents[3] / "docs/input.md"
BY_USE = {
    use: [c.name for c in COUNTERS if c.use == use and c.name not in ("contrast", "user")]
    for use in CounterUse
}


def twice(counter, n_frames=3, **fields):
    """Every frame two times, told apart by one counter."""
    return [
        readout
        for value in (0, 1)
        for readout in simple_readouts(n_frames, seed=value, **{f"idx_{counter}": value}, **fields)
    ]


def two_encodings(tmp_path, second, name="x.h5"):
    """A file with two encodings, 8 x 8 over 160 mm and 6 x 6 over 320 mm."""
    one, other = header_xml(), header_xml(matrix=(6, 6, 1), fov=(320.0, 320.0, 5.0))
    tag = "<encoding>"
    part = other[other.index(tag) : other.index("</encoding>") + len("</encoding>")]
    xml = one.replace("</encoding>", "</encoding>" + part)
    assert xml.count(tag) == 2
    return write_file(tmp_path / name, second, xml)


def test_the_table_has_every_counter():
    import ismrmrd

    assert {c.name for c in COUNTERS} == {name for name, *_ in ismrmrd.EncodingCounters._fields_}


@pytest.mark.parametrize("counter", BY_USE[CounterUse.SAMPLES])
def test_more_samples_of_a_frame_are_used(tmp_path, counter, caplog):
    caplog.set_level(logging.INFO)
    readouts = twice(counter)
    (part,) = read_raw(write_file(tmp_path / "x.h5", readouts), THREE).slices
    assert np.array_equal(part.kspace.numpy(), np.concatenate([r.data for r in readouts], axis=1))
    assert part.frame[::6].tolist() == [0, 1, 2, 0, 1, 2]
    assert ("idx.average 0: 3 lines, 1: 3 lines" in caplog.text) == (counter == "average")


@pytest.mark.parametrize("counter", [*BY_USE[CounterUse.SCANS], *BY_USE[CounterUse.PARTITIONS]])
def test_several_scans_in_one_file_are_refused_with_their_lines(tmp_path, counter):
    path = write_file(tmp_path / "x.h5", twice(counter))
    with pytest.raises(
        RawDataError, match=rf"idx\.{counter} .*0: 3 lines, 1: 3 lines; \w+"
    ) as error:
        read_raw(path, THREE)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("counter", BY_USE[CounterUse.SCANS])
def test_a_counter_that_follows_the_frames_divides_nothing(tmp_path, counter):
    readouts = simple_readouts(4)
    for frame, readout in enumerate(readouts):
        setattr(readout.idx, counter, frame // 2)
    scan = read_raw(write_file(tmp_path / "x.h5", readouts), ReadLayout(4))
    assert scan.slices[0].frame[::6].tolist() == [0, 1, 2, 3]


def test_contrasts_that_are_no_frames_are_refused(tmp_path):
    readouts = twice("contrast")
    for number, readout in enumerate(readouts):
        readout.idx.contrast, readout.idx.set = number // 3, number % 3
    with pytest.raises(RawDataError, match=r"idx\.contrast"):
        read_raw(write_file(tmp_path / "x.h5", readouts), ReadLayout(3, frame_counter="set"))


def test_running_numbers_of_excitations_divide_nothing(tmp_path):
    readouts = [*simple_readouts(3), *simple_readouts(3, seed=1)]
    for number, readout in enumerate(readouts):
        readout.idx.repetition = number
    scan = read_raw(write_file(tmp_path / "x.h5", readouts), THREE)
    assert scan.slices[0].frame[::6].tolist() == [0, 1, 2, 0, 1, 2]


def test_partitions_with_kz_are_samples_of_the_volume(tmp_path):
    xml = header_xml(matrix=(8, 8, 2), fov=(160.0, 160.0, 10.0))
    path = write_file(tmp_path / "x.h5", twice("kspace_encode_step_2", n_dim=3), xml)
    scan = read_raw(path, THREE)
    assert scan.is_3d
    assert scan.slices[0].kspace.shape == (2, 36)


def test_slabs_are_refused(tmp_path):
    xml = header_xml(matrix=(8, 8, 2), fov=(160.0, 160.0, 10.0))
    path = write_file(tmp_path / "x.h5", twice("slice", n_dim=3), xml)
    with pytest.raises(RawDataError, match=r"one slab.*0: 3 lines, 1: 3 lines"):
        read_raw(path, THREE)


@pytest.mark.parametrize("what", ["position", "slice_dir"])
@pytest.mark.parametrize("n_dim", [2, 3])
def test_lines_of_one_slice_lie_at_one_place(tmp_path, what, n_dim):
    readouts = simple_readouts(n_dim=n_dim)
    getattr(readouts[2], what)[:] = (0.0, 30.0, 1.0)
    xml = header_xml(matrix=(8, 8, 2), fov=(160.0, 160.0, 10.0)) if n_dim == 3 else None
    with pytest.raises(RawDataError, match="1 of 3 lines elsewhere"):
        read_raw(write_file(tmp_path / "x.h5", readouts, xml), THREE)


def test_lines_of_several_measurements_are_refused(tmp_path):
    readouts = [*simple_readouts(3), *simple_readouts(3, measurement_uid=5)]
    with pytest.raises(RawDataError, match="measurement_uid .0: 3 lines, 5: 3 lines"):
        read_raw(write_file(tmp_path / "x.h5", readouts), THREE)


def test_frames_missing_in_one_slice_are_refused(tmp_path):
    slices = [simple_readouts(4, idx_slice=n, position=(0, 0, 5 * n)) for n in (0, 1)]
    path = write_file(tmp_path / "x.h5", [*slices[0], *slices[1][:2]])
    with pytest.raises(RawDataError, match=r"2 missing in slice 1 \(2 lines\): 2 to 3"):
        read_raw(path, ReadLayout(4))


def test_frames_missing_in_the_middle_are_refused(tmp_path):
    readouts = simple_readouts(5)
    del readouts[2]
    with pytest.raises(RawDataError, match=r"1 missing in slice 0 \(4 lines\): 2$"):
        read_raw(write_file(tmp_path / "x.h5", readouts), ReadLayout(5))


def test_the_counter_that_has_the_frames_is_named(tmp_path):
    readouts = simple_readouts(3)
    for readout in readouts:
        readout.idx.repetition, readout.idx.contrast = readout.idx.contrast, 0
    with pytest.raises(RawDataError, match="MRFFrameCounter `repetition` would fit"):
        read_raw(write_file(tmp_path / "x.h5", readouts), THREE)


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("numbered", [True, False])
def test_order_is_that_of_each_slice(tmp_path, interleaved, numbered):
    slices = [
        simple_readouts(6, seed=n, idx_slice=n, idx_contrast=0, position=(0, 0, 5 * n))
        for n in (0, 1)
    ]
    readouts = [*slices[0], *slices[1]]
    if interleaved:
        readouts = [readout for pair in zip(*slices, strict=True) for readout in pair]
    frames = [0, 1, 2, 0, 1, 2]
    if numbered:
        for number, readout in enumerate(readouts):
            readout.scan_counter = len(readouts) - number
        frames.reverse()
    path = write_file(tmp_path / "x.h5", readouts)
    for part in read_raw(path, ReadLayout(3, frame_counter="order")).slices:
        assert part.frame[::6].tolist() == frames
    del readouts[-1]
    write_file(tmp_path / "y.h5", readouts)
    with pytest.raises(RawDataError, match="got 5 in slice 1"):
        read_raw(tmp_path / "y.h5", ReadLayout(3, frame_counter="order"))


def test_lines_of_another_encoding_are_left_out(tmp_path, caplog):
    others = simple_readouts(2, seed=9, encoding_space_ref=1)
    scan = read_raw(two_encodings(tmp_path, [*others, *simple_readouts()]), THREE)
    expected = read_raw(write_file(tmp_path / "a.h5", simple_readouts()), THREE)
    assert torch.equal(scan.slices[0].kspace, expected.slices[0].kspace)
    assert "2 of 5 image lines left out" in caplog.text


def test_matrix_and_field_of_view_are_those_of_the_lines_encoding(tmp_path):
    scan = read_raw(two_encodings(tmp_path, simple_readouts(encoding_space_ref=1)), THREE)
    assert scan.geometry.matrix == (1, 6, 6)
    assert scan.encoded_fov == pytest.approx((0.005, 0.32, 0.32))


def test_two_whole_encodings_are_refused_unless_one_is_named(tmp_path):
    readouts = [*simple_readouts(), *simple_readouts(seed=1, encoding_space_ref=1)]
    path = two_encodings(tmp_path, readouts)
    with pytest.raises(RawDataError, match="got 2 such encodings.*0: 3 lines, 1: 3 lines"):
        read_raw(path, THREE)
    scan = read_raw(path, ReadLayout(3, encoding=1))
    assert scan.geometry.matrix == (1, 6, 6)
    assert np.array_equal(scan.slices[0].kspace[:, :6], readouts[3].data)
    with pytest.raises(RawDataError, match="must be an encoding with image lines, got 2"):
        read_raw(path, ReadLayout(3, encoding=2))


def test_lines_of_no_encoding_are_refused(tmp_path):
    path = write_file(tmp_path / "x.h5", simple_readouts(encoding_space_ref=1))
    with pytest.raises(RawDataError, match="one of the 1 encodings of the header"):
        read_raw(path, THREE)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"discard_pre": 4, "discard_post": 2}, "discard_pre 4, discard_post 2"),
        ({"discard_pre": 7}, "discard_pre 7"),
    ],
)
def test_lines_without_samples_are_refused(tmp_path, fields, words):
    readouts = [*simple_readouts(2), *simple_readouts(3, **fields)[2:]]
    with pytest.raises(RawDataError, match=f"must have samples.*{words}.*acquisition 2 .1 such"):
        read_raw(write_file(tmp_path / "x.h5", readouts), THREE)


def test_lines_of_different_coils_or_trajectories_are_refused(tmp_path):
    mixed = [*simple_readouts(2), *simple_readouts(3, n_coils=3)[2:]]
    with pytest.raises(RawDataError, match="active_channels 2: 2 lines, 3: 1 lines"):
        read_raw(write_file(tmp_path / "x.h5", mixed), THREE)
    mixed = [*simple_readouts(2), *simple_readouts(3, n_dim=3)[2:]]
    with pytest.raises(RawDataError, match="trajectory_dimensions 2: 2 lines, 3: 1 lines"):
        read_raw(write_file(tmp_path / "y.h5", mixed), THREE)
    with pytest.raises(RawDataError, match="2 or 3 components.*got 5"):
        read_raw(write_file(tmp_path / "z.h5", simple_readouts(n_dim=5)), THREE)


def test_the_document_has_the_table():
    text = DOCS.read_text(encoding="utf-8")
    for counter in COUNTERS:
        assert f"| `{counter.name}` | {counter.meaning} | {counter.use} |" in text
