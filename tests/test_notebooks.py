"""The notebooks run, and what they say of what they print is so."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from .notebooks import NOTEBOOKS, code, printed, read, run

NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_is_one_run_without_an_error(name: str) -> None:
    cells = code(read(name))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = [output.output_type for cell in cells for output in cell.outputs]
    assert "error" not in kinds
    assert "execute_result" in kinds


def until(name: str, heading: str) -> nbformat.NotebookNode:
    """The part of a notebook before a heading."""
    notebook = read(name)
    (end,) = (i for i, cell in enumerate(notebook.cells) if cell.source.startswith(heading))
    notebook.cells = notebook.cells[:end]
    return notebook


def test_fine_tuning_runs_for_one_epoch(tmp_path: Path) -> None:
    """As far as the SavedModel: other tests have exports."""
    notebook = until("fine-tune", "## A SavedModel")
    cells = code(run(notebook, tmp_path, {"EPOCHS = 12": "EPOCHS = 1"}))
    assert "70 pairs to learn, 10 to look at" in printed(cells[1])
    assert (tmp_path / "polite/model.weights.h5").is_file()


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_training_learns_to_attend(tmp_path: Path) -> None:
    """And the same network without attention fails, the more the longer the sentence."""
    cells = code(run(read("attention"), tmp_path))
    assert "  →  " in printed(cells[1])
    assert any("la robe rouge" in printed(cell) for cell in cells)

    table = re.findall(r"^ ?\d+ to +\d+ +([\d.]+) +([\d.]+)$", printed(cells[-1]), re.MULTILINE)
    attending, without = ([float(row[i]) for row in table] for i in (0, 1))
    assert min(attending) > 60
    assert max(without) < 50
    assert without[0] > 2 * without[2]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_fine_tuned_model_is_polite_wherever_it_goes(tmp_path: Path) -> None:
    cells = code(run(read("fine-tune"), tmp_path))
    said = [printed(cell) for cell in cells]

    (before, after) = map(
        float, re.findall(r"BLEU ([\d.]+) before, ([\d.]+) after", "".join(said))[0]
    )
    assert before < 60
    assert after > 95
    # From the folder and from the SavedModel.
    assert sum("Haben Sie den Koffer gesehen?" in text for text in said) == 2
    (equal,) = re.findall(r"(\d+) of 10 translations equal to the SavedModel's", said[-1])
    assert int(equal) >= 8
