"""A stream as one page for a browser: elements beside their bits, violations, charts, pictures of channels.

The page is a single file that loads nothing: style, script and data are inside it. The data are those of
`contents`, and the script draws them.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from importlib.resources import files

from refcodec.viewer.contents import contents_of

__all__ = ["page_of"]


def page_of(data: bytes, name: str, progress: Callable[[int], None] | None = None) -> str:
    """A page in HTML on a stream, which may be invalid.

    data     : the stream.
    name     : name of its file, for the title.
    progress : called with the number of steps that are done, of four.

    Raises StreamError where not even the stream header can be read.
    """
    contents = contents_of(data, name, progress or (lambda _: None))
    text = json.dumps(contents, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    parts = {
        "title": html.escape(name),
        "style": _part("page.css"),
        "script": _part("page.js"),
        "contents": text.replace("<", "\\u003c"),  # no text of the stream ends the script
    }
    page = _part("page.html")
    for key, part in parts.items():  # contents last: they hold any text
        page = page.replace("{{" + key + "}}", part, 1)
    return page


def _part(name: str) -> str:
    return (files("refcodec.viewer") / name).read_text(encoding="utf-8")
