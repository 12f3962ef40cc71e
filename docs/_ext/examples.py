"""Worked examples: streams of the conformance suite, byte by byte, as the inspector reads them."""

# ruff: noqa: D102 (what run() does, the class says)

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from docutils import nodes
from generated import Cell, table
from markup import reference
from sphinx.util.docutils import SphinxDirective

import refcodec
from refcodec.dump import bits_of, hex_rows
from refcodec.inspector import InspectedUnit, inspect
from refcodec.inspector import shown as value_of
from refcodec.syntax import structures
from refcodec.syntax.bits import Element
from refcodec.syntax.tabulate import element_names

SUITE = Path(__file__).resolve().parents[2] / "bitstreams"

_STRUCTURES = [
    *structures.UNIT_STRUCTURES.values(),
    structures.STREAM_HEADER,
    structures.UNIT_HEADER,
]
_STRUCTURES += [structures.FEATURE_PARAMETERS, structures.METADATA_ENTRY]

_ELEMENTS = {one.title: set(element_names(one)) for one in _STRUCTURES}
"""Names of the elements of each structure that has semantics paragraphs."""


class WorkedExample(SphinxDirective):
    """``.. worked-example:: name``: a valid stream of the suite; the content introduces it."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        path = SUITE / "valid" / name / "stream.dfc"
        self.env.note_dependency(str(path))
        data = path.read_bytes()
        made = [*self.parse_content_to_nodes(), *self._dump(data)]
        for unit in inspect(data):
            if unit.problem:
                raise self.error(f"{name}: {unit.problem}")
            made.extend(self._unit(unit, data))
        made.extend(self._reconstruction(path))
        return made

    def _dump(self, data: bytes) -> list[nodes.Node]:
        lines = [f"{i:04x}  {row.hex(' ')}" for i, row in hex_rows(data, 0, len(data) - 1)]
        text = "\n".join(lines)
        return [nodes.literal_block(text, text, language="none", classes=["dump"])]

    def _unit(self, unit: InspectedUnit, data: bytes) -> list[nodes.Node]:
        place = f"{unit.name}( ), byte {unit.offset // 8}, {unit.size} bytes"
        rows = [self._row(element, unit, data) for element in unit.elements]
        head = ["Bit", "Bits", "Element", "Coded as", "Value"]
        return [nodes.rubric("", place), table(head, rows, "worked")]

    def _row(self, element: Element, unit: InspectedUnit, data: bytes) -> list[Cell]:
        bits = f"``{bits_of(data, element)}``" if element.width else "none"
        *_, parent, name = ["", *element.path.split(".")]
        structure = {"parameters": "feature_parameters", "entries": "metadata_entry"}.get(
            parent, parent
        )
        if structure == "unit" and name in _ELEMENTS["unit_header"]:
            structure = "unit_header"
        label = nodes.literal("", name)
        known = name in _ELEMENTS.get(structure, ()) or structure == "unit"
        shown: Cell = reference("element", f"{structure}.{name}", label) if known else label
        value = value_of(element, 24)
        return [str(element.offset), bits, shown, element.descriptor, value]

    def _reconstruction(self, path: Path) -> list[nodes.Node]:
        with refcodec.open(path) as reader:
            feature = np.asarray(next(iter(reader)))
        flat = feature.reshape(-1)
        shown = ", ".join(f"{float(value)!r}" for value in flat[:12])
        more = f", … ({flat.size} values)" if flat.size > 12 else ""
        manifest = json.loads((SUITE / "manifest.json").read_text())
        (vector,) = (
            one
            for one in manifest["vectors"]
            if one["file"].endswith(f"/{path.parent.name}/stream.dfc")
        )
        found = vector["features"][0]
        shape = " \N{MULTIPLICATION SIGN} ".join(map(str, feature.shape))
        rows: list[list[Cell]] = [
            ["Reconstruction", f"{feature.dtype}, {shape}: {shown}{more}"],
            ["SHA-256 of the samples", f"``{found['samples']}``"],
            ["SHA-256 of the reconstruction", f"``{found['reconstruction']}``"],
        ]
        return [nodes.rubric("", "First feature"), table(["What", "Result"], rows, "result")]


def setup(app: Any) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("worked-example", WorkedExample)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
