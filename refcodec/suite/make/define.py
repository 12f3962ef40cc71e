"""Vectors as functions: the name is the vector's, the first line of the docstring its purpose.

    @vector(7)
    def raw_1_bit(f: Features) -> bytes:
        '''samples of one bit, eight per byte'''
        return coded(f.pool[1], coder="raw", quantiser="uniform", bits=1)

    @invalid(5, "raw-float32", "unsupported", "7.2")
    def version_major() -> Edit:
        '''version_major is 2'''
        return header("version_major", 2)

A decorator turns its function into a :class:`Definition`; :func:`definitions` collects those of modules,
in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import cleandoc, signature
from types import ModuleType
from typing import Any

from refcodec.suite.assemble import Edit, Set
from refcodec.suite.make.edits import change_payload
from refcodec.suite.manifest import Decision
from refcodec.suite.vectors import Definition, Edits, Encode, Place

__all__ = ["Change", "definitions", "edited", "invalid", "invalid_payload", "unnoticed", "vector"]

Change = Callable[..., Edit | Sequence[Edit]]
"""Returns the edits of a vector; takes the stream of its origin if they depend on it."""


def definitions(*modules: ModuleType) -> tuple[Definition, ...]:
    """The vectors that the modules define, in order."""
    return tuple(
        one for module in modules for one in vars(module).values() if isinstance(one, Definition)
    )


def vector(number: int, *clauses: str) -> Callable[[Encode], Definition]:
    """Define a valid vector by a function that makes its stream.

    clauses : clauses that the vector tests, beyond those derived from the stream.
    """
    return lambda encode: Definition(number, *_titles(encode), clauses, encode=encode)


def edited(
    number: int,
    origin: str,
    change: str,
    *clauses: str,
    violation: tuple[str, str] | None = None,
) -> Callable[[Change], Definition]:
    """Define a vector that a decoder must accept by an edit of another one.

    change    : the edit in words.
    violation : class and clause of a violation that decoders ignore and the strict validator reports.
    """
    return lambda edit: Definition(
        number,
        *_titles(edit),
        clauses,
        origin=origin,
        change=change,
        edits=_edits(edit),
        violation=(*violation, None) if violation else None,
    )


def invalid(
    number: int,
    origin: str,
    reject: str,
    clause: str,
    place: Place | None = None,
    decoder: Decision = "reject",
    also: tuple[str, ...] = (),
) -> Callable[[Change], Definition]:
    """Define an invalid vector by an edit of a valid one.

    reject : class of Annex D.
    clause : the clause that the stream breaks.
    place  : position of the violation; None for the element that the first edit changes.
    also   : classes that a decoder may give instead.
    """

    def define(edit: Change) -> Definition:
        name, purpose = _titles(edit)
        return Definition(
            number,
            name,
            purpose,
            origin=origin,
            change=purpose,
            edits=_edits(edit),
            decoder=decoder,
            violation=(reject, clause, place),
            also=also,
        )

    return define


def unnoticed(
    number: int,
    origin: str,
    reject: str,
    clause: str,
    place: Place | None = None,
    also: tuple[str, ...] = (),
) -> Callable[[Change], Definition]:
    """Define an invalid vector whose defect a decoder need not detect; the strict validator does."""
    return invalid(number, origin, reject, clause, place, "either", also)


def invalid_payload(
    number: int,
    origin: str,
    clause: str,
    reject: str = "payload",
    place: Place | None = None,
) -> Callable[[Callable[[bytes], bytes]], Definition]:
    """Define an invalid vector by a function that changes the payload of the first feature."""

    def define(change: Callable[[bytes], bytes]) -> Definition:
        def edit(stream: bytes) -> Set:
            return change_payload(stream, change)

        edit.__name__, edit.__doc__ = change.__name__, change.__doc__
        return invalid(number, origin, reject, clause, place)(edit)

    return define


def _titles(function: Callable[..., Any]) -> tuple[str, str]:
    """Name and purpose of the vector that a function makes."""
    purpose = cleandoc(function.__doc__ or "").partition("\n")[0]
    return function.__name__.replace("_", "-"), purpose


def _edits(change: Change) -> Edits:
    takes_stream = bool(signature(change).parameters)

    def edits(stream: bytes) -> Sequence[Edit]:
        found = change(stream) if takes_stream else change()
        return [found] if isinstance(found, Edit) else found

    return edits
