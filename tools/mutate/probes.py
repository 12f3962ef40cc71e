"""Probes in the source: which straight pieces of code, and which outcomes of conditions, a vector reaches.

A *piece* is a run of statements without a jump in between: the start of a block, or what follows a compound
statement. A condition is the test of an ``if``, a ``while``, a conditional expression or a comprehension.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

from targets import Module, Target

_COMPOUND = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match)
_FIELDS = ("body", "orelse", "finalbody", "handlers", "cases")


@dataclass(frozen=True)
class Condition:
    """A test in a target, and its place.

    text : the test, or the line of the statement that begins a piece.
    """

    target: Target
    line: int
    text: str


class Map:
    """Numbers of all pieces and conditions of functions, and copies of their modules with probes."""

    def __init__(self, chosen: dict[str, Module], targets: list[Target]) -> None:
        self.modules = chosen
        self.conditions: list[Condition] = []
        self.pieces: dict[ast.AST, int] = {}  # a statement -> the piece that it lies in
        self.starts: list[Condition] = []  # of pieces
        self.codes: dict[str, ast.Module] = {}
        for module in chosen.values():
            twin = copy.deepcopy(module.tree)
            twins = dict(zip(ast.walk(module.tree), ast.walk(twin), strict=True))
            for target in targets:
                if target.module is module and isinstance(target.node, ast.FunctionDef):
                    self._blocks(target, target.node, twins)
            self.codes[module.name] = ast.fix_missing_locations(twin)

    def piece_of(self, target: Target, node: ast.AST) -> int | None:
        """The piece that a node of a function lies in; None for a declaration."""
        if not target.is_function:
            return None
        found = None
        for statement in ast.walk(target.node):
            if statement in self.pieces and any(one is node for one in ast.walk(statement)):
                found = self.pieces[statement]  # the innermost one comes last
        return found

    def _blocks(self, target: Target, node: ast.AST, twins: dict[ast.AST, ast.AST]) -> None:
        """Number the pieces and conditions below a node."""
        self._tests(target, node, twins)
        for name in _FIELDS:
            block = getattr(node, name, None)
            if not isinstance(block, list) or not block:
                continue
            if name in ("handlers", "cases"):
                for one in block:
                    self._blocks(target, one, twins)
                continue
            probed: list[ast.stmt] = []
            fresh = True
            for statement in block:
                if fresh and not _is_docstring(statement):
                    number = len(self.starts)
                    self.starts.append(_place(target, statement))
                    probed.append(ast.Expr(_call("__reached__", ast.Constant(number))))
                    fresh = False
                self.pieces[statement] = len(self.starts) - 1
                probed.append(_statement(twins[statement]))
                if isinstance(statement, _COMPOUND):
                    self._blocks(target, statement, twins)
                    fresh = True
                elif isinstance(statement, ast.FunctionDef):
                    self._blocks(target, statement, twins)
                else:
                    self._tests(target, statement, twins)
            setattr(twins[node], name, probed)

    def _tests(self, target: Target, node: ast.AST, twins: dict[ast.AST, ast.AST]) -> None:
        """Number the conditions of one statement, those of inner statements left out."""
        for one in _expressions(node):
            if isinstance(one, (ast.If, ast.While, ast.IfExp)):
                number = self._condition(target, one.test)
                twin = twins[one]
                assert isinstance(twin, (ast.If, ast.While, ast.IfExp))
                twin.test = _call("__decided__", ast.Constant(number), twin.test)
            elif isinstance(one, ast.comprehension):
                twin = twins[one]
                assert isinstance(twin, ast.comprehension)
                for n, test in enumerate(one.ifs):
                    number = self._condition(target, test)
                    twin.ifs[n] = _call("__decided__", ast.Constant(number), twin.ifs[n])

    def _condition(self, target: Target, test: ast.expr) -> int:
        self.conditions.append(Condition(target, test.lineno, ast.unparse(test)))
        return len(self.conditions) - 1


def _expressions(node: ast.AST) -> Iterator[ast.AST]:
    """A node and the expressions of it that are no part of an inner statement."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.stmt, ast.excepthandler, ast.match_case)):
            yield from _expressions(child)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _place(target: Target, node: ast.stmt) -> Condition:
    return Condition(target, node.lineno, ast.unparse(node).partition("\n")[0])


def _statement(node: ast.AST) -> ast.stmt:
    assert isinstance(node, ast.stmt)
    return node


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])
