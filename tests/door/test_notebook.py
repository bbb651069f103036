"""The notebook of the tutorial runs from its first cell to its last."""

import json
from pathlib import Path

import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode, reads

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tutorials" / "ask-and-tell.ipynb"


def read() -> NotebookNode:
    notebook: NotebookNode = reads(NOTEBOOK.read_text(), as_version=4)  # type: ignore[no-untyped-call]  # nbformat's own affair
    return notebook


@pytest.mark.page
def test_the_notebook_runs_headless(tmp_path: Path) -> None:
    notebook = read()
    NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = json.dumps([cell.get("outputs") for cell in notebook.cells])
    assert "expected, with 90 % interval: yield" in shown
    assert "values of yeild; expected yield in percent" in shown
    assert '"text/plain": "True"' in shown, "the loaded optimizer suggests the very same"
    assert list(tmp_path.iterdir()) == [], "it leaves nothing behind"


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = read().cells
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
