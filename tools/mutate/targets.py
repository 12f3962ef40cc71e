"""Targets of mutation: the normative functions, the syntax declarations, the constants that they use.

A function is normative if it names its clause, by ``@clause`` or at the start of its docstring, or if a
normative function refers to it and it lies in a module of such functions. What follows the comment
``informative`` in a module is an encoder's, and stays as it is.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = (
    *("coders/av1", "coders/hevc", "coders/vvc", "coders/video"),
    *("coders/learned", "coders/native", "coders/native_lossless"),
    *("entropy", "stream", "syntax"),
    ".",
)
"""Folders of refcodec whose modules are looked through, those below them left out."""

MODULES = {"coders/lossless.py", "coders/native/coder.py", "probability/coding.py"}
"""Modules of other folders."""

WITHOUT_CLAUSES = {
    "syntax/bits.py": ("4.4", r"BitReader\.(position|remaining|aligned|need|value|array|take)"),
    "syntax/descriptors.py": ("4.4", r"\w+\.read"),
    "syntax/records.py": ("4.4", r"Structure\.(_interpret_whole|_parse)"),
    "syntax/codes.py": ("7.1", r"is_kept|SourceType\.is_integer"),
    "stream/order.py": ("9.1", r"Order\.(accept|_continue_sequence)"),
    "coders/native/coder.py": ("8.3.7", r"_Native\.decode|_converted"),
}
"""Functions that name no clause and belong to one: the clause, and their names, by module."""

LEFT_OUT = {
    "kernel.py": "keeps compiled code",
    "clauses.py": "is a registry",
    "syntax/tabulate.py": "prints tables",
    "stream/directory.py": "finds single features by the index",
    "stream/salvage.py": "reads damaged streams",
    "stream/arriving.py": "reads streams that arrive",
    "stream/windows.py": "divides the work",
}
"""Modules that are no part of decoding a whole stream, and why."""


@dataclass(frozen=True)
class Target:
    """A function, a class of declarations, or an assignment of constants.

    name   : of the function, with its class; of the class; of the constant.
    clause : that it implements.
    node   : its syntax tree, part of that of its module.
    """

    module: Module
    name: str
    clause: str
    node: ast.AST

    @property
    def is_function(self) -> bool:
        """True for a function, of which it is known which vectors reach it."""
        return isinstance(self.node, ast.FunctionDef)

    @property
    def is_constant(self) -> bool:
        """True for an assignment."""
        return isinstance(self.node, (ast.Assign, ast.AnnAssign))


class Module:
    """A module of refcodec: its source, its syntax tree, and its functions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.relative_to(ROOT / "refcodec").as_posix()
        self.name = ".".join(
            ("refcodec", *path.relative_to(ROOT / "refcodec").with_suffix("").parts)
        )
        self.name = self.name.removesuffix(".__init__")
        self.text = path.read_text(encoding="utf-8")
        self.lines = self.text.split("\n")
        self.tree = ast.parse(self.text)
        marks = [n for n, line in enumerate(self.lines, 1) if line.startswith("# --- informative")]
        self.end = marks[0] if marks else len(self.lines) + 1

    @cached_property
    def functions(self) -> dict[str, ast.FunctionDef]:
        """Functions by name, methods as ``Class.method``; without those of an encoder."""
        return {
            name: node for name, node in _functions(self.tree.body, "") if node.lineno < self.end
        }

    @cached_property
    def clauses(self) -> dict[str, str]:
        """The clauses that functions name."""
        return {
            name: number for name, node in self.functions.items() if (number := _clause_of(node))
        }


def _functions(body: list[ast.stmt], owner: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield owner + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{node.name}.")


def _clause_of(node: ast.FunctionDef) -> str:
    """The clause that a function names; '' for none."""
    for one in node.decorator_list:
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == "clause":
            assert isinstance(one.args[0], ast.Constant)
            return str(one.args[0].value)
    found = re.match(r"\(([\dA-Z][\d.]*)", ast.get_docstring(node) or "")
    return found[1] if found else ""


def modules() -> dict[str, Module]:
    """The modules that are looked through, by file."""
    folder = ROOT / "refcodec"
    paths = [path for package in PACKAGES for path in sorted((folder / package).glob("*.py"))]
    paths += [folder / file for file in sorted(MODULES) if folder / file not in paths]
    found = [Module(path) for path in paths]
    return {one.file: one for one in found if one.file not in LEFT_OUT and _is_normative(one)}


def _is_normative(module: Module) -> bool:
    return bool(module.clauses) or module.file in WITHOUT_CLAUSES or _records(module) != []


def targets(chosen: dict[str, Module]) -> list[Target]:
    """All targets of the modules, in their order."""
    clauses = _with_helpers(chosen)
    found = []
    for module in chosen.values():
        found += [
            Target(module, name, clauses[module.file, name], node)
            for name, node in module.functions.items()
            if (module.file, name) in clauses
        ]
        found += _records(module)
        found += _code_points(module)
        found += _constants(module, clauses)
    return found


def _with_helpers(chosen: dict[str, Module]) -> dict[tuple[str, str], str]:
    """The clause of each normative function, and of each that one refers to, by file and name."""
    clauses = {(file, name): one for file, m in chosen.items() for name, one in m.clauses.items()}
    for file, (number, names) in WITHOUT_CLAUSES.items():
        given = [name for name in chosen[file].functions if re.fullmatch(names, name)]
        clauses |= {(file, name): number for name in given}
    waiting = list(clauses)
    while waiting:
        file, name = waiting.pop(0)
        imported = _imported(chosen[file], chosen)
        for node in ast.walk(chosen[file].functions[name]):
            for place in _referred(node, name, file, imported):
                known = place[0] in chosen and place[1] in chosen[place[0]].functions
                if known and place not in clauses:
                    clauses[place] = _own_clause(chosen[place[0]], clauses[file, name])
                    waiting.append(place)
    return clauses


def _referred(
    node: ast.AST, name: str, file: str, imported: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """The functions, by file and name, that a node in function ``name`` may refer to."""
    if isinstance(node, ast.Name):
        yield imported.get(node.id, file), node.id
    elif isinstance(node, ast.Attribute):
        yield file, f"{name.partition('.')[0]}.{node.attr}"


def _own_clause(module: Module, caller: str) -> str:
    """The clause of a helper: that of its caller, unless its module implements other clauses alone."""
    own = list(module.clauses.values())
    return caller if caller in own or not own else own[0]


def _imported(module: Module, chosen: dict[str, Module]) -> dict[str, str]:
    """The files from which a module imports names."""
    files = {one.name: file for file, one in chosen.items()}
    return {
        alias.name: files[node.module]
        for node in module.tree.body
        if isinstance(node, ast.ImportFrom) and node.module in files
        for alias in node.names
    }


def files_with_constants_of(module: Module, chosen: dict[str, Module]) -> set[str]:
    """The files of a module, of those that import constants from it, and so on."""
    found, waiting = {module.file}, [module.file]
    while waiting:
        source = waiting.pop()
        for one in chosen.values():
            names = {name for name, file in _imported(one, chosen).items() if file == source}
            if one.file not in found and any(name.lstrip("_").isupper() for name in names):
                found.add(one.file)
                waiting.append(one.file)
    return found


def _records(module: Module) -> list[Target]:
    """Declarations of syntax structures, with the clauses of their structures."""
    numbers = {
        node.args[0].id: str(node.args[1].value)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Structure"
        and isinstance(node.args[0], ast.Name)
        and isinstance(node.args[1], ast.Constant)
    }
    return [
        Target(module, node.name, numbers[node.name], node)
        for node in module.tree.body
        if isinstance(node, ast.ClassDef) and node.name in numbers
    ]


def _code_points(module: Module) -> list[Target]:
    """Enumerations of code points."""
    return [
        Target(module, node.name, "7.1", node)
        for node in module.tree.body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id == "IntEnum" for base in node.bases)
    ]


def _constants(module: Module, clauses: dict[tuple[str, str], str]) -> list[Target]:
    """Constants of a module, with the clause of the first function of it that uses them."""
    found = []
    for node in module.tree.body:
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.lineno > module.end:
            continue
        names = [one.id for one in ast.walk(node) if isinstance(one, ast.Name) and _stored(one)]
        if not names or names[0].startswith("__") or not names[0].lstrip("_").isupper():
            continue
        users = [
            clauses[module.file, name]
            for name, function in module.functions.items()
            if (module.file, name) in clauses
            and any(isinstance(one, ast.Name) and one.id in names for one in ast.walk(function))
        ]
        first = next(iter(module.clauses.values()), WITHOUT_CLAUSES.get(module.file, ("6",))[0])
        found.append(Target(module, names[0], (users or [first])[0], node))
    return found


def _stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)
