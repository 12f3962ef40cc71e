"""Records: syntax structures whose declaration reads, writes, prints and types every element.

    class StreamHeader(Record):
        profile_idc: Profile = element(U(8, Profile))
        ...

    STREAM_HEADER = Structure(StreamHeader, "6.2")
    STREAM_HEADER.parse_whole(data).profile_idc          # a StreamHeader, known to the type checker

A structure is an ordinary construct ``Struct``; a record is a frozen dataclass of its values. An element
whose condition is false is None. A test compares the annotations with the codings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Generic, TypeVar, cast, dataclass_transform

import numpy as np
from construct import Computed, Construct, Container, IfThenElse, Pass, Struct, Switch, evaluate

from refcodec.errors import CallerError, SyntaxViolation
from refcodec.syntax.bits import BitReader, BitWriter, Trace
from refcodec.syntax.compiled import Functions, compile_structure
from refcodec.syntax.descriptors import AlignmentBits, Descriptor

__all__ = ["Record", "Structure", "element", "resolve"]


def element(coding: Construct) -> Any:
    """Declare the coding of a syntax element: a descriptor, a condition on one, or a derived variable."""
    return field(metadata={"coding": coding})


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(element,))
class Record:
    """The values of one syntax structure, by element name, in the order of the bitstream."""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True, eq=False)(cls)

    def __getitem__(self, name: str) -> Any:
        """Value of an element by name, for the conditions of other structures."""
        return getattr(self, name)

    def keys(self) -> list[str]:
        """Names of the elements, so that ``{**record, "qp": 30}`` gives the elements of a changed record."""
        return list(vars(self))

    def __eq__(self, other: object) -> bool:
        """Compare element by element; arrays as a whole."""
        if type(self) is not type(other):
            return NotImplemented
        mine, theirs = vars(self), vars(other)
        return all(
            np.array_equal(mine[name], theirs[name])
            if hasattr(value, "shape")
            else value == theirs[name]
            for name, value in mine.items()
        )

    __hash__ = None  # type: ignore[assignment]  # arrays are among the values


R = TypeVar("R", bound=Record)


class Structure(Struct, Generic[R]):  # type: ignore[misc]  # construct is untyped
    """A syntax structure: reads and writes records of one class.

    title     : name in the specification: that of the class in lower case, with underscores.
    clause    : number of its syntax clause, 6.x.
    semantics : number of its semantics clause, 7.x.
    """

    def __init__(self, record: type[R], clause: str) -> None:
        declared = fields(record)  # type: ignore[arg-type]  # a dataclass by __init_subclass__
        super().__init__(*(one.name / one.metadata["coding"] for one in declared))
        self.record = record
        self.title = re.sub(r"(?<!^)(?=[A-Z])", "_", record.__name__).lower()
        self.clause = clause
        self.semantics = f"7.{clause.partition('.')[2]}"

    @cached_property
    def functions(self) -> Functions:
        """The structure as functions, compiled when they are first needed."""
        return compile_structure(self, lambda inner: cast("Functions", inner.functions))

    def parse_whole(
        self,
        data: bytes,
        offset: int = 0,
        trace: Trace | None = None,
        root: str | None = None,
        **parameters: Any,
    ) -> R:
        """Read the structure from bytes that it fills exactly.

        offset     : position of the first bit in the stream, for messages and the trace.
        root       : name with which paths in the trace begin; None for the title.
        parameters : outer values that conditions refer to, such as ``fps``.

        Raises TruncatedError, UnsupportedError or SyntaxViolation, the last also if bytes are left over.
        """
        if trace is None:
            found = self.functions.parse(data, parameters)
            if found is not None:
                return cast("R", found)
        reader = BitReader(data, offset, trace, root or self.title)
        return self._interpret_whole(reader, parameters)

    def _interpret_whole(self, reader: BitReader, parameters: Mapping[str, Any]) -> R:
        """Read as `parse_whole` does, element by element."""
        parsed: R = self.parse_stream(reader, **parameters)
        if reader.remaining:
            raise SyntaxViolation(
                f"{reader.remaining} bits follow {self.title}()",
                bit_offset=reader.position,
                clause=self.clause,
                requirement="6-1",
            )
        return parsed

    def build_whole(self, elements: R | Mapping[str, Any], **parameters: Any) -> bytes:
        """Write the structure from a record, or from element values by name."""
        built = self.functions.build(elements, parameters)
        if built is not None:
            return built
        writer = BitWriter()
        self.build_stream(elements, writer, **parameters)
        return writer.getvalue()

    def make(self, elements: Mapping[str, Any], **parameters: Any) -> R:
        """Make a record: elements whose condition is false become None, derived variables are computed.

        Raises CallerError for a missing value, or one outside the bounds of its declaration.
        """
        made = self.functions.complete(elements, parameters)
        if made is not None:
            return cast("R", made)
        context = Container(_params=Container(parameters))
        for declared in self.subcons:
            name = declared.name
            context[name] = _settle(declared.subcon, elements.get(name), context, name)
        del context["_params"]
        return self.record(**context)

    def _parse(self, stream: BitReader, context: Any, path: str) -> R:
        outer, stream.clause = stream.clause, self.semantics
        try:
            parsed = super()._parse(stream, context, path)
        finally:
            stream.clause = outer
        del parsed["_io"]  # the reader, which would keep every byte of the unit in memory
        return self.record(**parsed)

    def _build(self, obj: Any, stream: BitWriter, context: Any, path: str) -> Any:
        elements = vars(obj) if isinstance(obj, Record) else obj
        return super()._build(elements, stream, context, path)


def resolve(coding: Any, context: Any) -> Any:
    """The coding that holds in a context: the branch that conditions choose, down to one without any.

    Returns a descriptor, ``Computed``, ``Pass`` for an absent element, a structure, or several of a coding.
    """
    while isinstance(coding, (IfThenElse, Switch)):
        if isinstance(coding, Switch):
            coding = coding.cases.get(evaluate(coding.keyfunc, context), coding.default)
        else:
            holds = evaluate(coding.condfunc, context)
            coding = coding.thensubcon if holds else coding.elsesubcon
    return coding


def _settle(coding: Any, value: Any, context: Any, name: str) -> Any:
    """Check and complete the value of an element of a new record."""
    coding = resolve(coding, context)
    if isinstance(coding, Computed):
        return evaluate(coding.func, context)
    if isinstance(coding, AlignmentBits):
        return 0
    if isinstance(coding, Descriptor):
        if value is None:
            raise CallerError(f"{name} has no value")
        return coding.checked(value, context, name)
    return None if coding is Pass else value  # else a structure, or several
