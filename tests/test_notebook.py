"""The notebook runs from top to bottom, and is stored with what it printed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "story.ipynb"


@pytest.mark.skipif(importlib.util.find_spec("skvideo") is None, reason="the extra 'demo' is not installed")
@pytest.mark.filterwarnings("default")  # of the kernel's own, which is not ours
def test_the_notebook_runs_and_was_stored_with_its_output(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    stored = ["".join(output.get("text", "") for output in cell.outputs) for cell in cells]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    again = [
        "".join(output.get("text", "") for output in cell.outputs if output.get("name") == "stdout") for cell in cells
    ]
    numbers = set("0123456789.")
    # Scores may differ in the last digit on another processor; what is said around them may not.
    assert ["".join(sign for sign in text if sign not in numbers) for text in again] == [
        "".join(sign for sign in text if sign not in numbers) for text in stored
    ]
