"""Tables of the specification that come from the reference software: syntax, code points, numbers."""

# ruff: noqa: D102 (what run() does, the class says)

from __future__ import annotations

import hashlib
import importlib
import math
import re
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

import ml_dtypes
import numpy as np
from docutils import nodes
from docutils.statemachine import StringList
from markup import note, reference
from sphinx.addnodes import download_reference
from sphinx.directives.other import TocTree
from sphinx.util.docutils import SphinxDirective

from refcodec.coders.native.decisions import FAMILIES
from refcodec.coders.native_lossless.models import initial_model
from refcodec.errors import reject_classes
from refcodec.quantise import NUMPY_TYPES
from refcodec.registry import profile_coders
from refcodec.syntax import av1, codes, hevc, obu, structures, vvc
from refcodec.syntax.codes import SKIPPABLE_UNITS, UnitType
from refcodec.syntax.records import Structure
from refcodec.syntax.tabulate import Row, tabulate
from refcodec.tables import (
    hevc_constraints,
    levels,
    logistic,
    native_model,
    power_of_two,
    scale_frequencies,
    static_model,
    vvc_constraints,
)

_MODULES = {"hevc": hevc, "vvc": vvc, "obu": obu, "av1": av1}
"""Modules of syntax structures beside structures.py, by name."""

Cell = str | nodes.Node | Sequence[nodes.Node]


def paragraph(cell: Cell) -> nodes.paragraph:
    """A cell's content; text in backquotes is set as a literal."""
    if isinstance(cell, str):
        pieces = re.split(r"``(.+?)``", cell)
        return nodes.paragraph(
            "",
            "",
            *(
                nodes.literal("", piece) if i % 2 else nodes.Text(piece)
                for i, piece in enumerate(pieces)
                if piece
            ),
        )
    return nodes.paragraph("", "", *([cell] if isinstance(cell, nodes.Node) else cell))


_MARGIN = 2
_WIDEST = 60
"""Characters of a column beside its longest cell, and in all at most."""


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]], *classes: str) -> nodes.table:
    """A table node, as wide as its content needs; in plain text, a column as its longest cell."""
    cells = [[paragraph(cell) for cell in row] for row in (head, *rows)]
    longest = [max(len(cell.astext()) for cell in column) for column in zip(*cells, strict=True)]
    widths = [min(one + _MARGIN, _WIDEST) for one in longest]
    group = nodes.tgroup("", *(nodes.colspec(colwidth=one) for one in widths), cols=len(head))
    first, *others = (nodes.row("", *(nodes.entry("", cell) for cell in row)) for row in cells)
    group += nodes.thead("", first)
    group += nodes.tbody("", *others)
    return nodes.table("", group, classes=["generated", "colwidths-auto", *classes])


class Generated(SphinxDirective):
    """A directive whose page changes with the reference software."""

    def depend(self) -> None:
        """Build the page again when a module that its tables come from has changed."""
        for module in (structures, *_MODULES.values(), codes):
            self.env.note_dependency(str(module.__file__))


class SyntaxTable(Generated):
    """``.. syntax-table:: NAME``: a structure of structures.py, or of another module: ``hevc.NAME``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.depend()
        module, _, name = self.arguments[0].rpartition(".")
        structure = getattr(_MODULES.get(module, structures), name)
        rows = tabulate(structure)
        ranged = any(row.values for row in rows)
        head = ["Syntax", "Descriptor", "Range", "Semantics"]
        lines = [self._line(structure, row, linked=not module) for row in rows]
        keep = [0, 1, *([2] if ranged else []), *([3] if not module else [])]
        chosen = [[line[i] for i in keep] for line in lines]
        made = table([head[i] for i in keep], chosen, "syntax-table")
        if not module:
            made["ids"].append(f"syntax-{structure.title}")
            note(self.env, "structure", structure.title, f"syntax-{structure.title}")
        compared = compared_absent(rows, tabulate(structures.FEATURE_PARAMETER_SET))
        if not compared:
            return [made]
        text: list[nodes.Node] = [nodes.Text("Not always present: ")]
        for i, name in enumerate(compared):
            text += [nodes.Text(", " if i else ""), nodes.literal("", name)]
        text += [
            nodes.Text(". A comparison with one of them that is not present is false ("),
            reference("clause", "4.4", nodes.inline("", "4.4")),
            nodes.Text(")."),
        ]
        return [made, nodes.paragraph("", "", *text, classes=["absent"])]

    def _line(self, structure: Structure[Any], row: Row, *, linked: bool) -> list[Cell]:
        text: list[nodes.Node] = [nodes.Text(row.text)]
        clause: Cell = ""
        if linked and row.element:
            own = row.structure or row.element
            rest = row.text.removeprefix(own)
            name = nodes.inline("", own, classes=["name"] if row.descriptor else [])
            kind, target = "element", f"{structure.title}.{row.element}"
            if row.structure:
                kind, target = "structure", row.structure
            text = [reference(kind, target, name), nodes.Text(rest)]
            number = structure.semantics
            clause = reference("clause", number, nodes.inline("", number))
        line = nodes.inline("", "", *text, classes=["line", f"indent-{row.indent}"])
        descriptor = re.sub(r"2\^(\d+)", r"2^\1", row.descriptor)
        return [line, descriptor, power(row.values), clause]


def compared_absent(rows: Sequence[Row], parameter_set: Sequence[Row]) -> list[str]:
    """Elements that a table compares with a number although they can be absent."""
    known = conditional(rows) + [f"fps.{name}" for name in conditional(parameter_set)]
    compared = [row.text for row in rows if re.search(r"[=!<>]= | [<>] ", row.text)]
    return [
        name
        for name in known
        if any(re.search(rf"(?<![\w.]){re.escape(name)} [=<>!]", text) for text in compared)
    ]


def conditional(rows: Sequence[Row]) -> list[str]:
    """Elements that are coded under a condition and have no value otherwise."""
    found: list[str] = []
    opened: list[bool] = []
    for row in rows:
        if row.text.startswith("}"):
            opened.pop()
        if row.text.endswith("{"):
            opened.append(row.text.startswith(("if(", "} else")))
        elif row.element and row.descriptor and any(opened):
            found.append(row.element)
    valued = {row.element for row in rows if row.element and not row.descriptor}
    return [name for name in dict.fromkeys(found) if name not in valued]


def power(text: str) -> list[nodes.Node]:
    """Text with ``2^16`` set as a power."""
    pieces = re.split(
        r"\^(\d+)", text.replace(" - ", " \N{MINUS SIGN} ").replace("-", "\N{MINUS SIGN}")
    )
    return [
        nodes.superscript("", piece) if i % 2 else nodes.Text(piece)
        for i, piece in enumerate(pieces)
        if piece
    ]


class UnitStructures(Generated):
    """``.. unit-structures::``: the structure in the payload of each type of unit."""

    def run(self) -> list[nodes.Node]:
        self.depend()
        rows: list[list[Cell]] = []
        for kind, structure in structures.UNIT_STRUCTURES.items():
            link = reference("structure", structure.title, nodes.inline("", structure.title))
            number = structure.clause
            clause = reference("clause", number, nodes.inline("", number))
            rows.append([f"``{UnitType(kind).name}``", [link, nodes.Text("( )")], clause])
        return [table(["unit_type", "Structure", "Clause"], rows)]


class CodePoints(Generated):
    """``.. code-points:: Enum``: the values of an element; the content says ``NAME: meaning``."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        self.depend()
        kinds = getattr(codes, self.arguments[0])
        meanings = dict(line.split(": ", 1) for line in self.content if line.strip())
        if list(meanings) != [code.name for code in kinds]:
            raise self.error(f"the names are not those of {kinds.__name__}, in their order")
        rows = []
        for code in kinds:
            kept = codes.is_kept(code)
            if kept != (meanings[code.name] == "kept"):
                raise self.error(f"{code.name}: kept or not?")
            meaning = self.parse_inline(meanings[code.name])[0]
            row: list[Cell] = [str(int(code)), f"``{code.name}``", meaning]
            if kinds is UnitType:
                row.insert(2, "" if kept else str(int(code in SKIPPABLE_UNITS)))
            rows.append(row)
        head = ["Value", "Name", "Meaning"]
        if kinds is UnitType:
            head.insert(2, "skippable_flag")
        return [table(head, rows, "code-points")]


class Levels(Generated):
    """``.. levels::``: the table of levels."""

    def run(self) -> list[nodes.Node]:
        names = [name for name in type(levels()[1]).__dataclass_fields__ if name != "level_idc"]
        rows = [
            [str(number), *(f"{getattr(one, name):,}".replace(",", " ") for name in names)]
            for number, one in levels().items()
        ]
        return [table(["level_idc", *names], rows, "numbers")]


class Profiles(Generated):
    """``.. profiles::``: the coders of each profile."""

    def run(self) -> list[nodes.Node]:
        rows = [
            [str(int(profile)), f"``{profile.name}``", ", ".join(c.name for c in sorted(coders))]
            for profile, coders in profile_coders().items()
        ]
        return [table(["profile_idc", "Name", "Values of coder_id"], rows)]


class HevcProfiles(Generated):
    """``.. hevc-profiles::``: the profile flags that HEVC parameter sets may have."""

    def run(self) -> list[nodes.Node]:
        head = [
            "general_profile_idc",
            "general_profile_compatibility_flags",
            "general_constraint_flags",
        ]
        rows = []
        for entry in hevc_constraints()["profiles"]:
            profile, compatibility, constraints = entry.split(":")
            rows.append([profile, f"``0x{compatibility}``", f"``0x{constraints}``"])
        return [table(head, rows)]


_OWNERS = {"PROFILE_TIER_LEVEL": "SPS"}
"""Parameter sets that structures are part of."""


def _zeros(module: Any, owners: Sequence[str], zero: Iterable[str]) -> nodes.Node:
    """The elements that are 0, with the structures of a module that have them, of which the first counts."""
    owner_of = {
        element.name: owner
        for owner in reversed(owners)
        for element in getattr(module, owner).subcons
    }
    rows = [[_OWNERS.get(owner_of[name], owner_of[name]), f"``{name}``"] for name in zero]
    return table(["Parameter set", "Element"], rows)


class HevcZeros(Generated):
    """``.. hevc-zeros::``: the HEVC elements that are 0."""

    def run(self) -> list[nodes.Node]:
        return [_zeros(hevc, ("VPS", "SPS", "PPS"), hevc_constraints()["zero"])]


class VvcZeros(Generated):
    """``.. vvc-zeros::``: the VVC elements that are 0."""

    def run(self) -> list[nodes.Node]:
        zero = vvc_constraints()["zero"]
        return [_zeros(vvc, ("SPS", "PROFILE_TIER_LEVEL", "PPS"), zero)]


class SourceTypes(Generated):
    """``.. source-types::``: the extreme numbers of the floating-point source types."""

    def run(self) -> list[nodes.Node]:
        rows: list[list[Cell]] = []
        for code, numpy_type in NUMPY_TYPES.items():
            if code.is_integer:
                continue
            info = ml_dtypes.finfo(numpy_type)  # type: ignore[no-untyped-call]
            largest = np.array(info.max, numpy_type)
            word = largest.view(f"u{numpy_type.itemsize}")
            mantissa, top = math.frexp(float(info.max))  # 1 - 2^-n, for n bits that are set
            exact = [
                nodes.Text("(2 \N{MINUS SIGN} 2"),
                nodes.superscript("", f"\N{MINUS SIGN}{-math.frexp(1 - mantissa)[1]}"),
                nodes.Text(") · 2"),
                nodes.superscript("", str(top - 1)),
            ]
            smallest = [
                nodes.Text("2"),
                nodes.superscript("", f"\N{MINUS SIGN}{info.nmant - info.minexp}"),
            ]
            pattern = f"``{int(word):0{2 * numpy_type.itemsize}x}``"
            rows.append([f"``{code.name}``", exact, pattern, smallest])
        head = ["Source type", "Greatest finite number", "its pattern", "Least positive number"]
        return [table(head, rows)]


class RejectClasses(Generated):
    """``.. reject-classes::``: the classes of errors."""

    def run(self) -> list[nodes.Node]:
        rows = [
            [f"``{name}``", (error.__doc__ or "").strip().split("\n")[0]]
            for name, error in reject_classes().items()
        ]
        return [table(["Class", "Meaning"], rows)]


class PowerOfTwoTable(Generated):
    """``.. power-of-two-table::``: first and last rows, hash and file of the tables of 8.6.2."""

    def run(self) -> list[nodes.Node]:
        coarse, fine = power_of_two()
        rows = [[str(i), str(coarse[i]), str(fine[i])] for i in (0, 1, 2, 3)]
        rows.append(["…", "…", "…"])
        rows.extend([str(i), str(coarse[i]), str(fine[i])] for i in (4094, 4095))
        digest = digest_of(coarse, fine)
        link = table_file("power_of_two.txt", self.env.docname)
        made = table(["i", "coarse", "fine"], rows, "numbers")
        note = nodes.paragraph(
            "",
            "",
            nodes.Text("The whole table is in the file "),
            link,
            nodes.Text(
                ", a row for each i, and follows from the equations. The SHA-256 of the entries of "
                "coarse followed by those of fine, as 64-bit integers, least significant byte first, is "
            ),
            nodes.literal("", digest),
            nodes.Text("."),
        )
        return [made, note]


def digest_of(*arrays: Any) -> str:
    """SHA-256 of the entries of arrays, as 64-bit integers, least significant byte first."""
    return hashlib.sha256(np.concatenate(arrays).astype("<i8").tobytes()).hexdigest()


def table_file(name: str, docname: str) -> nodes.Node:
    """A link to a file of refcodec/tables."""
    link = download_reference(
        "", "", nodes.literal("", name), reftarget=f"/../refcodec/tables/{name}"
    )
    link["refdoc"] = docname
    return link


def scale_tables() -> Sequence[Any]:
    """The frequencies of all tables by scale, one table after the other: of -R to R, then of the escape."""
    return [np.concatenate(scale_frequencies())]


def static_tables() -> Sequence[Any]:
    """The frequencies of all tables of the static model, one after the other; the tables of all contexts."""
    groups = static_model().values()
    frequencies = [row for members, _ in groups for row in members]
    return [np.concatenate(frequencies), np.concatenate([start for _, start in groups])]


class DataTables(Generated):
    """``.. data-tables:: FILE``: the tables in a file, their number of entries, ends and hashes."""

    required_arguments = 1
    loaders: ClassVar[dict[str, tuple[Callable[[], Sequence[Any]], Sequence[str]]]] = {
        "logistic.txt": (logistic, ("stretch", "squash", "reciprocal")),
        "native_model.txt": (native_model, ("states", "weights")),
        "static_model.txt": (static_tables, ("frequencies", "first tables")),
        "floats.txt": (initial_model, ("states", "weights")),
        "scales.txt": (scale_tables, ("frequencies",)),
    }

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        self.env.note_dependency(str(files("refcodec.tables") / name))
        loader, names = self.loaders[name]
        rows = []
        for label, array in zip(names, loader(), strict=True):
            first, last = (", ".join(map(str, part)) for part in (array[:3], array[-3:]))
            ends = f"{first}, …, {last}".replace("-", "\N{MINUS SIGN}")
            rows.append([f"``{label}``", str(len(array)), ends, f"``{digest_of(array)}``"])
        note = nodes.paragraph(
            "",
            "",
            nodes.Text("They are in the file "),
            table_file(name, self.env.docname),
            nodes.Text(
                f", which is a part of this document and published with it; in the reference software, it is "
                f"refcodec/tables/{name}. The hashes are SHA-256 of the entries as 64-bit integers, least "
                "significant byte first."
            ),
        )
        return [table(["Table", "Entries", "First and last", "Hash"], rows, "data-tables"), note]


class Constants(Generated):
    """``.. constants:: MODULE``: values of a module's constants; the content says ``NAME: meaning``."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        module = importlib.import_module(f"refcodec.{self.arguments[0]}")
        self.env.note_dependency(str(module.__file__))
        rows: list[list[Cell]] = []
        for line in self.content:
            if line.strip():
                name, meaning = line.split(": ", 1)
                value = str(getattr(module, name)).replace("-", "\N{MINUS SIGN}")
                rows.append([f"``{name}``", value, self.parse_inline(meaning)[0]])
        return [table(["Name", "Value", "Meaning"], rows, "constants")]


class Families(Generated):
    """``.. families::``: positions of the states and weights of the native coder's decisions."""

    def run(self) -> list[nodes.Node]:
        rows = [[f"``{name.upper()}``", *map(str, one)] for name, one in FAMILIES.items()]
        head = ["Family", "first_state", "flags", "contexts", "first_set", "sets"]
        return [table(head, rows, "numbers")]


class Results(TocTree):
    """``.. results::``: the pages with measured results, as far as there are some."""

    def run(self) -> list[nodes.Node]:
        pages = sorted(Path(self.env.srcdir, "results").glob("*.rst"))
        if not pages:
            return []
        self.options.update(hidden=None, caption="Results")
        self.content = StringList([f"results/{page.stem}" for page in pages], "results")
        return super().run()


DIRECTIVES = {
    "results": Results,
    "syntax-table": SyntaxTable,
    "unit-structures": UnitStructures,
    "code-points": CodePoints,
    "levels": Levels,
    "profiles": Profiles,
    "hevc-profiles": HevcProfiles,
    "hevc-zeros": HevcZeros,
    "vvc-zeros": VvcZeros,
    "source-types": SourceTypes,
    "reject-classes": RejectClasses,
    "power-of-two-table": PowerOfTwoTable,
    "data-tables": DataTables,
    "constants": Constants,
    "families": Families,
}


def setup(app: Any) -> dict[str, bool]:
    """Register the directives."""
    for name, directive in DIRECTIVES.items():
        app.add_directive(name, directive)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
