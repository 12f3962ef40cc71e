"""Mutations of syntax trees: one small change each, of an operator, a constant, a bound or a statement.

Messages and positions of errors are left alone: a decoder's verdict is a class, and features.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}

BOUNDS = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum"}
IDENTITIES = {"abs", "rint", "clip", "min", "max", "minimum", "maximum", "bool"}
"""Functions that may be left out: their first argument, or each of two, stands for them."""

_MESSAGES = {"bit_offset", "clause", "hint", "trace", "what", "offset"}
"""Keyword arguments that only shape a message."""

_SILENT = ("memory_for", "wrong", "refusal", "position_of", "note", "cast")
"""Calls whose arguments change no verdict."""


_VALUES = {
    "code_bit": 3,
    "code_bits": 2,
    "code_golomb": 2,
    "code_signed_golomb": 2,
    "code_decision": 6,
    "code_magnitude": 5,
    "code_last": 4,
    "code_split": 7,
    "code_temporal": 9,
    "code_adaptive": 4,
    "code_number": 5,
    "code_difference": 4,
    "carry_raw": 3,
}
"""The argument of functions of both directions that an encoder codes, and a decoder does not look at."""


@dataclass
class Site:
    """A place in a syntax tree that can hold another node.

    owner, name, index : the field of a node, and the place in it if it is a list.
    """

    owner: ast.AST
    name: str
    index: int | None
    node: ast.AST

    def put(self, node: ast.AST) -> None:
        """Replace the node."""
        if self.index is None:
            setattr(self.owner, self.name, node)
        else:
            getattr(self.owner, self.name)[self.index] = node


def sites(root: ast.AST) -> Iterator[Site]:
    """All places below a node that mutations may change, in the order of the source."""
    for name, value in ast.iter_fields(root):
        if name in ("annotation", "returns", "decorator_list", "defaults", "kw_defaults"):
            continue
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(node, ast.AST) or _is_left_alone(node):
                continue
            yield Site(root, name, index, node)
            yield from sites(node)


def _is_left_alone(node: ast.AST) -> bool:
    """True for what has no influence on a verdict: docstrings, messages, positions of errors."""
    if isinstance(node, (ast.JoinedStr, ast.Assert)):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) or _called(node.value) in _SILENT
    if isinstance(node, ast.keyword):
        return node.arg in _MESSAGES
    if isinstance(node, ast.Assign):
        target = node.targets[0]
        return isinstance(target, ast.Attribute) and target.attr in ("bit_offset", "clause")
    return False


def _called(node: ast.AST) -> str:
    """Name of the function that a node calls; '' for another node."""
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "id", getattr(node.func, "attr", ""))


def is_error(node: ast.AST) -> bool:
    """True for a call that makes an error."""
    return _called(node).endswith(("Error", "Violation", *_SILENT))


def mutations(root: ast.AST) -> Iterator[tuple[Site, str, Callable[[], ast.AST]]]:
    """Every mutation below a node: its place, its description, and a function that makes the new node."""
    silent: list[ast.AST] = []
    for site in sites(root):
        if any(site.owner is one or site.node is one for one in silent) or site.owner in silent:
            silent.append(site.node)
            continue
        if (place := _VALUES.get(_called(site.node))) is not None:
            arguments = getattr(site.node, "args", [])
            silent += [one for node in arguments[place : place + 1] for one in ast.walk(node)]
        if is_error(site.node):
            silent += [one for one in ast.walk(site.node) if one is not site.node]
            yield from _errors(site)
            continue
        for change in (_statements, _expressions):
            yield from change(site)


Found = Iterator[tuple[Site, str, Callable[[], ast.AST]]]


def _errors(site: Site) -> Found:
    """Another class of error."""
    called = _called(site.node)
    if not called.endswith(("Error", "Violation")):
        return
    other = "HashError" if called != "HashError" else "OrderError"

    def change() -> ast.AST:
        new = copy.copy(site.node)
        assert isinstance(new, ast.Call)
        source = f"__import__('refcodec.errors', fromlist=['{other}']).{other}"
        new.func = ast.parse(source, mode="eval").body
        return new

    yield site, f"raise {other}", change


def _statements(site: Site) -> Found:
    """Statements left out, and conditions negated."""
    node = site.node
    if isinstance(node, ast.stmt) and not isinstance(node, (ast.Pass, ast.FunctionDef)):
        simple = not isinstance(node, (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match))
        if simple and not isinstance(node, (ast.AnnAssign, ast.Import, ast.ImportFrom)):
            yield site, "left out", ast.Pass
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        inner = Site(node, "test", None, node.test)
        negated = node.test
        yield inner, "negated", lambda: ast.UnaryOp(ast.Not(), negated)


def _expressions(site: Site) -> Found:
    """Other operators, comparisons, constants and bounds."""
    node: Any = site.node
    if isinstance(node, (ast.BinOp, ast.AugAssign)):
        yield from _with(site, "op", ARITHMETIC.get(type(node.op)))
    elif isinstance(node, ast.Compare):
        for n, one in enumerate(node.ops):
            for other in COMPARISONS[type(one)]:
                yield from _with(site, "ops", other, n)
    elif isinstance(node, ast.BoolOp):
        yield from _with(site, "op", ast.Or if isinstance(node.op, ast.And) else ast.And)
        for n in range(len(node.values)):
            rest = node.values[:n] + node.values[n + 1 :]
            yield site, f"without operand {n + 1}", partial(_joined, node.op, rest)
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):
        yield site, "without sign or not", partial(_same, node.operand)
    elif isinstance(node, ast.Constant):
        for value in _others(node.value):
            yield site, repr(value), partial(ast.Constant, value)
    elif isinstance(node, ast.Call):
        yield from _calls(site)


def _joined(op: ast.boolop, values: list[ast.expr]) -> ast.AST:
    return ast.BoolOp(op, values) if len(values) > 1 else values[0]


def _same(node: ast.AST) -> ast.AST:
    return node


def _calls(site: Site) -> Found:
    node: Any = site.node
    name = _called(node)
    if name in BOUNDS and len(node.args) == 2:
        key = "id" if isinstance(node.func, ast.Name) else "attr"

        def swapped() -> ast.AST:
            new: ast.Call = copy.deepcopy(node)
            setattr(new.func, key, BOUNDS[name])
            return new

        yield site, BOUNDS[name], swapped
    if name in IDENTITIES and node.args:
        for n, one in enumerate(node.args[: 2 if len(node.args) == 2 else 1]):
            yield site, f"argument {n + 1} alone", partial(_same, one)


def _with(site: Site, field: str, other: type[ast.AST] | None, index: int | None = None) -> Found:
    """The node with another operator."""
    if other is None:
        return

    def change() -> ast.AST:
        new = copy.copy(site.node)
        if index is None:
            setattr(new, field, other())
        else:
            ops = list(getattr(new, field))
            ops[index] = other()
            setattr(new, field, ops)
        return new

    yield site, other.__name__, change


def _others(value: object) -> list[Any]:
    """Other values of a constant."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value * 2]
    if isinstance(value, bytes) and value:
        return [value[:-1] + bytes([value[-1] ^ 1])]
    return []
