"""Picture of a participant's report for the documentation: its beginning, and cards further down.

Run as ``python benchmarks/report_picture.py demo/derivatives/sub-01.html docs/report.png``.
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import ViewportSize, sync_playwright

_VIEW: ViewportSize = {"width": 1240, "height": 1560}
_LEFT, _RIGHT, _GAP = 860, 620, 12  # widths in the picture
_CARDS = ("comparison", "fingerprints", "fit")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def scaled(png: bytes, width: int) -> Image.Image:
    """A screenshot at another width."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    size = (width, round(image.height * width / image.width))
    return image.resize(size, Image.Resampling.LANCZOS)


def main(report: Path, picture: Path) -> None:
    """Draw the beginning on the left, the cards of the first run on the right."""
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport=_VIEW)
        page.goto(report.absolute().as_uri())
        start = scaled(page.screenshot(), _LEFT)
        cards = [
            scaled(page.locator(f"section[aria-labelledby$=-{name}]").first.screenshot(), _RIGHT)
            for name in _CARDS
        ]
        browser.close()
    whole = Image.new("RGB", (_LEFT + _RIGHT + _GAP, start.height), start.getpixel((2, 2)))
    whole.paste(start, (0, 0))
    top = _GAP
    for card in cards:
        whole.paste(card, (_LEFT, top))
        top += card.height + _GAP
    whole.quantize(192).save(picture, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
