"""Notebooks as pages of the documentation: each is run when the documentation is built."""

import os
import re
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import MarkdownExporter

SUFFIX = ".ipynb"
_SECONDS = 300
# Progress bars are of no use on a page, and neither is the warning that they lack a widget.
_QUIET = {"TQDM_DISABLE": "1"}
_NO_WIDGET = re.compile(r"^.*TqdmWarning: IProgress not found.*\n.*\n", re.MULTILINE)
_NOTE = (
    "\n\n---\n\n*This page is the output of the notebook [{name}]({name}), "
    "which runs when the documentation is built.*\n"
)


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Add a page, and its pictures, for every notebook.

    Raises
    ------
    PluginError
        If a cell of a notebook ends with an error.
    """
    for file in [file for file in files if file.src_uri.endswith(SUFFIX)]:
        text, pictures = page_of(file.src_uri, file.content_string)
        page = file.src_uri.removesuffix(SUFFIX) + ".md"
        files.append(File.generated(config, page, content=text))
        folder = file.src_uri.rpartition("/")[0]
        for name, content in pictures.items():
            files.append(File.generated(config, f"{folder}/{name}", content=content))
    return files


def page_of(name: str, source: str) -> tuple[str, dict[str, bytes]]:
    """A notebook's text with the output of its cells as Markdown, and its pictures by file name.

    Parameters
    ----------
    name
        Of the notebook, for messages and links.
    source
        The notebook as stored.

    Raises
    ------
    PluginError
        If a cell ends with an error.
    """
    notebook = nbformat.reads(source, as_version=4)
    with TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(notebook, timeout=_SECONDS, resources=resources)
        try:
            client.execute(env={**os.environ, **_QUIET})
        except CellExecutionError as error:
            raise PluginError(f"{name}: {error}") from error
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _shown(cell.outputs)
    own = name.rpartition("/")[2]
    stem = own.removesuffix(SUFFIX)
    names = {"unique_key": stem, "output_files_dir": f"{stem}_files"}
    text, resources = MarkdownExporter().from_notebook_node(notebook, names)
    text = text.replace("![png](", "![output of the cell above](")
    return text + _NOTE.format(name=own), resources["outputs"]


def _shown(outputs: list[Any]) -> list[Any]:
    """The outputs of a cell without the warning of tqdm."""
    for output in outputs:
        if output.get("name") == "stderr":
            output.text = _NO_WIDGET.sub("", output.text)
    return [output for output in outputs if output.get("text") != ""]
