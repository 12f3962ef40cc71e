"""``.. vectors::``: every vector of the conformance suite, and the requirements that it tests."""

# ruff: noqa: D102 (what run() does, the class says)

from __future__ import annotations

import json
import tomllib
from typing import Any

from docutils import nodes
from generated import Cell, Generated, table
from markup import note, reference
from requirements import MAP

MANIFEST = MAP.parents[2] / "bitstreams" / "manifest.json"


class Vectors(Generated):
    """A table of valid vectors and one of invalid ones, in the order of their numbers."""

    def run(self) -> list[nodes.Node]:
        for path in (MAP, MANIFEST):
            self.env.note_dependency(str(path))
        self.env.note_dependency(__file__)
        tested: dict[str, list[str]] = {}
        for name, entry in tomllib.loads(MAP.read_text(encoding="utf-8")).items():
            for vector in entry.get("vectors", []):
                tested.setdefault(vector, []).append(name)
        vectors = json.loads(MANIFEST.read_text(encoding="utf-8"))["vectors"]
        made: list[nodes.Node] = []
        for title, folder in (("Valid streams", "valid"), ("Invalid streams", "invalid")):
            own = [one for one in vectors if one["file"].startswith(f"{folder}/")]
            shared = _requirements(tested.get(folder, []))
            text = nodes.Text(f"{len(own)} streams, in bitstreams/{folder}/. All of them test ")
            rows = [self._row(one, tested.get(one["name"], [])) for one in own]
            head = ["Vector", "Purpose", "A decoder", "Requirements", "Clauses"]
            made += [
                nodes.rubric("", title),
                nodes.paragraph("", "", text, *shared, nodes.Text(".")),
                table(head, rows, "vectors"),
            ]
        return made

    def _row(self, vector: dict[str, Any], requirements: list[str]) -> list[Cell]:
        name = vector["name"]
        anchor = f"vector-{name}"
        note(self.env, "vector", name, anchor)
        label = nodes.inline("", "", nodes.literal("", name), ids=[anchor])
        number = nodes.inline("", f" {vector['id']}", classes=["number"])
        clauses: list[nodes.Node] = []
        for clause in vector["clauses"]:
            clauses += [nodes.Text(", ")] if clauses else []
            clauses.append(reference("clause", clause, nodes.inline("", clause)))
        place = f" ({vector['profile']}, level {vector['level']})"
        return [
            [label, number],
            [nodes.Text(vector["purpose"]), nodes.inline("", place, classes=["number"])],
            _expected(vector),
            _requirements(requirements),
            clauses,
        ]


def _expected(vector: dict[str, Any]) -> str:
    """The verdict on a vector."""
    violation = vector.get("violation", {"class": ""})
    listed = ", ".join([violation["class"], *violation.get("also", [])])
    match vector["decoder"]:
        case "accept":
            return "decodes"
        case "reject":
            return f"refuses: {listed}"
        case _:
            return f"decodes, or refuses: {listed}"


def _requirements(names: list[str]) -> list[nodes.Node]:
    """Links to requirements, separated by commas."""
    listed: list[nodes.Node] = []
    for name in names:
        listed += [nodes.Text(", ")] if listed else []
        listed.append(reference("req", name, nodes.inline("", f"R{name}")))
    return listed or [nodes.Text("none of its own")]


def setup(app: Any) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("vectors", Vectors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
