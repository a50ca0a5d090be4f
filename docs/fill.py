"""The parts of the documentation that come from the program itself, written into its pages.

``python docs/fill.py`` rewrites them in place, between ``<!-- filled: name -->`` and ``<!-- end -->``, so
that the pages read as they stand; building the documentation takes them from the program anew.
"""

import argparse
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from mri2qmap_bids import errors
from mri2qmap_bids.atomic import write_text
from mri2qmap_bids.citation.references import REFERENCES
from mri2qmap_bids.cli.parser import build_parser
from mri2qmap_bids.tools import COMMANDS

ROOT = Path(__file__).parents[1]
_PLACE = re.compile(r"^(<!-- filled: (.+?) -->)\n.*?^(<!-- end -->)$", re.MULTILINE | re.DOTALL)
# Defaults that depend on the machine.
_OF_MACHINE = {"nprocs": "all cores"}
_DEFAULT = re.compile(r" *[(;] *default: *(?P<value>[^()]*)\)$")


def filled(markdown: str) -> str:
    """A page with the text between its markers taken from the program."""
    return _PLACE.sub(
        lambda match: f"{match[1]}\n\n{_FILLED[match[2].split(':')[0]](match[2])}\n\n{match[3]}",
        markdown,
    )


def options(_: str) -> str:
    """Tables of the program's options."""
    return _tables(build_parser())


def simulate_options(_: str) -> str:
    """Tables of the simulator's options."""
    parser = argparse.ArgumentParser(prog="mri2qmap-tools simulate")
    COMMANDS["simulate"].add_arguments(parser)
    return _tables(parser)


def convert_options(place: str) -> str:
    """Tables of the options of one source of the converter."""
    parser = argparse.ArgumentParser(prog="mri2qmap-tools convert")
    COMMANDS["convert"].add_arguments(parser)
    (sources,) = (
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    return _tables(sources.choices[place.partition(":")[2].strip()])


def _tables(parser: argparse.ArgumentParser) -> str:
    """A table of options for each group of a parser."""
    parts = []
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if action.dest != "help"]
        if actions:
            title = {"positional arguments": "arguments", "options": "other"}.get(
                str(group.title), str(group.title)
            )
            rows = "\n".join(_row(parser, action) for action in actions)
            head = f"### {title.capitalize()}\n\n| option | meaning | default |\n|---|---|---|\n"
            parts.append(head + rows)
    return "\n\n".join(parts)


def _row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    names = [n for n in action.option_strings if "_" not in n] or [action.dest]
    values = "" if action.nargs == 0 or not action.option_strings else _values(parser, action)
    spelled = ", ".join(f"`{name}`" for name in names)
    text = (action.help or "") % {**vars(action), "prog": parser.prog}
    stated = _DEFAULT.search(text)
    meaning = (
        text[: stated.start()] + (")" if stated and stated[0].lstrip()[0] == ";" else "")
        if stated
        else text
    )
    default = stated["value"] if stated else _default(action)
    return f"| {spelled}{values} | {_escaped(meaning)} | {_escaped(default)} |"


def _values(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    formatter = parser._get_formatter()
    shown = formatter._format_args(action, formatter._get_default_metavar_for_optional(action))
    return f" `{_escaped(shown)}`"


def _default(action: argparse.Action) -> str:
    if action.dest in _OF_MACHINE:
        return _OF_MACHINE[action.dest]
    # Zero is a default, though it equals False.
    empty = action.default in (None, [], argparse.SUPPRESS) or action.nargs == 0
    words = action.default if isinstance(action.default, list) else [action.default]
    return "" if empty else f"`{' '.join(map(str, words))}`"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def exit_codes(_: str) -> str:
    """The tree of errors, as the module draws it."""
    tree = (errors.__doc__ or "").split("\n\n")[1]
    return f"```text\n{tree}\n```"


def group_columns(_: str) -> str:
    """The columns of the group's tables."""
    from mri2qmap_bids.dataset.group import COLUMNS

    rows = "\n".join(f"| `{name}` | {_escaped(meaning)} |" for name, meaning in COLUMNS.items())
    return f"| column | meaning |\n|---|---|\n{rows}"


def report_rules(_: str) -> str:
    """The rules of the reports' traffic light."""
    from mri2qmap_bids.report.rules import RULES

    rows = "\n".join(f"| {rule.name} | {rule.question} | {rule.limits} |" for rule in RULES)
    return f"| check | what is measured | limits |\n|---|---|---|\n{rows}"


def input_bounds(_: str) -> str:
    """The bounds of every quantity of the input."""
    from mri2qmap_bids.recon.bound import limits
    from mri2qmap_bids.recon.bounds import BOUNDS

    rows = "\n".join(
        f"| {bound.key} | {bound.of} | {limits(bound)} | {_escaped(bound.reason)} |"
        for bound in BOUNDS
    )
    return f"| quantity | value | bounds | why |\n|---|---|---|---|\n{rows}"


def pulse_sequences(_: str) -> str:
    """Types of pulse sequences, and the keys that describe them."""
    from mri2qmap_bids.dataset.sequence_keys import key_of
    from mri2qmap_bids.recon.physics.sequences.registry import sequence_types

    rows = []
    for kind in sequence_types():
        names = ", ".join(f"`{name}`" for name in (kind.name, *kind.aliases))
        groups = [
            ", ".join(f"`{key_of(p.name)}`" for p in kind.parameters if p.required is required)
            for required in (True, False)
        ]
        required, optional = groups if kind.parameters else ("[Input](input.md#the-sidecar)", "")
        phrase = re.sub(r" *\[@[a-z0-9]+\]", "", kind.phrase)
        rows.append(f"| {names} | {phrase} | {required} | {optional} |")
    head = "| type | what it is | required keys | further keys |\n|---|---|---|---|\n"
    return head + "\n".join(rows)


def tissue_limits(_: str) -> str:
    """T1 from which and up to which a voxel counts as a tissue, at usual field strengths."""
    from mri2qmap_bids.dataset.tissue import t1_limits

    rows = []
    for field in (0.55, 1.5, 3.0, 7.0):
        cells = [
            f"{a:.2f} to {b:.2f} s" if b < 1e6 else f"from {a:.2f} s"
            for a, b in t1_limits(field).values()
        ]
        rows.append(f"| {field:g} T | {' | '.join(cells)} |")
    return "| field | white matter | grey matter | CSF |\n|---|---|---|---|\n" + "\n".join(rows)


def readme(place: str) -> str:
    """A section of the README, its heading left out."""
    title = place.partition(":")[2].strip()
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    match = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if match is None:
        raise ValueError(f"README.md must have a section {title}, got none")
    return match[1].strip().replace("](docs/", "](")


def references(_: str) -> str:
    """Every paper that a methods section may cite."""
    return "\n".join(f"- {line}" for line in _listed())


def _listed() -> Iterator[str]:
    yield from sorted(reference.markdown for reference in REFERENCES.values())


_FILLED: dict[str, Callable[[str], str]] = {
    "options": options,
    "simulate options": simulate_options,
    "convert options": convert_options,
    "exit codes": exit_codes,
    "group columns": group_columns,
    "report rules": report_rules,
    "tissue limits": tissue_limits,
    "input bounds": input_bounds,
    "pulse sequences": pulse_sequences,
    "readme": readme,
    "references": references,
}


def main() -> None:
    """Rewrite every page."""
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if filled(text) != text:
            write_text(page, filled(text))


if __name__ == "__main__":
    main()
