"""Figures inside a page: whole in themselves, with words of their own and the page's colours."""

import base64
import io
import re

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from mri2qmap_bids.report.picture import INK, SERIES, drawn_picture, image_picture, style


def drawing():
    with style():
        figure = Figure((3, 2))
        axes = figure.subplots()
        axes.plot([0, 1], [1, 0], color=SERIES[1], label="line")
        axes.legend()
    return figure


def test_an_image_is_in_the_page_as_in_its_file(tmp_path):
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:, 15:] = 200
    path = tmp_path / "a" / "x.png"
    picture = image_picture(Image.fromarray(pixels), tmp_path, path.relative_to(tmp_path), "T1 <x>")
    assert picture.file == "a/x.png"
    assert np.array_equal(np.asarray(Image.open(path)), pixels)
    data = re.search(r"base64,([^\"]+)", picture.markup)[1]
    inside = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"), float)
    assert inside.shape == pixels.shape and np.abs(inside - pixels).max() < 30
    assert 'alt="T1 &lt;x&gt;"' in picture.markup


def test_a_drawing_is_written_the_same_every_time(tmp_path):
    first, second = (
        drawn_picture(drawing(), tmp_path / name, tmp_path.relative_to(tmp_path) / "x.svg", "words")
        for name in ("a", "b")
    )
    assert (tmp_path / "a" / "x.svg").read_bytes() == (tmp_path / "b" / "x.svg").read_bytes()
    assert first.markup == second.markup


def test_a_drawing_takes_the_colours_of_the_page_and_keeps_its_names_to_itself(tmp_path):
    path = tmp_path.relative_to(tmp_path) / "sub-01_train.svg"
    markup = drawn_picture(drawing(), tmp_path, path, "flip & angles").markup
    assert 'aria-label="flip &amp; angles"' in markup
    assert INK not in markup and SERIES[1] not in markup and "#ffffff" not in markup
    assert "currentColor" in markup and "var(--series-2)" in markup
    names = re.findall(r'\bid="([^"]+)"', markup)
    assert names and all(name.startswith("sub-01_train-") for name in names)
    references = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', markup)
    assert {name for pair in references for name in pair if name} <= set(names)
    assert "<?xml" not in markup and "<style" not in markup
