"""Headers to write, read back by the reader of raw files."""

from dataclasses import replace
from pathlib import Path

import ismrmrd
import pytest

from mri2qmap_bids.dataset.rawheader import EncodingSpace, RawHeader, xml_header
from mri2qmap_bids.recon.acquisition.header import parse_headers

HEADER = RawHeader(
    encoded=EncodingSpace((1, 64, 96), (5e-3, 0.2, 0.3)),
    recon=EncodingSpace((1, 32, 48), (5e-3, 0.1, 0.15)),
    trajectory="spiral",
    n_coils=2,
    larmor_frequency=127_740_000,
    counters={"slice": 5, "contrast": 300},
    field_strength=3.0,
    vendor="ACME",
    coil_names=("a", "b"),
    repetition_time=(0.012,),
    echo_time=(0.0021,),
    inversion_time=(0.02,),
    flip_angle_deg=(10.0, 20.0),
)


def read_back(header):
    (scan,) = parse_headers(Path("x.h5"), ismrmrd.xsd.ToXML(xml_header(header)))
    return scan


def test_a_header_is_read_back_as_it_was():
    scan = read_back(HEADER)
    assert scan.encoded_matrix == (96, 64, 1) and scan.recon_matrix == (48, 32, 1)
    assert scan.encoded_fov == pytest.approx((0.3, 0.2, 5e-3))
    assert scan.recon_fov == pytest.approx((0.15, 0.1, 5e-3))
    for name in ("repetition_time", "echo_time", "inversion_time"):
        assert getattr(scan, name) == pytest.approx(getattr(HEADER, name))
    assert scan.flip_angle == (10.0, 20.0)
    assert (scan.field_strength, scan.manufacturer) == (3.0, "ACME")


def test_what_is_not_known_stays_away():
    scan = read_back(
        replace(HEADER, field_strength=None, vendor=None, inversion_time=(), coil_names=())
    )
    assert (scan.field_strength, scan.manufacturer, scan.inversion_time) == (None, None, ())


def test_counters_have_their_ranges():
    (encoding,) = xml_header(HEADER).encoding
    limits = encoding.encodingLimits
    assert (limits.contrast.minimum, limits.contrast.maximum) == (0, 299)
    assert (limits.slice.maximum, limits.slice.center) == (4, 2)
    assert limits.repetition is None
