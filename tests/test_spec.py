"""The specification agrees with the code: elements, clauses, requirements, syntax tables."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from construct import Computed, If, IfThenElse, this

import refcodec
from refcodec.clauses import implementations
from refcodec.errors import reject_classes
from refcodec.syntax import structures
from refcodec.syntax.codes import Quantiser
from refcodec.syntax.descriptors import UE, Array, Structure, U
from refcodec.syntax.tabulate import Row, element_names, expression, tabulate
from refcodec.tables import clause_titles

ROOT = Path(__file__).parents[1]
PAGES = {
    path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "spec").glob("*.rst"))
}
SOURCES = sorted((ROOT / "refcodec").rglob("*.py"))

STRUCTURES = [
    structures.STREAM_HEADER,
    structures.UNIT_HEADER,
    *structures.UNIT_STRUCTURES.values(),
    structures.FEATURE_PARAMETERS,
    structures.METADATA_ENTRY,
]

UNIT_ELEMENTS = {"unit.unit_payload", "unit.unit_crc"}
"""Elements of unit(), which is framed by hand and has no declaration."""


def headings() -> dict[str, str]:
    """Numbered headings of the specification: number and title."""
    found: dict[str, str] = {}
    for text in PAGES.values():
        lines = text.splitlines()
        for line, under in pairwise(lines):
            if not re.fullmatch(r"[=~-]+", under) or len(under) < len(line):
                continue
            match = re.fullmatch(
                r"(?:Annex ([A-Z]) \((?:informative|normative)\)|([A-Z]?[\d.]*\d)) (.+)", line
            )
            if match:
                number = match[1] or match[2]
                assert number not in found, f"clause {number} stands in the specification twice"
                found[number] = match[3]
    return found


def blocks(text: str) -> list[str]:
    """Paragraphs and list items of a page, each on one line, without informative boxes and comments."""
    kept: list[str] = []
    boxed: int | None = None
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if boxed is not None and (not line.strip() or indent > boxed):
            kept.append("")
            continue
        boxed = None
        if line.strip().startswith(".. informative::"):
            boxed = indent
            continue
        kept.append(line)
    return [
        " ".join(block.split()) for block in re.split(r"\n\s*\n", "\n".join(kept)) if block.strip()
    ]


def test_the_specification_is_there() -> None:
    assert len(PAGES) > 15


def test_every_element_has_one_semantics_paragraph_and_vice_versa() -> None:
    declared = {
        f"{structure.title}.{name}" for structure in STRUCTURES for name in element_names(structure)
    }
    arguments = re.findall(r"^ *\.\. element:: (.+)$", "\n".join(PAGES.values()), re.MULTILINE)
    described = Counter(name.strip() for line in arguments for name in line.split(","))
    assert {name: n for name, n in described.items() if n > 1} == {}
    assert set(described) == declared | UNIT_ELEMENTS


def test_every_structure_has_a_syntax_table() -> None:
    tables = re.findall(r"^\.\. syntax-table:: (\w+)$", PAGES["06-syntax"], re.MULTILINE)
    assert sorted(getattr(structures, name).title for name in tables) == sorted(
        structure.title for structure in STRUCTURES
    )


def test_syntax_and_semantics_clauses_of_structures_exist() -> None:
    for structure in STRUCTURES:
        assert structure.clause in clause_titles()
        assert structure.semantics in clause_titles()


def test_clause_list_and_headings_agree() -> None:
    assert headings() == clause_titles()


@pytest.fixture(scope="module")
def _all_modules() -> None:
    for module in pkgutil.walk_packages(refcodec.__path__, "refcodec."):
        if "__main__" not in module.name and not module.name.startswith("refcodec.demo"):
            importlib.import_module(module.name)


@pytest.mark.usefixtures("_all_modules")
def test_clauses_of_functions_exist() -> None:
    cited = implementations()
    assert len(cited) > 15
    assert set(cited) <= set(clause_titles())


def test_clauses_of_errors_exist() -> None:
    cited: dict[str, str] = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.keyword(arg="clause", value=ast.Constant(value=str(number))) if number:
                    cited[number] = path.name
    assert len(cited) > 10
    assert {number: place for number, place in cited.items() if number not in clause_titles()} == {}


def test_docstrings_cite_clauses_that_exist() -> None:
    cited: dict[str, str] = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                match = re.match(r"\(([A-Z]|[A-Z]?[\d.]*\d)\) ", ast.get_docstring(node) or "")
                if match:
                    cited[match[1]] = f"{path.name}: {node.name}"
    assert {number: place for number, place in cited.items() if number not in clause_titles()} == {}


def test_listings_exist() -> None:
    listings = re.findall(r"^\.\. listing:: (\S+) (\S+)$", "\n".join(PAGES.values()), re.MULTILINE)
    assert len(listings) >= 8
    for path, name in listings:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_references_between_clauses_resolve() -> None:
    text = "\n".join(PAGES.values())
    assert set(re.findall(r":clause:`([^`]+)`", text)) <= set(clause_titles())
    stated = set(re.findall(r":req:`([^`]+)`", text))
    assert set(re.findall(r":rref:`([^`]+)`", text)) <= stated


# --- requirements ----------------------------------------------------------------------------------


def test_requirement_ids_are_unique_and_name_their_clause() -> None:
    stated = [one for text in PAGES.values() for one in re.findall(r":req:`([^`]+)`", text)]
    assert [name for name, n in Counter(stated).items() if n > 1] == []
    for name in stated:
        assert name.rpartition("-")[0] in clause_titles(), name
        assert re.fullmatch(r"[A-Z\d.]+-[1-9]\d*", name)


def test_every_shall_has_an_id() -> None:
    for page, text in PAGES.items():
        if page == "04-conventions":
            text = text.replace("*Shall* states a requirement", "")
        for block in blocks(text):
            assert len(re.findall(r"\bshall\b", block)) == len(re.findall(r":req:", block)), (
                page,
                block,
            )


def test_informative_text_has_no_shall() -> None:
    for page, text in PAGES.items():
        if "(informative)" in text.splitlines()[0] or page == "05-overview":
            assert "shall" not in text, page
        normative = " ".join(blocks(text))
        if page != "04-conventions":
            assert text.count("shall") == normative.count("shall"), page


def test_classes_in_braces_exist() -> None:
    found = {
        name
        for text in PAGES.values()
        for name in re.findall(
            r"\{(\w+)\}", re.sub(r":math:`[^`]*`|^ +.*\\.*$", "", text, flags=re.MULTILINE)
        )
    }
    assert found == set(reject_classes())


# --- the table renderer ----------------------------------------------------------------------------


def printed(structure: Structure) -> list[str]:
    """A table as lines of text."""
    return [
        f"{'  ' * row.indent}{row.text}|{row.descriptor}|{row.values}"
        for row in tabulate(structure)
    ]


def test_table_of_the_end_unit() -> None:
    assert printed(structures.END) == [
        "end( ) {||",
        "  if( unit_size > 0 ) {||",
        "    index_offset|u(64)|",
        "    feature_count|u(64)|",
        "  }||",
        "}||",
    ]


def test_table_of_metadata() -> None:
    assert printed(structures.METADATA) == [
        "metadata( ) {||",
        "  entry_count|leb128|",
        "  for( i = 0; i < entry_count; i++ ) {||",
        "    metadata_entry( i )||",
        "  }||",
        "}||",
    ]
    assert "  key|b(8 * key_size)|" in printed(structures.METADATA_ENTRY)


def test_rows_of_the_feature_parameter_set() -> None:
    rows = printed(structures.FEATURE_PARAMETER_SET)
    assert "  fps_id|ue(v)|0..255" in rows
    assert "  channels_minus1|ue(v)|0..2^24 - 1" in rows
    assert "  height = feature_type == FC ? 1 : height_minus1 + 1||" in rows
    assert "  if( coder_id >= ZLIB && coder_id <= LZMA ) {||" in rows
    start = rows.index("  if( feature_type != FC ) {||")
    assert rows[start + 1 : start + 4] == [
        "    height_minus1|ue(v)|0..2^16 - 1",
        "    width_minus1|ue(v)|0..2^16 - 1",
        "  }||",
    ]


def test_arrays_are_loops() -> None:
    rows = printed(structures.FEATURE_PARAMETERS)
    start = rows.index("    for( i = 0; i < fps.channels; i++ ) {||")
    assert rows[start - 1 : start + 3] == [
        "  if( qp_delta_bits > 0 ) {||",
        "    for( i = 0; i < fps.channels; i++ ) {||",
        "      qp_delta[ i ]|u(qp_delta_bits)|",
        "    }||",
    ]


def test_conditions_are_parenthesised() -> None:
    assert expression((this.a + 1) * this.b) == "(a + 1) * b"
    assert expression(this.a + this.b * 2) == "a + b * 2"
    assert expression(this.a - (this.b - 1)) == "a - (b - 1)"
    assert (
        expression(((this.a == 1) | (this.b == 2)) & (this.c > 3)) == "(a == 1 || b == 2) && c > 3"
    )
    assert expression(this._params.fps.quantiser != Quantiser.NONE) == "fps.quantiser != NONE"
    assert expression(this._.a) == "a"


def test_conditions_that_follow_each_other_are_merged() -> None:
    structure = Structure(
        "s",
        "6.1",
        "a" / U(1),
        "b" / If(this.a == 1, U(2)),
        "c" / If(this.a == 1, Array(this.a, 3)),
        "d" / IfThenElse(this.a == 1, UE(7), Computed(0)),
        "e" / If(this.a == 0, Array(1, 5)),
    )
    assert printed(structure) == [
        "s( ) {||",
        "  a|u(1)|",
        "  if( a == 1 ) {||",
        "    b|u(2)|",
        "    for( i = 0; i < a; i++ ) {||",
        "      c[ i ]|u(3)|",
        "    }||",
        "    d|ue(v)|0..7",
        "  } else {||",
        "    d = 0||",
        "  }||",
        "  if( a == 0 ) {||",
        "    e|u(5)|",
        "  }||",
        "}||",
    ]


def test_rows_name_their_elements() -> None:
    named = [row.element for row in tabulate(structures.CODED_FEATURE) if row.element]
    assert named == element_names(structures.CODED_FEATURE)
    (call,) = (row for row in tabulate(structures.CODED_FEATURE) if row.structure)
    assert call == Row(1, "feature_parameters( )", "", "", "parameters", "feature_parameters")


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda one: one.title)
def test_every_element_has_a_row(structure: Structure) -> None:
    assert set(element_names(structure)) == {row.element for row in tabulate(structure)} - {""}


# --- the code examples of the site -----------------------------------------------------------------


def examples(path: Path) -> str:
    """The Python code of a page, with everything else as empty lines, so that line numbers hold."""
    kept, inside = [], False
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(".. code-block::"):
            inside = line.endswith(" python")
            kept.append("")
        else:
            inside = inside and (not line or line.startswith("   "))
            kept.append(line[3:] if inside else "")
    return "\n".join(kept)


WITH_EXAMPLES = [
    path
    for path in sorted((ROOT / "docs").rglob("*.rst"))
    if "_build" not in path.parts and examples(path).strip()
]


def test_the_site_has_examples() -> None:
    assert {path.stem for path in WITH_EXAMPLES} >= {"index", "tutorial", "choose-a-coder"}


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = examples(path)
    if "import torch" in code:
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(path), "exec"), {"__name__": "example"})
