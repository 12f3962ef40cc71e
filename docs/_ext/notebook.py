"""The tutorial as a notebook of Jupyter: a page of the site, of which code becomes cells.

    python docs/_ext/notebook.py docs/tutorial.rst tutorial.ipynb

The build of the site runs this, and links to the notebook, where nbformat is installed (``conf.py`` sets the
tag ``notebook`` then). A page that holds more than headings, paragraphs and code is refused: nothing
is lost.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

PAGE = "tutorial"


def notebook_of(page: Path) -> Any:
    """The notebook of a page of reStructuredText. Raises ValueError for what no notebook of ours holds."""
    from docutils.core import publish_doctree
    from docutils.parsers.rst import directives, roles
    from nbformat import v4

    roles.register_local_role("doc", _Titles(page.parent))
    directives.register_directive("only", _only())
    settings = {
        "syntax_highlight": "none",
        "report_level": 2,
        "halt_level": 2,
        "input_encoding": "utf-8",
    }
    text = page.read_text(encoding="utf-8")
    tree = publish_doctree(text, source_path=str(page), settings_overrides=settings)
    found = v4.new_notebook(metadata={"kernelspec": _KERNEL})
    found.cells = [
        v4.new_code_cell(source, id=f"cell-{number}")
        if is_code
        else v4.new_markdown_cell(source, id=f"cell-{number}")
        for number, (is_code, source) in enumerate(_cells(tree))
    ]
    return found


_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def _cells(tree: Any) -> Iterator[tuple[bool, str]]:
    """The cells, each with true for code; paragraphs that follow one another share one."""
    prose: list[str] = []
    for is_code, text in _blocks(tree, 1):
        if is_code:
            if prose:
                yield False, "\n\n".join(prose)
            prose = []
            yield True, text
        else:
            prose.append(text)
    if prose:
        yield False, "\n\n".join(prose)


def _blocks(node: Any, level: int) -> Iterator[tuple[bool, str]]:
    """Headings, paragraphs and code of a page, in order, as Markdown and Python."""
    for child in node.children:
        match child.tagname:
            case "section":
                yield from _blocks(child, level + 1)
            case "title":
                yield False, f"{'#' * level} {_inline(child)}"
            case "paragraph":
                yield False, _inline(child)
            case "literal_block" if "python" in child["classes"]:
                yield True, child.astext()
            case other:
                raise ValueError(f"a notebook of ours has no {other}: {child.astext()[:60]!r}")


def _inline(node: Any) -> str:
    """The text of a paragraph, in Markdown."""
    found = []
    for child in node.children:
        match child.tagname:
            case "#text":
                found.append(child.astext())
            case "literal":
                found.append(f"`{child.astext()}`")
            case "emphasis":
                found.append(f"*{child.astext()}*")
            case "strong":
                found.append(f"**{child.astext()}**")
            case other:
                raise ValueError(f"a notebook of ours has no {other}: {child.astext()!r}")
    return "".join(found)


class _Titles:
    """The role ``doc``: the title of another page of the site, which a notebook has no link to.

    folder : of the page.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(
        self, name: str, rawtext: str, text: str, *rest: Any, **more: Any
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        from docutils import nodes

        given = re.fullmatch(r"(.+) <.+>", text)
        title = given[1] if given else self._title(text)
        return [nodes.emphasis(rawtext, title)], []

    def _title(self, target: str) -> str:
        page = self._folder / f"{target}.rst"
        lines = page.read_text(encoding="utf-8").splitlines()
        return next(line for line, below in pairwise(lines) if line and set(below) == {"="})


def _only() -> Any:
    """The directive ``only``, whose content is for the site."""
    from docutils.parsers.rst import Directive

    class Only(Directive):
        optional_arguments = 1
        has_content = True

        def run(self) -> list[Any]:
            return []

    return Only


def _make(app: Any, exception: Exception | None) -> None:
    """Write the notebook into the site; in a process of its own, since roles are those of a process."""
    page = Path(app.srcdir, f"{PAGE}.rst")
    if exception or app.builder.name != "html" or not app.tags.has("notebook"):
        return
    command = [sys.executable, __file__, str(page), str(Path(app.outdir, f"{PAGE}.ipynb"))]
    subprocess.run(command, check=True)


def setup(app: Any) -> dict[str, bool]:
    """Write the notebook at the end of a build."""
    app.connect("build-finished", _make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def main() -> None:
    """Write the notebook of a page."""
    import nbformat

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("notebook", type=Path)
    options = parser.parse_args()
    nbformat.write(notebook_of(options.page), options.notebook)


if __name__ == "__main__":
    main()
