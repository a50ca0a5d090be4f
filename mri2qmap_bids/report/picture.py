"""Figures as files and embedded in the page."""

import base64
import io
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from mri2qmap_bids.atomic import write_atomically, write_text

_WEBP_QUALITY = 86
INK = "#1a1b1c"
"""Colour of text and axes; in the page, the text colour of the page."""
SERIES = ("#0063a6", "#c44e00", "#00795c", "#8a4ea3")
"""Colours of lines; in the page, colours that suit its background. Blue, vermilion, green and purple
can be distinguished by colour-blind readers, also by lightness."""

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.4,
    "figure.facecolor": "white",
}


def style(more: Mapping[str, Any] | None = None) -> AbstractContextManager[None]:
    """Context with the style of all figures."""
    parameters: Any = {**_STYLE, **(more or {})}
    return mpl.rc_context(parameters)


@dataclass(frozen=True)
class Picture:
    """One figure of the page."""

    markup: Markup
    """A self-contained image or SVG."""
    file: str
    """Path of the same figure as a file, relative to the page."""
    caption: str = ""
    """Caption."""


def image_picture(
    image: Image.Image, output_dir: Path, path: Path, alt: str, caption: str = ""
) -> Picture:
    """Write an image as PNG, and embed it in the page in compressed form.

    Parameters
    ----------
    image
        RGB.
    output_dir, path
        Root of the dataset, and the file below it.
    alt
        Alternative text.
    caption
        Caption in the page.
    """
    write_atomically(output_dir / path, image.save)
    return Picture(image_markup(image, alt), path.as_posix(), caption)


def image_markup(image: Image.Image, alt: str, extra: str = "") -> Markup:
    """An ``img`` element with embedded data."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_WEBP_QUALITY, method=3)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Markup('<img src="data:image/webp;base64,{}" width="{}" height="{}" alt="{}"{}>').format(
        data, image.width, image.height, alt, Markup(extra)
    )


def drawn_picture(
    figure: Figure, output_dir: Path, path: Path, alt: str, caption: str = ""
) -> Picture:
    """Write a figure as SVG, and embed it in the page with the colours of the page.

    Parameters
    ----------
    figure
        Drawn inside :func:`style`.
    output_dir, path, alt, caption
        As for :func:`image_picture`.
    """
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with style({"svg.hashsalt": path.stem}):
        figure.savefig(buffer, format="svg", metadata=nothing)
    text = buffer.getvalue()
    write_text(output_dir / path, text)
    return Picture(_inline(text, path.stem, alt), path.as_posix(), caption)


def _inline(text: str, name: str, alt: str) -> Markup:
    """An SVG file's text as part of a page: own identifiers, and the page's colours and fonts."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    prefix = re.sub(r"\W", "-", name)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    text = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{prefix}-\1"', text)
    text = text.replace(INK, "currentColor")
    for number, colour in enumerate(SERIES, 1):
        text = text.replace(colour, f"var(--series-{number})")
    text = re.sub(r"font(-family)?: ([^;\"]*?)'DejaVu Sans'[^;\"]*", r"font\1: \2sans-serif", text)
    # The white background of the figure.
    text = re.sub(r'<g id="[^"]*-patch_1">.*?</g>', "", text, count=1, flags=re.DOTALL)
    text = re.sub(r"fill: #ffffff", "fill: none", text)
    box = re.search(r'viewBox="([^"]+)"', text)
    width = float(box[1].split()[2]) if box else 600.0
    opening = Markup(
        '<svg role="img" aria-label="{}" viewBox="{}" style="max-width: {}px">'
    ).format(alt, box[1] if box else "", round(width * 4 / 3))
    return opening + Markup(re.sub(r"^<svg[^>]*>", "", text, count=1, flags=re.DOTALL))
