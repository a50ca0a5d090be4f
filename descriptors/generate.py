"""The Boutiques descriptor, made from the parser of ``mri2qmap``.

``python descriptors/generate.py`` writes it anew; a test compares the two.
"""

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

from mri2qmap_bids.cli.parser import build_parser

FOLDER = Path(__file__).parent
# Nipoppy copies its folder and follows no link out of it: the file lies there.
DESCRIPTOR = FOLDER / "nipoppy" / "descriptor.json"
# BIDS-Apps have these in this order before all others.
_FIRST = ("bids_dir", "output_dir", "analysis_level", "participant_label", "session_label")
_EXIT_CODES = {
    1: "A run failed; the others are done",
    16: "The dataset cannot be used",
    17: "The analysis level is unknown",
    18: "Nothing is selected",
    64: "The command line is invalid",
    65: "All runs are done, and one is rated as bad as --fail-on names",
    66: "A file or directory named on the command line does not exist",
    71: "The machine does not offer what the program needs",
    73: "The output cannot be written",
}


def descriptor() -> dict[str, Any]:
    """The descriptor as BIDS-Apps have it: what ``bosh validate -b`` demands."""
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text())["project"]
    parser = build_parser()
    actions = {
        action.dest: action for action in parser._actions if action.dest not in ("help", "version")
    }
    order = [*_FIRST, *(name for name in actions if name not in _FIRST)]
    inputs = [_input(actions[name], parser.prog) for name in order]
    keys = " ".join(item["value-key"] for item in inputs)
    existing = {
        **_input(actions["output_dir"], parser.prog),
        "id": "output_dir_existing",
        "name": "output_dir_existing",
        "type": "File",
        "optional": True,
        "description": "output_dir, if it exists already",
    }
    inputs[1]["optional"] = True
    inputs.insert(2, existing)
    return {
        "name": project["name"],
        "description": project["description"],
        "tool-version": project["version"],
        "schema-version": "0.5",
        "command-line": f"mkdir -p [OUTPUT_DIR]; {parser.prog} {keys}",
        "container-image": {"type": "docker", "image": f"mri2qmap:{project['version']}"},
        "inputs": inputs,
        "groups": [
            {
                "id": "output",
                "name": "Where to write",
                "members": ["output_dir", "output_dir_existing"],
                "mutually-exclusive": True,
                "one-is-required": True,
            }
        ],
        "output-files": [
            {
                "id": "output_dataset",
                "name": "BIDS derivatives",
                "path-template": "[OUTPUT_DIR]",
                "optional": False,
            }
        ],
        "error-codes": [{"code": code, "description": text} for code, text in _EXIT_CODES.items()],
        "suggested-resources": {"cpu-cores": 4, "ram": 24, "walltime-estimate": 3600},
        "tags": {"domain": ["neuroinformatics", "mri"], "bids": "app"},
    }


def _input(action: argparse.Action, program: str) -> dict[str, Any]:
    """One word or option of the command line."""
    name = action.dest
    text = argparse.HelpFormatter(program)._expand_help(action)
    item: dict[str, Any] = {
        "id": name,
        "name": name,
        "description": text,
        "value-key": f"[{name.upper()}]",
        "optional": bool(action.option_strings),
        **_kind(action),
    }
    if action.option_strings:
        item["command-line-flag"] = next(
            flag for flag in action.option_strings if flag.startswith("--")
        )
    if isinstance(action, argparse._CountAction):
        short = next(flag for flag in action.option_strings if not flag.startswith("--"))
        item["value-choices"] = [short, short + short[1:]]
        del item["command-line-flag"]
    if action.nargs in ("+", "*"):
        item["list"] = True
    return item


def _kind(action: argparse.Action) -> dict[str, Any]:
    """Type and choices of a value."""
    if isinstance(action, argparse._CountAction):
        return {"type": "String"}
    if action.nargs == 0:
        return {"type": "Flag"}
    if action.type is int:
        return {"type": "Number", "integer": True}
    if action.type is float:
        return {"type": "Number"}
    if action.dest == "bids_dir" or action.metavar in ("FILE", "PATH"):
        return {"type": "File"}
    choices = {} if action.choices is None else {"value-choices": list(action.choices)}
    return {"type": "String", **choices}


def as_text() -> str:
    """The descriptor's file."""
    return json.dumps(descriptor(), indent=2) + "\n"


if __name__ == "__main__":
    DESCRIPTOR.write_text(as_text())
