"""The tutorial as a notebook: what it holds, and that it runs as one."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from variation import PATIENCE

pytest.importorskip("docutils", reason="docutils is not installed")
nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.rst"


def made(page: Path, folder: Path) -> Any:
    """The notebook of a page, by the command that makes it."""
    target = folder / "made.ipynb"
    command = [sys.executable, str(ROOT / "docs" / "_ext" / "notebook.py"), str(page), str(target)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=PATIENCE)
    if done.returncode:
        raise ValueError(done.stderr)
    return nbformat.read(target, as_version=4)


def test_the_notebook_is_the_page(tmp_path: Path) -> None:
    """Every line of code and every word of prose, in the order of the page."""
    notebook = made(TUTORIAL, tmp_path)
    nbformat.validate(notebook)
    page = TUTORIAL.read_text(encoding="utf-8")
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:   .*\n|\n)+)", page)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert code == [textwrap.dedent(block).strip("\n") for block in blocks]
    assert len(code) > 6
    prose = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert prose.startswith("# Tutorial: a network in two parts\n")
    assert "\n\n## Encode and decode one feature\n" in prose
    assert "`refcodec warm-up`" in prose
    assert "(*Learn compressible features*)" in prose
    assert "ipynb" not in prose
    assert "``" not in prose
    assert ":doc:" not in prose


def test_the_notebook_runs(tmp_path: Path) -> None:
    """All cells, one after another, in a kernel of Jupyter."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    pytest.importorskip("torch", reason="torch is not installed")
    notebook = made(TUTORIAL, tmp_path)
    client = nbclient.NotebookClient(
        notebook, timeout=PATIENCE, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    shown = "".join(
        output.text
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.get("name") == "stdout"
    )
    assert "torch.Size([8, 32, 16, 16])\n" in shown
    assert "8 {'layer': '4'}\n" in shown
    assert (tmp_path / "learned.dfc").exists()


@pytest.mark.parametrize(
    "text",
    ["A\n=\n\n* a list\n", "A\n=\n\n.. code-block:: console\n\n   $ ls\n", "A\n=\n\n.. note:: b\n"],
)
def test_what_a_notebook_cannot_hold_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "page.rst").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="a notebook of ours has no"):
        made(tmp_path / "page.rst", tmp_path)
