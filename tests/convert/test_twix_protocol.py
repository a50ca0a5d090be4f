"""The protocol of a twix header, in SI units."""

import pytest

from mri2qmap_bids.convert.twix_protocol import protocol_of


def header(**protocol):
    """Of 40 partitions, as twixtools parses it."""
    slices = [{"dReadoutFOV": 256.0, "dPhaseFOV": 192.0, "dThickness": 120.0}]
    space = {"lBaseResolution": 128, "lPartitions": 40, "ucDimension": 4}
    return {"MeasYaps": {"sSliceArray": {"asSlice": slices}, "sKSpace": space} | protocol}


def test_lengths_are_in_metres_and_times_in_seconds():
    protocol = protocol_of(header(sRXSPEC={"alDwellTime": [2500]}))
    assert protocol.fov == pytest.approx((0.256, 0.192, 0.12))
    assert protocol.matrix == (128, 96, 40)
    assert protocol.dwell_time == pytest.approx(2.5e-6)
    assert protocol.coil_names == {}
    assert not protocol.is_pulseq


def test_slices_have_one_partition_whatever_the_header_has():
    space = {"lBaseResolution": 128, "lPartitions": 40, "ucDimension": 2}
    assert protocol_of(header(sKSpace=space)).matrix == (128, 96, 1)


@pytest.mark.parametrize("selection", ["asCoilSelectMeas", "sCoilSelectMeas"])
def test_coils_are_named_by_the_channel_they_are_connected_to(selection):
    elements = [
        {"sCoilElementID": {"tCoilID": '"Head"', "tElement": '"H2"'}, "lADCChannelConnected": 5},
        {"sCoilElementID": {"tCoilID": '"Head"', "tElement": '"H1"'}, "lRxChannelConnected": 2},
        {"no": "element"},
    ]
    chosen = [{"asList": elements}]
    given = {"aRxCoilSelectData": chosen} if selection == "sCoilSelectMeas" else chosen
    assert protocol_of(header(**{selection: given})).coil_names == {5: "Head:H2", 2: "Head:H1"}


def test_a_protocol_without_a_matrix_is_no_protocol():
    with pytest.raises(KeyError, match="lBaseResolution"):
        protocol_of(header(sKSpace={}))
