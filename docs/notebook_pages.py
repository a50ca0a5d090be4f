"""Notebooks as pages of the documentation: each is run when the documentation is built."""

import os
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
# Progress bars, and the notice that they lack a widget, are of no use on a page.
_QUIET = {"TQDM_DISABLE": "1", "PYTHONWARNINGS": "ignore:IProgress not found"}
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
    own = name.rpartition("/")[2]
    with TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=_SECONDS, resources={"metadata": {"path": folder}}
        )
        try:
            client.execute(env={**os.environ, **_QUIET})
        except CellExecutionError as error:
            raise PluginError(f"{name}: {error}") from error
    stem = own.removesuffix(SUFFIX)
    keys = {"unique_key": stem, "output_files_dir": f"{stem}_files"}
    text, resources = MarkdownExporter().from_notebook_node(notebook, keys)
    text = text.replace("![png](", "![output of the cell above](")
    return text + _NOTE.format(name=own), resources["outputs"]
