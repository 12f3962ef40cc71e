"""Syntax tables of the specification (clause 6), derived from the declarations.

A :class:`Row` is one line of a table. A condition on several consecutive elements is printed once, arrays
are printed as loops, derived variables as assignments.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from construct import Array as Repeat
from construct import Computed, IfThenElse, Renamed, Switch
from construct.expr import BinExpr, Path, UniExpr

from refcodec.syntax.descriptors import (
    F32,
    SE,
    UE,
    Array,
    Bytes,
    Descriptor,
    Leb128,
)
from refcodec.syntax.records import Structure

__all__ = ["Row", "element_names", "expression", "tabulate"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a syntax table.

    indent     : depth of nesting, 0 for the name of the structure and its closing brace.
    text       : text of the line: an element, a condition, an assignment, a brace.
    descriptor : coding of the element, as in clause 4.4; '' if the line is not an element.
    values     : range of its value, ``0..255``; '' if the descriptor implies it.
    element    : name of the element or variable that the line is about; may be ''.
    structure  : name of the structure that the line includes; may be ''.
    """

    indent: int
    text: str
    descriptor: str = ""
    values: str = ""
    element: str = ""
    structure: str = ""


def tabulate(structure: Structure[Any]) -> list[Row]:
    """The syntax table of a structure, its name in the first row and a closing brace in the last."""
    body = _merge([row for element in structure.subcons for row in _element(element)])
    return [Row(0, f"{structure.title}( ) {{"), *body, Row(0, "}")]


def element_names(structure: Structure[Any]) -> list[str]:
    """Names of the elements and variables of a structure, in their order."""
    return [element.name for element in structure.subcons]


# --- expressions -----------------------------------------------------------------------------------

_BINARY = {
    operator.or_: ("||", 1),
    operator.and_: ("&&", 2),
    operator.eq: ("==", 3),
    operator.ne: ("!=", 3),
    operator.lt: ("<", 4),
    operator.le: ("<=", 4),
    operator.gt: (">", 4),
    operator.ge: (">=", 4),
    operator.lshift: ("<<", 5),
    operator.add: ("+", 6),
    operator.sub: ("-", 6),
    operator.mul: ("*", 7),
}
"""Symbol and precedence of each operator that the declarations use."""


def expression(value: Any) -> str:
    """Print a construct expression, a code point or a number, with C's precedence of operators."""
    return _expression(value)[0]


def _expression(value: Any) -> tuple[str, int]:
    """The text, and the precedence of its outermost operator."""
    if isinstance(value, BinExpr):
        symbol, strength = _BINARY[value.op]
        left, left_strength = _expression(value.lhs)
        right, right_strength = _expression(value.rhs)
        if left_strength < strength:
            left = f"({left})"
        if right_strength <= strength:
            right = f"({right})"
        return f"{left} {symbol} {right}", strength
    if isinstance(value, UniExpr):
        text, strength = _expression(value.operand)
        symbol = {operator.neg: "-", operator.invert: "!"}[value.op]
        return (f"{symbol}{text}" if strength > 8 else f"{symbol}({text})"), 8
    if isinstance(value, Path):
        return _path(value), 9
    if isinstance(value, Enum):
        return value.name, 9
    return str(value), 9


def _path(path: Any) -> str:
    """Print ``this.name`` and outer values as ``name``; ``fps.name`` stays."""
    names: list[str] = []
    while path is not None:
        names.append(path._Path__field)
        path = path._Path__parent
    names.reverse()
    return ".".join(name for name in names if name not in (None, "_", "_params"))


# --- elements --------------------------------------------------------------------------------------


def _element(element: Renamed) -> list[Row]:
    return list(_rows(element.name, element.subcon, 1))


def _rows(name: str, coding: Any, indent: int) -> Iterator[Row]:
    if isinstance(coding, (IfThenElse, Switch)):
        yield from _choice(name, coding, indent)
    elif isinstance(coding, Computed):
        yield Row(indent, f"{name} = {expression(coding.func)}", element=name)
    elif isinstance(coding, (Array, F32)):
        descriptor = "f(32)" if isinstance(coding, F32) else f"u({expression(coding.width)})"
        if isinstance(coding.count, int) and coding.count == 1:
            yield Row(indent, name, descriptor, element=name)
            return
        yield _loop(coding.count, indent)
        yield Row(indent + 1, f"{name}[ i ]", descriptor, element=name)
        yield Row(indent, "}")
    elif isinstance(coding, Repeat):
        yield _loop(coding.count, indent)
        for row in _rows(name, coding.subcon, indent + 1):
            text = row.text.replace("( )", "( i )") if row.structure else f"{row.text}[ i ]"
            yield Row(row.indent, text, row.descriptor, row.values, row.element, row.structure)
        yield Row(indent, "}")
    elif isinstance(coding, Structure):
        yield Row(indent, f"{coding.title}( )", element=name, structure=coding.title)
    else:
        yield Row(indent, name, _notation(coding), _values(coding), element=name)


def _loop(count: Any, indent: int) -> Row:
    return Row(indent, f"for( i = 0; i < {expression(count)}; i++ ) {{")


def _choice(name: str, coding: Any, indent: int) -> Iterator[Row]:
    """Rows of a condition: an assignment if all cases are variables, else ``if`` with braces."""
    cases, default = _cases(coding)
    if all(isinstance(case, Computed) for case in (*(case for _, case in cases), default)):
        chosen = "".join(f"{condition} ? {expression(case.func)} : " for condition, case in cases)
        yield Row(indent, f"{name} = {chosen}{expression(default.func)}", element=name)
        return
    for number, (condition, case) in enumerate(cases):
        yield Row(indent, f"{'} else ' if number else ''}if( {condition} ) {{")
        yield from _rows(name, case, indent + 1)
    if isinstance(default, (Computed, Descriptor, Structure)):
        yield Row(indent, "} else {")
        yield from _rows(name, default, indent + 1)
    yield Row(indent, "}")


def _cases(coding: Any) -> tuple[list[tuple[str, Any]], Any]:
    """Conditions, each with its case, and the default case.

    A default that is itself a condition continues the list.
    """
    if isinstance(coding, Switch):
        key = expression(coding.keyfunc)
        cases = [(f"{key} == {expression(value)}", case) for value, case in coding.cases.items()]
        default = coding.default
    else:
        cases, default = [(expression(coding.condfunc), coding.thensubcon)], coding.elsesubcon
    if isinstance(default, (IfThenElse, Switch)):
        further, default = _cases(default)
        cases += further
    return cases, default


def _notation(coding: Descriptor) -> str:
    if isinstance(coding, Bytes):
        size = expression(coding.size)
        if isinstance(coding.size, int):
            return f"b({8 * coding.size})"
        return f"b(8 * {size})" if " " not in size else f"b(8 * ({size}))"
    return coding.notation()


def _values(coding: Descriptor) -> str:
    if isinstance(coding, Leb128) and coding.maximum < 2**56 - 1:
        return f"0..{_power(coding.maximum)}"
    if isinstance(coding, (SE, UE)):
        return f"{_power(coding.minimum)}..{_power(coding.maximum)}"
    return ""


def _power(number: int) -> str:
    """Print a bound near a power of two by that power: 65535 as ``2^16 - 1``."""
    for less in (0, 1, 2):
        if number > 4096 and (number + less).bit_count() == 1:
            power = f"2^{(number + less).bit_length() - 1}"
            return f"{power} - {less}" if less else power
    return str(number)


def _merge(rows: list[Row]) -> list[Row]:
    """Print a condition once for all consecutive elements under it."""
    merged: list[Row] = []
    conditions: dict[int, str] = {}  # per indent, the condition of the block that ended last
    for row in rows:
        opens = row.text.startswith("if( ")
        follows = bool(merged) and merged[-1] == Row(row.indent, "}")
        if opens and follows and conditions.get(row.indent) == row.text:
            merged.pop()
            continue
        if opens or row.text.startswith(("for( ", "} else")):
            conditions[row.indent] = row.text
        merged.append(row)
    return merged
