"""Declarations compiled to Python functions, which read, write and complete a structure much faster.

construct goes through a declaration element by element; :func:`compile_structure` writes out once what it
would do, as the source of three functions, and compiles that. The declarations remain the one place of every
fact, and alone explain an error: what they do not allow, the functions refuse without a word.

    functions.read(data, at, end, outer)                 a record, and the position after it
    functions.write(elements, number, bits, pieces, outer)
    functions.make(elements, outer)                      a record

Positions count bits. A writer appends to a number of so many bits, which it turns into one of the pieces,
bytes, wherever whole bytes follow. In the source, elements have their own names; all else begins with an
underscore.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from construct import Array as Repeat
from construct import Computed, IfThenElse, Pass, Struct, Switch

from refcodec.syntax import primitives
from refcodec.syntax.codes import is_kept
from refcodec.syntax.descriptors import (
    F32,
    SE,
    UE,
    AlignmentBits,
    Array,
    Bytes,
    Leb128,
    Rest,
    U,
)
from refcodec.syntax.expressions import python_expression

__all__ = ["Functions", "compile_structure"]


class Functions(NamedTuple):
    """A structure as functions; those of the source raise LookupError where they refuse."""

    read: Callable[..., Any]
    write: Callable[..., Any]
    make: Callable[..., Any]

    def parse(self, data: bytes, outer: Mapping[str, Any]) -> Any:
        """The record that fills these bytes exactly; None where they hold none."""
        if primitives.COMPILED:
            with suppress(LookupError):
                record, end = self.read(data, 0, 8 * len(data), outer)
                if end == 8 * len(data):
                    return record
        return None

    def build(self, elements: Any, outer: Mapping[str, Any]) -> bytes | None:
        """Whole bytes of a record, or of element values by name; None where they give none."""
        if primitives.COMPILED:
            with suppress(LookupError, TypeError, ValueError):
                pieces: list[bytes] = []
                number, bits = self.write(elements, 0, 0, pieces, outer)
                if bits & 7 == 0:
                    return b"".join([*pieces, number.to_bytes(bits >> 3, "big")])
        return None

    def complete(self, elements: Mapping[str, Any], outer: Mapping[str, Any]) -> Any:
        """A record of element values by name; None where they give none."""
        if primitives.COMPILED:
            with suppress(LookupError, TypeError, ValueError):
                return self.make(elements, outer)
        return None


def compile_structure(structure: Any, nested: Callable[[Any], Functions]) -> Functions:
    """Compile a structure.

    structure : a construct ``Struct`` of declarations, with the class of its ``record``.
    nested    : gives the functions of a structure inside it.
    """
    body = _Source(structure, nested)
    source = "\n".join([*body.reader(), *body.writer(), *body.maker()])
    scope = dict(body.scope)
    exec(compile(source, f"<{structure.record.__name__}>", "exec"), scope)
    return Functions(scope["_read"], scope["_write"], scope["_make"])


def _values_of(record: Any) -> Mapping[str, Any]:
    """The values of a record, or of a mapping in its place, by name."""
    return record if isinstance(record, Mapping) else vars(record)


def _new_record(kind: type[Any], values: dict[str, Any]) -> Any:
    """A record with all its values, which its class would set one by one."""
    made = object.__new__(kind)
    object.__setattr__(made, "__dict__", values)
    return made


@dataclass
class _Source:
    """The source of the functions of a structure, line by line.

    scope : what the source refers to, by name.
    """

    structure: Any
    nested: Callable[[Any], Functions]
    scope: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        public = {f"_{name}": getattr(primitives, name) for name in primitives.__all__}
        self.scope |= public | {
            "_record": self.structure.record,
            "_new_record": _new_record,
            "_values_of": _values_of,
        }

    def _share(self, name: str, value: Any) -> str:
        """Let the source refer to an object; returns the name for it."""
        self.scope[name] = value
        return name

    def _function(self, head: str, body: list[str]) -> list[str]:
        """A function of that head and body, which begins with the records among the outer values."""
        names = sorted(set(re.findall(r"\b_outer_(\w+)\[", "\n".join(body))))
        records = [f"_outer_{name} = _values_of(_outer[{name!r}])" for name in names]
        return [f"def {head}:", *_indented([*records, *body])]

    def _result(self) -> str:
        names = [one.name for one in self.structure.subcons]
        return f"_new_record(_record, {{{', '.join(f'{name!r}: {name}' for name in names)}}})"

    def _choose(self, coding: Any, name: str, leaf: Callable[[Any, str], list[str]]) -> list[str]:
        """Lines that do what ``leaf`` writes for the coding that conditions choose."""
        if isinstance(coding, IfThenElse):
            cases = [(python_expression(coding.condfunc), coding.thensubcon)]
            default = coding.elsesubcon
        elif isinstance(coding, Switch):
            key = python_expression(coding.keyfunc)
            cases = [
                (f"{key} == {python_expression(one)}", case) for one, case in coding.cases.items()
            ]
            default = coding.default
        else:
            return leaf(coding, name)
        lines = []
        for number, (condition, case) in enumerate(cases):
            lines.append(f"{'elif' if number else 'if'} {condition}:")
            lines += _indented(self._choose(case, name, leaf) or ["pass"])
        rest = self._choose(default, name, leaf)
        return [*lines, "else:", *_indented(rest)] if rest else lines

    def _body(self, leaf: Callable[[Any, str], list[str]]) -> list[str]:
        elements = self.structure.subcons
        return [line for one in elements for line in self._choose(one.subcon, one.name, leaf)]

    # -- reading

    def reader(self) -> list[str]:
        """The function that reads a structure."""
        body = [*self._body(self._reading), f"return {self._result()}, _at"]
        return self._function("_read(_data, _at, _end, _outer)", body)

    def _reading(self, coding: Any, name: str) -> list[str]:
        match coding:
            case U(width=width):
                value = "_data[_at >> 3] >> (~_at & 7) & 1"
                if width > 1:
                    value = (
                        f'int.from_bytes(_data[_at >> 3 : _at + {width + 7} >> 3], "big")'
                        f" >> (-(_at + {width}) & 7) & {(1 << width) - 1:#x}"
                    )
                if coding.values is not None:
                    known = {int(one): one for one in coding.values if not is_kept(one)}
                    value = f"{self._share(f'_known_{name}', known)}[{value}]"
                return [f"{name} = {value}", f"_at += {width}"]
            case UE(maximum=most):
                return [f"{name}, _at = _read_ue(_data, _at, {most})"]
            case SE(minimum=least, maximum=most):
                return [f"{name}, _at = _read_se(_data, _at, {least}, {most})"]
            case Leb128(maximum=most):
                return [f"{name}, _at = _read_leb128(_data, _at, {most})"]
            case F32(count=count):
                return [f"{name}, _at = _read_floats(_data, _at, _end, {python_expression(count)})"]
            case Array(count=count, width=width):
                parameters = f"{python_expression(count)}, {python_expression(width)}"
                return [f"{name}, _at = _read_integers(_data, _at, _end, {parameters})"]
            case Bytes(size=size):
                return [
                    f"{name} = _data[_at >> 3 : (_at >> 3) + {python_expression(size)}]",
                    f"_at += 8 * {python_expression(size)}",
                ]
            case Rest():
                return [
                    "if _at > _end: raise _Refused",
                    f"{name} = _data[_at >> 3 : _end >> 3]",
                    "_at = _end",
                ]
            case AlignmentBits():
                return [
                    "if _at & 7:",
                    "    if _data[_at >> 3] & 0xff >> (_at & 7): raise _Refused",
                    "    _at += -_at & 7",
                    f"{name} = 0",
                ]
            case Computed(func=value):
                return [f"{name} = {python_expression(value)}"]
            case Struct():
                read = self._share(f"_read_{coding.title}", self.nested(coding).read)
                return [f"{name}, _at = {read}(_data, _at, _end, _outer)"]
            case Repeat(count=count, subcon=item):
                return [
                    f"{name} = []",
                    f"for _ in range({python_expression(count)}):",
                    *_indented(self._reading(item, "_item")),
                    f"    {name}.append(_item)",
                ]
        assert coding is Pass, coding
        return [f"{name} = None"]

    # -- writing

    def writer(self) -> list[str]:
        """The function that writes a structure."""

        def given(coding: Any, name: str) -> list[str]:
            return [f"{name} = _given({name!r})", *self._choose(coding, name, self._writing)]

        body = [
            "_given = _values_of(_elements).get",
            *(line for one in self.structure.subcons for line in given(one.subcon, one.name)),
            "return _number, _bits",
        ]
        return self._function("_write(_elements, _number, _bits, _pieces, _outer)", body)

    def _writing(self, coding: Any, name: str) -> list[str]:
        def append(number: str, bits: str) -> list[str]:
            return [f"_number = _number << {bits} | {number}", f"_bits += {bits}"]

        def append_bytes(value: str) -> list[str]:
            return [
                "if _bits:",
                "    if _bits & 7: raise _Refused",
                '    _pieces.append(_number.to_bytes(_bits >> 3, "big"))',
                "    _number = _bits = 0",
                f"_pieces.append({value})",
            ]

        match coding:
            case U(width=width):
                most = (1 << width) - 1
                return append(f"_within(int({name}), 0, {most:#x})", str(width))
            case UE() | SE():
                number = f"int({name})" if isinstance(coding, UE) else f"_se_number(int({name}))"
                return [
                    f"_code = _within({number}, 0, {1 << 32:#x}) + 1",
                    *append("_code", "2 * _code.bit_length() - 1"),
                ]
            case Leb128():
                return append_bytes(f"_leb128_of(int({name}))")
            case F32(count=count):
                return [
                    f"_count = int({python_expression(count)})",
                    *append(f"_number_of_floats({name}, _count)", "32 * _count"),
                ]
            case Array(count=count, width=width):
                return [
                    f"_count, _width = int({python_expression(count)}), int({python_expression(width)})",
                    *append(f"_number_of_integers({name}, _count, _width)", "_count * _width"),
                ]
            case Bytes(size=size):
                check = f"if len({name}) != {python_expression(size)}: raise _Refused"
                return [check, *append_bytes(name)]
            case Rest():
                return append_bytes(name)
            case AlignmentBits():
                return ["_number <<= -_bits & 7", "_bits += -_bits & 7"]
            case Computed(func=value):
                return [f"{name} = {python_expression(value)}"]
            case Struct():
                write = self._share(f"_write_{coding.title}", self.nested(coding).write)
                return [f"_number, _bits = {write}({name}, _number, _bits, _pieces, _outer)"]
            case Repeat(count=count, subcon=item):
                return [
                    f"if len({name}) != {python_expression(count)}: raise _Refused",
                    f"for _item in {name}:",
                    *_indented(self._writing(item, "_item")),
                ]
        assert coding is Pass, coding
        return []

    # -- completing

    def maker(self) -> list[str]:
        """The function that makes a record of elements, complete and checked."""
        body = ["_given = _elements.get", *self._body(self._making), f"return {self._result()}"]
        return self._function("_make(_elements, _outer)", body)

    def _making(self, coding: Any, name: str) -> list[str]:
        given = f"_given({name!r})"
        match coding:
            case U(width=width, values=None):
                value = f"_within(int({given}), 0, {(1 << width) - 1:#x})"
            case U(values=values) if values is not None:
                value = f"{self._share(f'_codes_{name}', _by_number(values))}[{given}]"
            case UE(minimum=least, maximum=most) | SE(minimum=least, maximum=most):
                value = f"_within(int({given}), {least}, {most})"
            case Leb128(maximum=most):
                value = f"_within(int({given}), 0, {most})"
            case F32(count=count):
                value = f"_floats_of({given}, {python_expression(count)})"
            case Array(count=count, width=width):
                value = (
                    f"_integers_of({given}, {python_expression(count)}, {python_expression(width)})"
                )
            case Bytes(size=size):
                value = f"_bytes_of({given}, {python_expression(size)})"
            case Rest():
                value = f"bytes({given})"
            case AlignmentBits():
                value = "0"
            case Computed(func=computed):
                value = python_expression(computed)
            case _:
                value = "None" if coding is Pass else given
        return [f"{name} = {value}"]


def _by_number(values: type[IntEnum]) -> dict[int, IntEnum]:
    return {int(one): one for one in values}


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
