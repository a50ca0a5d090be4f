"""The documentation is built without a warning, and says what the program does."""

import html
import json
import re
import subprocess
import sys
from argparse import ArgumentParser
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch

import mri2qmap_bids
from mri2qmap_bids.cli.parser import build_parser
from mri2qmap_bids.dataset.group import COLUMNS
from mri2qmap_bids.dataset.sequence_keys import key_of
from mri2qmap_bids.dataset.sidecar import read_sequence
from mri2qmap_bids.recon.methods.llr import LLR
from mri2qmap_bids.recon.methods.lrtv import LRTV
from mri2qmap_bids.recon.methods.mri2qmap import MRI2QMAP
from mri2qmap_bids.recon.methods.registry import method_named
from mri2qmap_bids.recon.methods.subspace import SUBSPACE
from mri2qmap_bids.recon.physics.epg import simulate
from mri2qmap_bids.recon.physics.sequences.registry import sequence_types
from mri2qmap_bids.report.rules import RULES
from mri2qmap_bids.simulate.arm_order import ARM_ORDERS
from mri2qmap_bids.simulate.trajectory import TRAJECTORY_KINDS
from mri2qmap_bids.tools import COMMANDS

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(
    find_spec("mkdocs") is None or find_spec("nbconvert") is None,
    reason="the extra `docs` is not installed",
)
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Text of every page by name."""
    site = tmp_path_factory.mktemp("site")
    words = ["-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)]
    process = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return {path.stem: html.unescape(path.read_text()) for path in site.rglob("*.html")}


def test_every_option_is_on_the_page(pages):
    for action in build_parser()._actions:
        if action.dest == "help":
            continue
        names = [name for name in action.option_strings if "_" not in name] or [action.dest]
        for name in names:
            assert f"<code>{name}</code>" in pages["usage"], name


def test_every_option_of_the_simulator_is_on_its_page(pages):
    parser = ArgumentParser()
    COMMANDS["simulate"].add_arguments(parser)
    for action in parser._actions:
        for name in action.option_strings:
            if action.dest != "help":
                assert f"<code>{name}</code>" in pages["simulator"], name


def test_every_option_of_the_converter_is_on_its_page(pages):
    parser = ArgumentParser()
    COMMANDS["convert"].add_arguments(parser)
    (sources,) = (action for action in parser._actions if action.choices)
    for name, source in sources.choices.items():
        assert f"<code>{name}</code>" in pages["preparing_data"], name
        for action in source._actions:
            for option in action.option_strings:
                if action.dest != "help":
                    assert f"<code>{option}</code>" in pages["preparing_data"], option


def test_every_trajectory_and_order_is_on_the_simulators_page(pages):
    for word in (*TRAJECTORY_KINDS, *ARM_ORDERS):
        assert f"<td><code>{word}</code></td>" in pages["simulator"], word


def test_places_are_filled(pages):
    assert "UsageError" in pages["usage"]
    for column in COLUMNS:
        assert f"<code>{column}</code>" in pages["output"]
    assert "10.1038/nature11971" in pages["citing"]
    assert "init_mri2qmap_wf(settings)" in re.sub(r"<[^>]+>", "", pages["library"])
    assert not [name for name, text in pages.items() if "{{" in text]


def test_rows_of_a_table_have_as_many_cells_as_its_head():
    uneven = []
    for page in sorted((ROOT / "docs").glob("*.md")):
        n_cells = None
        for line in page.read_text(encoding="utf-8").splitlines():
            if not line.startswith("|"):
                n_cells = None
                continue
            n_bars = len(re.findall(r"(?<!\\)\|", line))
            n_cells = n_cells or n_bars
            if n_bars != n_cells:
                uneven.append(f"{page.name}: {line}")
    assert not uneven


def test_every_public_name_is_documented(pages):
    anchors = re.findall(r'id="mri2qmap_bids\.([\w.]+)"', pages["api"])
    assert set(mri2qmap_bids.__all__) <= {anchor.rpartition(".")[2] for anchor in anchors}
    assert ":func:" not in pages["api"]


def test_pages_show_without_a_network(pages):
    for name, text in pages.items():
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*src="([^"]+)"', text)
        loaded += re.findall(r'<link[^>]*rel="(?!canonical)[^"]*"[^>]*href="([^"]+)"', text)
        assert loaded, name
        assert not [url for url in loaded if url.startswith(("http", "//"))], name


def test_every_rule_of_the_traffic_light_is_on_the_page(pages):
    for rule in RULES:
        assert rule.name in pages["report"]
        assert rule.limits in pages["report"]


def test_steps_and_weights_on_the_page_are_the_programs():
    text = " ".join((ROOT / "docs" / "method.md").read_text().split())
    assert f"At most {SUBSPACE.settings.density_steps} steps of preconditioned" in text
    assert f"by at most {MRI2QMAP.settings.data_steps} steps of preconditioned" in text
    assert f"by {SUBSPACE.iterations} for `subspace`" in text
    assert f"by {LRTV.settings.start.steps} for the start of the others" in text
    assert LRTV.iterations == LLR.iterations
    assert f"at most {LRTV.iterations} times" in text
    assert f"both below {100 * LRTV.settings.tolerance:g} % in relative norm" in text
    assert f"`llr`: {100 * LLR.settings.tolerance:g} %" in text
    start = MRI2QMAP.settings.start
    assert f"In the first round (to {100 * start.first_tolerance:g} %)" in text
    assert f"in the second (to {100 * start.tolerance:g} %)" in text
    assert f"transfer function is at least {100 * start.edges_known:g} %" in text
    assert (MRI2QMAP.iterations == 1) == ("makes one iteration" in text)
    for method in ("subspace", "lrtv", "llr"):
        weight = f"{method_named(method).regularisation:g}"
        assert f"`--regularisation` of `{method}` ({weight})" in text
    assert (
        f"w = {LRTV.regularisation:g} by default (`llr`: w = {LLR.regularisation:g}; option" in text
    )
    assert f"lambda = {LRTV.settings.strength:g} L s^2 / d" in text


def test_every_type_of_pulse_sequence_is_on_its_page_with_its_diagram(pages):
    for kind in sequence_types():
        assert f"<code>{kind.name}</code>" in pages["sequences"]
        assert f'id="{kind.build.__module__}.{kind.build.__name__}"' in pages["sequences"]
        assert "RF  " in kind.build.__doc__
        for parameter in kind.parameters:
            assert f"<code>{key_of(parameter.name)}</code>" in pages["sequences"]


def test_the_event_list_of_the_page_is_read_as_it_stands(pages):
    text = (ROOT / "docs" / "sequences.md").read_text()
    metadata = json.loads(re.findall(r"```json\n(.*?)```", text, re.DOTALL)[0])
    sequence = read_sequence(metadata, None, ROOT / "x_MRF.h5")
    signal = simulate(sequence, torch.tensor([0.1]), torch.tensor([0.05]))[0].abs()
    assert signal.tolist() == pytest.approx([np.exp(-0.4), np.exp(-1.2)], rel=1e-4)


def test_formulas_are_rendered(pages):
    source = (ROOT / "docs" / "method.md").read_text().count("```math")
    formulas = re.findall(r"<math.*?</math>", pages["method"], re.DOTALL)
    assert len(formulas) == source >= 5
    # A command that the converter does not know stays as it is.
    assert not any("\\" in formula for formula in formulas)
    assert "formula:" not in pages["method"] and "```" not in pages["method"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_output_and_shown_with_it(pages, path):
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    pictures = re.findall(r'<img alt="output of the cell above" src="([^"]+)"', pages[path.stem])
    assert len(pictures) == {"from_arrays_to_maps": 3, "swap_the_denoiser": 1}[path.stem]
    assert "Warning" not in pages[path.stem]


def test_the_notebooks_maps_are_near_the_truth(pages):
    errors = re.findall(r"T[12]: median absolute error ([0-9.]+) %", pages["from_arrays_to_maps"])
    assert len(errors) == 2 and max(map(float, errors)) < 5
    rows = re.findall(r"of T1 +([0-9.]+) %, of T2 +([0-9.]+) %", pages["swap_the_denoiser"])
    assert len(rows) == len(set(rows)) == 4
    assert max(float(t1) for t1, _ in rows) < 10


def test_an_error_in_a_cell_of_a_notebook_fails_the_build():
    from mkdocs.exceptions import PluginError

    place = spec_from_file_location("notebook_pages", ROOT / "docs" / "notebook_pages.py")
    hook = module_from_spec(place)
    place.loader.exec_module(hook)
    notebook = json.loads(NOTEBOOKS[0].read_text())
    cell = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    notebook["cells"] = [{**cell, "source": ["1 / 0"]}]
    with pytest.raises(PluginError, match="notebooks/x.ipynb: (.|\n)*ZeroDivisionError"):
        hook.page_of("notebooks/x.ipynb", json.dumps(notebook))
