"""Runs the notebooks of `docs/notebooks`; `python -m tests.notebooks` keeps what they print."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import nbclient
import nbformat

NOTEBOOKS = Path(__file__).parents[1] / "docs/notebooks"


def read(name: str) -> nbformat.NotebookNode:
    """A notebook by its name."""
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def run(
    notebook: nbformat.NotebookNode, folder: Path, changes: Mapping[str, str] | None = None
) -> nbformat.NotebookNode:
    """Runs every cell in a folder; an error in one is an error.

    Args:
        notebook: is changed: its cells have what they print now.
        folder: where it runs.
        changes: what is run in place of parts of its code, each of which has to be in some cell.
    """
    cells = code(notebook)
    for old, new in (changes or {}).items():
        (cell,) = (cell for cell in cells if old in cell.source)
        cell.source = cell.source.replace(old, new)

    # The commands of this environment, and no messages of TensorFlow.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    place = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(notebook, resources=place, timeout=1200, record_timing=False)
    client.execute(env=environment)
    return notebook


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The cells of a notebook that have code."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell: nbformat.NotebookNode) -> str:
    """What a cell printed on standard output, and its value as text."""
    parts = []
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stdout":
            parts.append(output.text)
        elif "data" in output:
            parts.append(output.data["text/plain"])
    return "\n".join(parts)


def main() -> None:
    """Runs all of them and writes them with what they print; warnings are left out."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            notebook = run(read(path.stem), Path(folder))
        for cell in code(notebook):
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        nbformat.write(notebook, path)
        print(path.name)


if __name__ == "__main__":
    main()
