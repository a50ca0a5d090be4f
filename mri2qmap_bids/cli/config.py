"""The options of a call in a TOML file, as a record and to repeat the call."""

import argparse
import math
import re
import secrets
import time
import tomllib
from collections.abc import Callable
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
# A whole number in place of a text: of MB.
_SIZES = ("mem", "gpu_mem")


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
        key: _lasting(key, value)
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
        If it is not YAML, names an unsupported plugin, or has invalid arguments.
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
    for key, value in arguments.items():
        rule, holds = _PLUGIN_RULES.get(key, ("", _anything))
        if not holds(value):
            raise UsageError(
                f"--use-plugin {path}: {key} of plugin_args must be {rule}, got {_short(value)}"
            )
    return name, arguments


def _anything(_: Any) -> bool:
    return True


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_COUNT = ("a whole number of at least 1", _is_count)
_POSITIVE = ("a number above 0", _is_positive)
_TEXT = ("a text", _is_text)
# Of Nipype's arguments those that it takes unchecked.
_PLUGIN_RULES: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    "n_procs": _COUNT,
    "n_gpu_procs": _COUNT,
    "memory_gb": _POSITIVE,
    "raise_insufficient": ("true or false", lambda value: isinstance(value, bool)),
    "max_jobs": _COUNT,
    "max_tries": _COUNT,
    "retry_timeout": _POSITIVE,
    "sbatch_args": _TEXT,
    "template": _TEXT,
    "jobid_re": _TEXT,
}


def _short(value: Any) -> str:
    text = repr(list(value) if isinstance(value, dict) else value)
    return text if len(text) < 60 else f"{text[:60]}..."


def _checked(path: Path, action: argparse.Action, value: Any) -> Any:
    """A value as parsed from the command line."""
    if isinstance(value, int) and not isinstance(value, bool) and action.dest in _SIZES:
        value = str(value)
    several = action.nargs in ("+", "*")
    if isinstance(value, list) == several:
        try:
            values = [_converted(action, word) for word in (value if several else [value])]
            return values if several else values[0]
        except (TypeError, ValueError):
            pass
    rule = _rule(action)
    raise UsageError(
        f"--config-file {path}: {action.dest} must be {f'a list, each of it {rule}' if several else rule}, "
        f"got {value!r}"
    )


def _converted(action: argparse.Action, value: Any) -> Any:
    """One value of an option.

    Raises
    ------
    TypeError, ValueError
        If it is no value of that option.
    """
    kind = _kind(action)
    taken: dict[Any, tuple[type, ...]] = {bool: (bool,), int: (int, str), float: (float, int, str)}
    if isinstance(value, bool) != (kind is bool) or not isinstance(value, taken.get(kind, (str,))):
        raise TypeError(value)
    converted = kind(value)
    if action.choices is not None and converted not in action.choices:
        raise ValueError(value)
    return converted


def _kind(action: argparse.Action) -> Any:
    """What makes a value of an option."""
    if action.nargs == 0:
        return int if isinstance(action.default, int) and action.default is not False else bool
    return action.type or str


def _rule(action: argparse.Action) -> str:
    """What a value of an option must be."""
    if action.choices is not None:
        return f"one of {', '.join(map(str, action.choices))}"
    words = {bool: "true or false", int: "a whole number", float: "a number"}
    return words.get(_kind(action), "a text")


def _lasting(key: str, value: Any) -> Any:
    """An option's value as TOML has it, the same from every current folder."""
    if isinstance(value, list | tuple):
        return [_lasting(key, part) for part in value]
    if isinstance(value, Path) or key == "denoiser":
        return str(Path(value).absolute())
    if key == "derivatives":
        name, sign, place = value.rpartition("=")
        return f"{name}{sign}{Path(place).absolute()}"
    if key == "participant_label" and is_label_file(value):
        return str(Path(value).absolute())
    return value


def is_label_file(word: str) -> bool:
    """Whether a value of ``--participant-label`` is a file with labels."""
    return bool(re.search(r"[./]", word))
