"""Pages of the source files that the specification takes listings from, with links to where it lists them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from markup import source_page

ROOT = Path(__file__).resolve().parents[2]


def _pages(app: Any) -> Iterator[tuple[str, dict[str, Any], str]]:
    listed: dict[str, dict[str, tuple[str, str]]] = {}
    for (kind, target), place in app.env.domains["dfc"].data["targets"].items():
        if kind == "listing":
            path, function = target.split()
            listed.setdefault(path, {})[function] = place
    for path, functions in sorted(listed.items()):
        page, _ = source_page(path, "")
        links = {
            function: f"{app.builder.get_relative_uri(page, docname)}#{anchor}"
            for function, (docname, anchor) in functions.items()
        }
        body = f"<h1>{escape(path)}</h1>\n<p>A source file of the reference software. {_TEXT}</p>\n"
        body += "\n".join(_lines(app, path, links))
        yield page, {"title": path, "body": body, "parents": []}, "page.html"


_TEXT = "Functions that the specification lists have a link to the place where it does."


def _lines(app: Any, path: str, links: dict[str, str]) -> list[str]:
    """The highlighted file, with an anchor at each function and a link at those that are listed."""
    code = (ROOT / path).read_text(encoding="utf-8")
    lines: list[str] = app.builder.highlighter.highlight_block(code, "python").splitlines()
    head, lines[0] = lines[0].split("<pre>")
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            at = min([node.lineno, *(one.lineno for one in node.decorator_list)]) - 1
            link = links.get(node.name)
            back = f'<a class="listed" href="{escape(link)}">specification</a>' if link else ""
            lines[at] = f'<span id="{node.name}"></span>{back}{lines[at]}'
    lines[0] = f"{head}<pre>{lines[0]}"
    return lines


def setup(app: Any) -> dict[str, bool]:
    """Hook into the HTML builder."""
    app.connect("html-collect-pages", lambda app: _pages(app) if app.builder.name == "html" else [])
    return {"parallel_read_safe": True, "parallel_write_safe": True}
