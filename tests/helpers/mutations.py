"""Inputs spoiled in a way that respects their structure, for hypothesis.

Every function takes ``draw`` of a composite strategy and spoils one file in place. What comes out may be
right, wrong or unreadable: the program has to take it or to refuse it in one line.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hypothesis import strategies as st

Draw = Callable[..., Any]

ODD_NUMBERS = st.sampled_from(
    [0, -1, 1, 2, 3, 65535, 2**31 - 1, -(2**31), 10**9, 0.5, 31.9996, 1e-12, 1e30, -0.1, 5.0]
)
ODD_TEXTS = st.sampled_from(
    ["", " ", "NaN", "inf", "-inf", "ten", "1,5", "0x10", "../..", "$(touch x)", "<b>", "\u00b5", "1e999"]
)  # fmt: skip
ODD_VALUES = st.one_of(
    ODD_NUMBERS,
    ODD_TEXTS,
    st.none(),
    st.booleans(),
    st.lists(ODD_NUMBERS, max_size=4),
    st.dictionaries(ODD_TEXTS, ODD_NUMBERS, max_size=2),
)
NOT_JSON = st.sampled_from(
    [b"", b"{", b"[]", b"null", b"3", b'"text"', b"\xff\xfe{}", b"\xef\xbb\xbf{}", b'{"a": NaN}', b"{}}", b"\x00"]
)  # fmt: skip


def spoil_bytes(draw: Draw, path: Path) -> str:
    """Cut the file, or change some of its bytes."""
    content = bytearray(path.read_bytes())
    if draw(st.booleans()) and content:
        cut = draw(st.integers(0, len(content) - 1))
        path.write_bytes(bytes(content[:cut]))
        return f"cut at {cut} of {len(content)}"
    places = draw(st.lists(st.integers(0, max(len(content) - 1, 0)), min_size=1, max_size=8))
    for place in places:
        content[place] = draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    return f"bytes {places}"


def spoil_json(draw: Draw, path: Path) -> str:
    """Change, add or remove a key; or what is no object at all."""
    if draw(st.integers(0, 5)) == 0:
        content = draw(NOT_JSON)
        path.write_bytes(content)
        return f"content {content!r}"
    values = json.loads(path.read_text())
    key = draw(st.sampled_from([*sorted(values), "Unknown"]))
    if draw(st.integers(0, 4)) == 0:
        values.pop(key, None)
        change = f"without {key}"
    elif isinstance(values.get(key), list) and values[key] and draw(st.booleans()):
        place = draw(st.integers(0, len(values[key]) - 1))
        values[key][place] = draw(ODD_VALUES)
        change = f"{key}[{place}] = {values[key][place]!r}"
    else:
        values[key] = draw(ODD_VALUES)
        change = f"{key} = {values[key]!r}"
    path.write_text(json.dumps(values))
    return change


def spoil_header(draw: Draw, path: Path) -> str:
    """Change the text of one XML element, remove it, or replace the document."""
    with h5py.File(path, "r+") as file:
        group = file["dataset"]
        document = group["xml"][0]
        text = document.decode() if isinstance(document, bytes) else str(document)
        elements = list(re.finditer(r"<(\w+)>([^<>]*)</\1>", text))
        choice = draw(st.integers(0, 5))
        if choice == 0:
            text = draw(st.sampled_from(["", "<a/>", "no XML", "<ismrmrdHeader></ismrmrdHeader>"]))
            change = f"header {text!r}"
        else:
            element = draw(st.sampled_from(elements))
            odd = "" if choice == 1 else str(draw(st.one_of(ODD_NUMBERS, ODD_TEXTS)))
            odd = odd.replace("<", "&lt;")
            text = text[: element.start(2)] + odd + text[element.end(2) :]
            change = f"{element[1]} = {odd!r}"
        del group["xml"]
        group.create_dataset("xml", data=np.array([text], object), dtype=h5py.string_dtype())
    return change


def spoil_acquisitions(draw: Draw, path: Path) -> str:
    """Change a field of the headers of some acquisitions, or their samples."""
    with h5py.File(path, "r+") as file:
        records = file["dataset/data"][:]
        heads = records["head"]
        names = ["idx", *(name for name in heads.dtype.names if name != "idx"), "data", "traj"]
        name = draw(st.sampled_from(names))
        every = draw(st.booleans())
        places = range(len(records)) if every else [draw(st.integers(0, len(records) - 1))]
        if name in ("data", "traj"):
            value = draw(st.sampled_from([np.nan, np.inf, 0.0, 1e30, 1e-30]))
            shorter = draw(st.booleans())
            for place in places:
                samples = records[name][place]
                records[name][place] = samples[:-1] if shorter else np.full_like(samples, value)
            change = f"{name} {'shorter' if shorter else value}"
        else:
            field = heads[name]
            counter = ""
            if name == "idx":
                counter = draw(st.sampled_from([n for n in field.dtype.names if n != "user"]))
                field = field[counter]
            limits = np.iinfo(field.dtype) if field.dtype.kind in "iu" else None
            value = draw(ODD_NUMBERS)
            if limits is not None:
                value = int(np.clip(int(value), int(limits.min), int(limits.max)))
            for place in places:
                field[place] = value
            change = f"{name} {counter} = {value}"
        file["dataset/data"][:] = records
    return f"{change} in {'all' if every else 'one'}"


def spoil_groups(draw: Draw, path: Path) -> str:
    """Remove, rename, retype or link a member of the file."""
    with h5py.File(path, "r+") as file:
        member = draw(st.sampled_from(["dataset", "dataset/xml", "dataset/data"]))
        choice = draw(st.sampled_from(["remove", "rename", "empty", "external", "soft", "scalar"]))
        if choice == "rename":
            file.move(member, "other")
        else:
            del file[member]
        if choice == "empty":
            file.create_dataset(member, shape=(0,), dtype="f4")
        elif choice == "external":
            file[member] = h5py.ExternalLink("/nonexistent.h5", "/dataset")
        elif choice == "soft":
            file[member] = h5py.SoftLink("/dataset/other")
        elif choice == "scalar":
            file[member] = 3.0
    return f"{choice} {member}"
