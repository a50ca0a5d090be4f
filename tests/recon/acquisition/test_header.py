"""XML headers that do not say what they should."""

import re
import warnings

import pytest
from helpers.rawfile import header_xml, simple_readouts, write_file

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.header import parse_headers
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.raw import read_raw


def changed(pattern, replacement, **sequence):
    xml = header_xml(**sequence)
    text = re.sub(pattern, replacement, xml)
    assert text != xml
    return text


MATRIX = r"(<matrixSize>\s*)<x>8</x>"


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        (changed(MATRIX, r"\1<x>7.9996</x>"), r"matrixSize .* whole numbers, got 7.9996, 8, 1"),
        (changed(MATRIX, r"\1<x>eight</x>"), "matrixSize x .* number, got 'eight'"),
        (changed(MATRIX, r"\1<x>nan</x>"), "matrixSize x .* number, got 'nan'"),
        (changed(MATRIX, r"\1<x>0</x>"), "must be positive"),
        (changed(r"<y>8</y>\s*<z>1</z>", ""), "matrixSize must have at least 2"),
        (changed(r"<x>160.0</x>", "<x>NaN</x>"), "fieldOfView_mm x .* number, got nan"),
        (changed(r"<x>160.0</x>", "<x>wide</x>"), "fieldOfView_mm x .* number, got 'wide'"),
        (changed(r"<TR>5.0</TR>", "<TR>np.float64(5)</TR>", TR=[5.0]), r"TR .*'np.float64\(5\)'"),
        (changed(r"<TE>5.0</TE>", "<TE>inf</TE>", TE=[5.0]), "TE .* number, got inf"),
        ("", "must hold the header as text"),
        ("<ismrmrdHeader", "must be valid XML"),
        ("<other/>", "must be valid XML"),
    ],
    ids=range(12),
)
def test_values_that_are_no_numbers_are_refused_by_name(tmp_path, xml, words):
    path = write_file(tmp_path / "x.h5", simple_readouts(), xml or " ")
    with pytest.raises(RawDataError, match=words) as error:
        read_raw(path, ReadLayout(3))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_text_in_a_field_that_is_not_used_does_no_harm(tmp_path):
    xml = changed("123000000", "many")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parse_headers(tmp_path, xml)


def test_whole_numbers_may_have_a_decimal_point(tmp_path):
    assert parse_headers(tmp_path, changed(MATRIX, r"\1<x>8.0</x>"))[0].encoded_matrix == (8, 8, 1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "entity", ['<!ENTITY e "8">', '<!ENTITY e SYSTEM "file:///etc/hostname">', ""]
)
def test_document_types_and_entities_are_refused(tmp_path, entity, encoding):
    body = (
        header_xml().partition("?>")[2].replace("<x>8</x>", "<x>&e;</x>" if entity else "<x>8</x>")
    )
    document = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE h [{entity}]>{body}'
    with pytest.raises(RawDataError, match="without DOCTYPE"):
        parse_headers(tmp_path, document.encode(encoding))
