"""construct's expressions in Python's own notation, for the functions compiled from declarations.

``this.name`` becomes the variable ``name``; ``this._params.fps.name``, of a record among the outer values,
``_outer_fps["name"]``; other outer values ``_outer["name"]``.
"""

from __future__ import annotations

import operator
from typing import Any

from construct.expr import BinExpr, Path

__all__ = ["python_expression"]

_OPERATORS = {
    operator.or_: "|",
    operator.and_: "&",
    operator.eq: "==",
    operator.ne: "!=",
    operator.lt: "<",
    operator.le: "<=",
    operator.gt: ">",
    operator.ge: ">=",
    operator.lshift: "<<",
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
}
"""Python's symbol of each operator that the declarations use."""


def python_expression(value: Any) -> str:
    """Python's form of a construct expression, of a code point or of a number."""
    if isinstance(value, BinExpr):
        symbol = _OPERATORS[value.op]
        return f"({python_expression(value.lhs)} {symbol} {python_expression(value.rhs)})"
    if isinstance(value, Path):
        first, *rest = _names(value)
        if first != "_params":
            return first
        record = f"_outer_{rest[0]}" if len(rest) > 1 else f"_outer[{rest[0]!r}]"
        return f"{record}[{rest[1]!r}]" if len(rest) > 1 else record
    return str(int(value))


def _names(path: Any) -> list[str]:
    """The names that a path goes through, without ``this``."""
    names: list[str] = []
    while path is not None:
        names.append(path._Path__field)
        path = path._Path__parent
    return names[-2::-1]
