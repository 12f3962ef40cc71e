"""``.. requirements::``: every requirement of the specification, by its number, and its tests."""

# ruff: noqa: D102 (what run() does, the class says)

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from docutils import nodes
from generated import Cell, table
from markup import note, reference
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

MAP = Path(__file__).resolve().parents[2] / "refcodec" / "suite" / "requirements.toml"

_GROUPS = {"valid": "all valid vectors", "invalid": "all invalid vectors"}


def kind(entry: dict[str, Any]) -> str:
    """Strongest evidence that an entry of the map has: ``vectors``, ``tests`` or ``untested``."""
    return next(name for name in ("vectors", "tests", "untested") if name in entry)


class Requirements(SphinxDirective):
    """Counts, the requirements without a test, and those with."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(MAP))
        self.env.note_dependency(__file__)
        entries = tomllib.loads(MAP.read_text(encoding="utf-8"))
        count = Counter(map(kind, entries.values()))
        summary = (
            f"Of {len(entries)} requirements, {count['vectors']} have vectors of the conformance suite, "
            f"{count['tests']} more have tests of the reference software, {count['untested']} have neither."
        )
        untested = [
            [*_head(self.env, name), entry["untested"]]
            for name, entry in entries.items()
            if kind(entry) == "untested"
        ]
        tested = [
            [*_head(self.env, name), _places(entry)]
            for name, entry in entries.items()
            if kind(entry) != "untested"
        ]
        return [
            nodes.paragraph("", summary),
            nodes.rubric("", "Not tested"),
            table(["Requirement", "Clause", "Why"], untested),
            nodes.rubric("", "Tested"),
            table(["Requirement", "Clause", "Vectors, and tests"], tested, "tested"),
        ]


def _head(env: BuildEnvironment, name: str) -> list[Cell]:
    number = name.rpartition("-")[0]
    anchor = f"tested-{name}"
    note(env, "tested", name, anchor)
    link = reference("req", name, nodes.inline("", f"R{name}"))
    return [
        nodes.inline("", "", link, ids=[anchor]),
        reference("clause", number, nodes.inline("", number)),
    ]


def _places(entry: dict[str, Any]) -> list[nodes.Node]:
    """The vectors, followed by the tests, separated by commas."""
    vectors = [_GROUPS.get(name, name) for name in entry.get("vectors", [])]
    names = [*vectors, *(name.removeprefix("tests/") for name in entry.get("tests", []))]
    listed: list[nodes.Node] = []
    for name in names:
        listed += [nodes.Text(", ")] if listed else []
        if name in _GROUPS.values():
            listed.append(nodes.Text(name))
        elif name in vectors:
            listed.append(reference("vector", name, nodes.literal("", name)))
        else:
            listed.append(nodes.literal("", name))
    return listed


def setup(app: Any) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("requirements", Requirements)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
