"""The options of a call in a TOML file, as a record and to repeat the call."""

import argparse
import secrets
import time
import tomllib
from pathlib import Path
from typing import Any

import tomli_w
import yaml

from mri2qmap_bids import __version__
from mri2qmap_bids.atomic import write_text
from mri2qmap_bids.encoded_text import read_text
from mri2qmap_bids.errors import InputError, UsageError
from mri2qmap_bids.settings import PLUGINS

_TABLE = "options"
# Options that are not saved: positional arguments, and those for one call only.
_NOT_KEPT = frozenset(
    (
        "bids_dir",
        "output_dir",
        "analysis_level",
        "config_file",
        "dry_run",
        "boilerplate_only",
        "clean_workdir",
        "reports_only",
        "help",
    )
)


def write_options(arguments: argparse.Namespace, folder: Path) -> Path:
    """Save the options of a call, including the defaults of this machine.

    Parameters
    ----------
    arguments
        Parsed arguments.
    folder
        Where to write; created if missing.

    Returns
    -------
    The file, named by time and a random token: process ids are not unique across containers.
    """
    options = {
        key: _plain(value)
        for key, value in sorted(vars(arguments).items())
        if key not in _NOT_KEPT and value is not None
    }
    environment = {
        "version": __version__,
        "bids_dir": str(arguments.bids_dir.absolute()),
        "output_dir": str(arguments.output_dir.absolute()),
        "analysis_level": arguments.analysis_level,
    }
    path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}.toml"
    write_text(path, tomli_w.dumps({"call": environment, _TABLE: options}))
    return path


def read_options(path: Path, parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Options from a file written by :func:`write_options` or by hand, as parser defaults.

    Parameters
    ----------
    path
        TOML file with a table ``options``, its keys the long options with underscores.
    parser
        Defines the options, their types and choices.

    Raises
    ------
    InputError
        If the file is not there.
    UsageError
        If it is not TOML, or contains unknown options or invalid values.
    """
    try:
        content = tomllib.loads(read_text(path))
    except OSError as error:
        raise InputError(f"--config-file {path}: must be a file, got: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"--config-file {path}: must be a TOML file, got: {error}") from error
    known = {action.dest: action for action in parser._actions if action.dest not in _NOT_KEPT}
    options = content.get(_TABLE)
    if not isinstance(options, dict):
        raise UsageError(
            f"--config-file {path}: must have a table [{_TABLE}], got {sorted(content)}"
        )
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UsageError(
            f"--config-file {path}: keys of [{_TABLE}] must be long options with underscores, got "
            f"{', '.join(unknown)}"
        )
    return {key: _checked(path, known[key], value) for key, value in options.items()}


def read_plugin(path: Path) -> tuple[str, dict[str, Any]]:
    """Name and arguments of a Nipype plugin, from a YAML file as other BIDS-Apps take it.

    Raises
    ------
    InputError
        If the file is not there.
    UsageError
        If it is not YAML, or names an unsupported plugin.
    """
    try:
        content = yaml.safe_load(read_text(path))
    except OSError as error:
        raise InputError(f"--use-plugin {path}: must be a file, got: {error.strerror}") from error
    except (ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"--use-plugin {path}: must be a YAML file, got: {reason}") from error
    if not isinstance(content, dict) or not set(content) <= {"plugin", "plugin_args"}:
        raise UsageError(
            f"--use-plugin {path}: must hold plugin and plugin_args, got {_short(content)}"
        )
    name, arguments = content.get("plugin"), content.get("plugin_args") or {}
    if name not in PLUGINS:
        raise UsageError(
            f"--use-plugin {path}: plugin must be one of {', '.join(PLUGINS)}, got {name}"
        )
    if not isinstance(arguments, dict):
        raise UsageError(
            f"--use-plugin {path}: plugin_args must be a table, got {_short(arguments)}"
        )
    return name, arguments


def _short(value: Any) -> str:
    text = repr(list(value) if isinstance(value, dict) else value)
    return text if len(text) < 60 else f"{text[:60]}..."


def _checked(path: Path, action: argparse.Action, value: Any) -> Any:
    """A value as parsed from the command line."""
    several = action.nargs in ("+", "*")
    flag = action.nargs == 0
    right = isinstance(value, list) == several and (not flag or isinstance(value, bool | int))
    values = value if isinstance(value, list) else [value]
    try:
        kind = action.type if callable(action.type) else (lambda word: word)
        converted = values if flag else [kind(word) for word in values]
    except (TypeError, ValueError):
        right = False
    if right and action.choices is not None:
        right = all(word in action.choices for word in values)
    if not right:
        raise UsageError(
            f"--config-file {path}: {action.dest} must be a value of --"
            f"{action.dest.replace('_', '-')}, got {value!r}"
        )
    return converted if several else converted[0]


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value
