"""Lines of code that a narrow page breaks, with what is broken off indented: see ``dfc.css``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pygments.formatters import HtmlFormatter
from sphinx.highlighting import PygmentsBridge

_TAG = re.compile(r"<[^>]+>")


class HangingFormatter(HtmlFormatter[str]):  # type: ignore[misc]
    """HTML in which each line of code is an element that knows its indentation."""

    def wrap(self, source: Any) -> Iterator[tuple[int, str]]:
        """Mark the lines of code among what the formatter yields."""
        yield from super().wrap(self._marked(source))

    def _marked(self, source: Any) -> Iterator[tuple[int, str]]:
        for kind, line in source:
            if kind == 1:
                text = _TAG.sub("", line)
                indent = len(text) - len(text.lstrip(" "))
                line = f'<span class="hang" style="--indent:{indent}">{line}</span>'
            yield kind, line


def setup(app: Any) -> dict[str, bool]:
    """Let Sphinx highlight with it."""
    PygmentsBridge.html_formatter = HangingFormatter
    return {"parallel_read_safe": True, "parallel_write_safe": True}
