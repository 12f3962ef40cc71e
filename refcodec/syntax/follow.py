"""A walk along the declarations: every element of a structure in its turn, given the values so far.

    follow(CODED_FEATURE, settle, outer)

asks ``settle`` for the value of each element that the values before it make present, in the order of the
bitstream. Whoever settles may read them from a stream, take them from a text or draw lots: conditions, widths
and counts are those of ``structures`` alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from construct import Array as Repeat
from construct import Computed, Container, IfThenElse, Pass, Switch, evaluate

from refcodec.syntax.codes import CODED_UNITS, UnitType
from refcodec.syntax.descriptors import Descriptor
from refcodec.syntax.records import Structure, resolve
from refcodec.syntax.structures import UNIT_STRUCTURES

__all__ = ["Declarations", "Declared", "Place", "Settle", "Stop", "declared", "follow"]


class Stop(Exception):
    """Raised by whoever settles: the remaining elements of the unit are not there."""


@dataclass(frozen=True, slots=True)
class Place:
    """An element that is present.

    path    : names of the enclosing structures and of the element, joined by dots.
    coding  : its descriptor.
    context : values of the elements before it, by name; ``_params`` has the outer ones.
    """

    path: str
    coding: Descriptor
    context: Any

    @property
    def notation(self) -> str:
        """Its coding, with the width and the count that it has here."""
        return str(_known(self.coding.notation, self.context))

    def number(self, expression: Any) -> int:
        """A width, a count or a size of its coding, as it is here."""
        return int(_known(evaluate, expression, self.context))


Settle = Callable[[Place], Any]
"""Gives the value of an element; conditions on it need a number. May raise Stop."""


def follow(structure: Structure[Any], settle: Settle, outer: Container) -> Container:
    """Settle the elements of a structure; returns their values by name, derived variables among them.

    outer : values that conditions refer to, such as ``fps``; read when they are needed.

    Raises Stop if ``settle`` does, or where a condition refers to a value that is not known.
    """
    return _follow(structure, settle, outer, structure.title)


def _follow(structure: Any, settle: Settle, outer: Container, path: str) -> Container:
    context = Container(_params=outer)
    for one in structure.subcons:
        coding = _known(resolve, one.subcon, context)
        context[one.name] = _value(coding, settle, context, f"{path}.{one.name}")
    return context


def _value(coding: Any, settle: Settle, context: Any, path: str) -> Any:
    if isinstance(coding, Descriptor):
        return settle(Place(path, coding, context))
    if isinstance(coding, Computed):
        return _known(evaluate, coding.func, context)
    if isinstance(coding, Structure):
        return _follow(coding, settle, context._params, path)
    if isinstance(coding, Repeat):
        count = _known(evaluate, coding.count, context)
        return [_value(coding.subcon, settle, context, path) for _ in range(count)]
    assert coding is Pass, coding
    return None


def _known(call: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a call that evaluates expressions. Raises Stop if one has a value that is not known."""
    try:
        return call(*arguments)
    except (AttributeError, KeyError, TypeError) as error:
        raise Stop("a condition or a count depends on a value that is not known") from error


class Declarations:
    """The declarations of a stream, unit by unit.

    parameter_sets : values of the feature parameter sets so far, by fps_id.
    last           : the last of them.
    """

    def __init__(self) -> None:
        self.parameter_sets: dict[int, Container] = {}
        self.last: Container | None = None

    def follow(
        self,
        unit_type: int,
        settle: Settle,
        unit_size: int,
        missing: Callable[[], Container | None] = lambda: None,
    ) -> Container:
        """Settle the elements in the payload of a unit whose type is known.

        unit_size : bytes of the payload; none or some is all that matters.
        missing   : called for a coded unit whose parameter set is not known; the one to take instead.

        Raises Stop, also for such a unit where there is none to take.
        """
        outer = Container(unit_size=unit_size)

        def with_parameter_set(place: Place) -> Any:
            value = settle(place)
            if unit_type in CODED_UNITS and place.path.endswith(".fps_id"):
                outer["fps"] = self.parameter_sets.get(value) or missing()
                if outer["fps"] is None:
                    raise Stop(f"there is no feature parameter set {value}")
            return value

        found = follow(UNIT_STRUCTURES[unit_type], with_parameter_set, outer)
        if unit_type == UnitType.FEATURE_PARAMETER_SET:
            self.parameter_sets[found.fps_id] = self.last = found
        return found


# --- all that is declared ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Declared:
    """An element as declared: its path, its descriptor, and true if a condition may make it absent."""

    path: str
    coding: Descriptor
    conditional: bool


@cache
def declared(structure: Structure[Any], path: str = "") -> tuple[Declared, ...]:
    """The elements of a structure, of inner ones too, each once, whatever their conditions."""
    path = path or structure.title
    return tuple(
        found
        for one in structure.subcons
        for found in _declared(one.subcon, f"{path}.{one.name}", conditional=False)
    )


def _declared(coding: Any, path: str, *, conditional: bool) -> list[Declared]:
    match coding:
        case Descriptor():
            return [Declared(path, coding, conditional)]
        case Structure():
            return list(declared(coding, path))
        case Repeat():
            return _declared(coding.subcon, path, conditional=conditional)
        case IfThenElse():
            branches = [coding.thensubcon, coding.elsesubcon]
        case Switch():
            branches = [*coding.cases.values(), coding.default]
        case _:
            return []
    found = {
        one.path: one for branch in branches for one in _declared(branch, path, conditional=True)
    }
    return list(found.values())
