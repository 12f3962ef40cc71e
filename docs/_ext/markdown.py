"""``.. markdown:: file``: the plain Markdown of the repository's own files, such as the change log.

Headings, paragraphs, bullets, tables, code spans and links are all that these files use.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

_UNDERLINES = {2: "-", 3: "~"}


def _table(match: re.Match[str]) -> str:
    """A table of ``|`` as a list-table."""
    first, _, *rest = match[0].splitlines()
    lines = [".. list-table::", "   :header-rows: 1", "   :class: generated", ""]
    for row in (first, *rest):
        for number, cell in enumerate(row.strip().strip("|").split("|")):
            lines.append(f"   {' ' if number else '*'} - {cell.strip()}".rstrip())
    return "\n".join(lines) + "\n"


def as_rst(text: str) -> str:
    """Markdown as reStructuredText, without the heading of the whole file."""
    lines: list[str] = []
    text = re.sub(r"(^\|.*\n)+", _table, text + "\n", flags=re.MULTILINE)
    for line in text.splitlines():
        heading = re.fullmatch(r"(#+) (.+)", line)
        if heading is None:
            line = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line)
            line = re.sub(r"\[([^]]+)\]\((https?://[^)]+)\)", r"`\1 <\2>`__", line)
            if (
                re.match(r"[*-] ", line)
                and lines
                and lines[-1]
                and not re.match(r"[* -] ", lines[-1])
            ):
                lines.append("")
            lines.append(line)
        elif len(heading[1]) > 1:
            lines += ["", heading[2], _UNDERLINES[len(heading[1])] * len(heading[2]), ""]
    return "\n".join(lines)


class Markdown(SphinxDirective):
    """Include a Markdown file, given from the folder of this site."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:  # noqa: D102
        path = Path(self.env.srcdir, self.arguments[0]).resolve()
        self.env.note_dependency(str(path))
        text = as_rst(path.read_text(encoding="utf-8"))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Any) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("markdown", Markdown)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
