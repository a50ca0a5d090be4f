"""What building the documentation changes in its pages."""

import re
from typing import Any

from fill import filled
from latex2mathml.converter import convert

_FORMULA = re.compile(r"^( *)```math\n(.*?)\n *```$", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Take the tables from the program, so that they cannot be stale; hide formulas."""
    return _FORMULA.sub(
        lambda match: f"{match[1]}formula:{match[2].encode().hex()}", filled(markdown)
    )


def on_page_content(html: str, **_: Any) -> str:
    """Formulas as MathML. Docstrings name functions as Sphinx would have it: leave the name alone."""
    html = re.sub(
        "formula:([0-9a-f]+)",
        lambda match: convert(bytes.fromhex(match[1]).decode(), display="block"),
        html,
    )
    return re.sub(r":(?:func|class|meth|mod|attr):(?=<code>|<a)", "", html)
