"""Docstrings: every name in them exists, and their first lines say what a thing is or does."""

from __future__ import annotations

import ast
import builtins
import importlib
import keyword
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "refcodec").rglob("*.py"))

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

NOT_OURS = {
    "denselayer1.norm1": "a parameter of a network",
    "denselayer1.norm.1": "a parameter of a network",
    "Axes.plot": "a function of matplotlib",
    "module.named_modules": "a function of torch's modules",
    "upsample": "a layer of a network",
    "layer9": "an example of a name that ends in a number",
    "layer10": "an example of a name that ends in a number",
    "feature00000": "a name that is made by counting",
    "poolN": "a pattern: pool1, pool2 and so on",
    "fcN": "a pattern: fc6, fc7 and so on",
    "NAME_low": "a pattern: the lower end of an interval",
    "NAME_high": "a pattern: the upper end of an interval",
    "byte_alignment": "a structure of H.265",
    "attention_mask": "an argument of networks of transformers",
    "f32": "a type of another notation",
    "layer0.k": "a sequence of keys",
    "layer0.v": "a sequence of values",
    "past_key_values": "an argument of networks of transformers",
    "u7": "a type of another notation",
}
"""Names in docstrings that are no names of the project, and what they are."""

QUESTIONS = ("What", "Whether", "Where", "How")
"""First words that ask instead of saying."""


# --- what the project declares ---------------------------------------------------------------------


@dataclass
class Declared:
    """Names that the sources declare.

    functions : functions and methods; ``classes`` likewise.
    members   : by class name, what stands in its body, what its methods set, and its bases.
    tops      : by module, the names at its top level.
    others    : arguments, fields, constants, and texts that are one word: options, elements, keys.
    """

    functions: set[str] = field(default_factory=set)
    classes: set[str] = field(default_factory=set)
    members: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    bases: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    tops: dict[str, set[str]] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)

    @cached_property
    def words(self) -> set[str]:
        """Everything that a name without a point may mean."""
        modules = {part for module in self.tops for part in module.split(".")}
        return self.functions | self.classes | self.others | modules

    def members_of(self, name: str) -> set[str]:
        """The members of a class, those of its bases among them."""
        inherited = [self.members_of(base) for base in self.bases[name] - {name}]
        return self.members[name].union(*inherited)

    def modules(self, name: str) -> list[str]:
        """The modules of which this is the name, or the end of their names."""
        return [one for one in self.tops if f".{one}".endswith(f".{name}")]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def arguments_of(node: Any) -> list[ast.arg]:
    found = node.args
    more = [one for one in (found.vararg, found.kwarg) if one]
    return [*found.posonlyargs, *found.args, *found.kwonlyargs, *more]


def names_set_by(node: ast.AST) -> set[str]:
    """The names that a statement binds, and the attributes that it sets of ``self``."""
    return {
        one.id if isinstance(one, ast.Name) else one.attr
        for one in ast.walk(node)
        if isinstance(one, (ast.Name, ast.Attribute)) and isinstance(one.ctx, ast.Store)
    }


def direct(body: list[ast.stmt]) -> set[str]:
    """The names in the body of a module or class, those of its imports among them."""
    found: set[str] = set()
    for one in body:
        match one:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.add(one.name)
            case ast.Import() | ast.ImportFrom():
                found |= {alias.asname or alias.name for alias in one.names}
            case ast.If() | ast.Try():
                found |= direct([*one.body, *one.orelse])
            case _:
                found |= names_set_by(one)
    return found


@cache
def declared() -> Declared:
    found = Declared()
    for path in SOURCES:
        tree = tree_of(path)
        found.tops[module_of(path)] = direct(tree.body)
        found.others |= direct(tree.body)
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    found.functions.add(node.name)
                    found.others |= {one.arg for one in arguments_of(node)}
                case ast.ClassDef():
                    found.classes.add(node.name)
                    own = direct(node.body)
                    for one in node.body:
                        own |= names_set_by(one) if isinstance(one, FUNCTIONS) else set()
                    found.members[node.name] |= own
                    found.bases[node.name] |= {
                        ast.unparse(base).rpartition(".")[2] for base in node.bases
                    }
                    found.others |= own
                case ast.Constant(value=str(text)) if id(node) not in prose:
                    found.others.add(text)
    return found


# --- what docstrings name --------------------------------------------------------------------------


@dataclass(frozen=True)
class Mention:
    """A name in a docstring: where it stands, its role if it has one, and the names local to it."""

    path: Path
    line: int
    role: str
    text: str
    local: frozenset[str]

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.text}"


NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\(\))?")
FILE = re.compile(r"(?:[\w.-]+/)*[\w.-]+\.(?:py|toml|txt|json|md|rst|npz)")
QUOTED = re.compile(r":(\w+):`~?([^`]+)`|``([^`]+)``|(?<![`:\w])`~?([^`\n]+)`(?!`)")


def prose(
    node: Any, local: frozenset[str] = frozenset()
) -> Iterator[tuple[int, str, frozenset[str]]]:
    """Every text that stands by itself, with its line and the names local to the functions around."""
    if isinstance(node, FUNCTIONS):
        local |= names_set_by(node) | {one.arg for one in arguments_of(node)}
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield child.lineno, text, local
            case _:
                yield from prose(child, local)


def mentions() -> Iterator[Mention]:
    for path in SOURCES:
        for start, text, local in prose(tree_of(path)):
            for match in QUOTED.finditer(text):
                role, one, literal, plain = match.groups()
                line = start + text.count("\n", 0, match.start())
                yield Mention(path, line, role or "", one or literal or plain, local)


def exists(mention: Mention) -> bool:
    """True for a name of the project, of Python, or of a library that the project imports."""
    text, known = mention.text.removesuffix("()"), declared()
    *before, last = text.split(".")
    match mention.role:
        case "func" | "meth" if last not in known.functions and last not in known.classes:
            return False
        case "class" if last not in known.classes:
            return False
        case "mod":
            return bool(known.modules(text))
    if not before:
        plain = hasattr(builtins, text) or keyword.iskeyword(text)
        return plain or text in known.words or text in mention.local
    owner = ".".join(before)
    if resolves(text):
        return True
    if modules := known.modules(owner):
        return any(last in known.tops[one] for one in modules) or bool(known.modules(text))
    if before[-1] in known.classes:
        return last in known.members_of(before[-1])
    if all(one in known.others or one in mention.local for one in before):
        return last in known.words  # of an object, whose class is not known here
    return False


@cache
def imported() -> set[str]:
    """The names of all packages that the project imports."""
    nodes = [node for path in SOURCES for node in ast.walk(tree_of(path))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.partition(".")[0] for name in names}


def resolves(text: str) -> bool:
    """True for a name with points of a library that the project imports, if it is installed."""
    root, *parts = text.split(".")
    if root not in imported():
        return False
    try:
        value: Any = importlib.import_module(root)
    except (ImportError, RuntimeError):  # absent, or built for another torch: it cannot be asked
        return root != "refcodec"
    for count, part in enumerate(parts, 1):
        with suppress(ImportError):
            importlib.import_module(".".join([root, *parts[:count]]))
        value = getattr(value, part, None)
    return value is not None


def test_there_are_names_in_docstrings() -> None:
    found = [one.text for one in mentions() if NAME.fullmatch(one.text)]
    assert len(found) > 200
    assert len(declared().functions) > 500


@pytest.mark.parametrize(
    ("text", "role", "right"),
    [
        ("encode", "func", True),
        ("EncoderConfig", "func", True),
        ("no_such_function", "func", False),
        ("qp", "func", False),  # an argument
        ("EncoderConfig.qp", "", True),
        ("EncoderConfig.quality", "", False),
        ("refcodec.metrics.fidelity", "", True),
        ("metrics.fidelity", "", True),
        ("metrics.beauty", "", False),
        ("refcodec.metrics", "mod", True),
        ("refcodec.measures", "mod", False),
        ("coder_id", "", True),  # a syntax element
        ("native-lossless", "", True),
        ("round()", "", True),
        ("os.path.join", "", True),
        ("os.path.joyn", "", False),
    ],
)
def test_names_are_told_apart(text: str, role: str, right: bool) -> None:
    assert exists(Mention(ROOT, 1, role, text, frozenset())) is right


def names() -> list[Mention]:
    """Names in docstrings that should be names of the project: no files, which are looked for below."""
    found = [one for one in mentions() if NAME.fullmatch(one.text) and not FILE.fullmatch(one.text)]
    return [one for one in found if one.text.removesuffix("()") not in NOT_OURS]


def test_every_name_in_a_docstring_exists() -> None:
    lost = [str(one) for one in names() if not exists(one)]
    assert not lost, "\n".join(lost)


def test_the_list_of_other_names_is_needed() -> None:
    named = {one.text.removesuffix("()") for one in mentions() if not exists(one)}
    assert set(NOT_OURS) <= named, "what is not named any more needs no entry"


def test_every_file_in_a_docstring_exists() -> None:
    named = [one for one in mentions() if FILE.fullmatch(one.text)]
    assert named
    for one in named:
        folders = [ROOT, ROOT / "refcodec"]
        folders += [] if "/" in one.text else [ROOT / "bitstreams", ROOT / "refcodec" / "suite"]
        assert any((folder / one.text).exists() for folder in folders), str(one)


# --- first lines -----------------------------------------------------------------------------------


def documented(tree: Documented) -> Iterator[Documented]:
    """A module, and the public classes and functions in it."""
    yield tree
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, *FUNCTIONS)) and not node.name.startswith("_"):
            yield from documented(node) if isinstance(node, ast.ClassDef) else [node]


def asking(path: Path) -> list[str]:
    """The public docstrings of a module whose first line asks; a clause in brackets may come before."""
    pattern = re.compile(rf"(?:\([A-Z\d.]+\) )?(?:{'|'.join(QUESTIONS)})\b")
    return [
        f"{path.relative_to(ROOT)}: {getattr(node, 'name', 'the module')}: {text.splitlines()[0]}"
        for node in documented(tree_of(path))
        if pattern.match(text := ast.get_docstring(node) or "")
    ]


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_first_lines_say_and_do_not_ask(path: Path) -> None:
    found = asking(path)
    assert not found, "\n".join(found)
