"""The docstrings of the reference software for autodoc: columns ``name : meaning`` become lists."""

from __future__ import annotations

import re
from typing import Any

_ENTRY = re.compile(r"(?P<name>[`*\w][\w`*., ]*?) +: (?P<text>.+)")


def columns(lines: list[str]) -> list[str]:
    """Lines of a docstring with each column of ``name : meaning`` turned into a list.

    Lines that continue an entry are indented; a paragraph is a column where all its other lines have
    the form of an entry. Its first line may be a title instead, which ends with a colon.
    """
    done: list[str] = []
    for block in _blocks(lines):
        if len(block) > 1 and block[0].endswith(":") and _ENTRY.fullmatch(block[1]):
            done += [block.pop(0), ""]
        starts = [line for line in block if line and not line[0].isspace()]
        if starts and block[0] == starts[0] and all(_ENTRY.fullmatch(line) for line in starts):
            if done and done[-1]:
                done.append("")
            done += [".. rst-class:: entries", ""]
            for line in block:
                entry = _ENTRY.fullmatch(line)
                if entry:
                    done += [f"``{entry['name'].strip('`')}``", f"   {entry['text']}"]
                else:
                    done.append(f"   {line.strip()}")
            done.append("")
        else:
            done.extend(block)
    return done


def _blocks(lines: list[str]) -> list[list[str]]:
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            blocks[-1].append(line)
        else:
            blocks.extend([[""], []])
    return blocks


def _process(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    lines[:] = columns(lines)


def setup(app: Any) -> dict[str, bool]:
    """Hook into autodoc."""
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
