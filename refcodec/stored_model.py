"""Models as ``.dfcm`` files: streams of one model unit, named by their SHA-256 (clause 8.10.6)."""

from __future__ import annotations

import hashlib
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

from refcodec.errors import CallerError, StreamError, SyntaxViolation
from refcodec.files import atomic_file, storage_error
from refcodec.syntax.codes import Profile, UnitType
from refcodec.syntax.structures import STREAM_HEADER_SIZE, UNIT_STRUCTURES, ModelUnit
from refcodec.syntax.units import (
    Unit,
    build_stream_header,
    build_unit,
    parse_stream_header,
    read_unit,
)
from refcodec.tables import HIGHEST_LEVEL, Level, levels

__all__ = ["StoredModel", "model_unit", "read_file"]


class StoredModel(ABC):
    """A model, of latents or of channels: what it has in common with models of other kinds.

    Two models are equal where their units are, byte for byte.
    """

    unit_type: ClassVar[UnitType]
    """Type of the unit that holds such a model."""

    element: ClassVar[str]
    """Element of that unit that is the model."""

    profile: ClassVar[Profile] = Profile.LEARNED
    """Profile of its files."""

    coded: Any
    """The value of that element."""

    @abstractmethod
    def __init__(self, coded: Any) -> None:
        """Decode a model whose limits have been checked. Raises PayloadError, ConstraintError."""

    @staticmethod
    @abstractmethod
    def check(coded: Any, limits: Level, bit_offset: int | None = None) -> Iterator[StreamError]:
        """Yield what is wrong with a model before its numbers are decoded: limits, and shapes."""

    def unit(self, *, apart: bool = False) -> ModelUnit:
        """The unit of the model, whose model_id is 0.

        apart : true to name the file of the model; false to hold the model.
        """
        held = {"sha256": self.sha256} if apart else {self.element: self.coded}
        unit: ModelUnit = UNIT_STRUCTURES[self.unit_type].make(
            {"model_id": 0, "external_flag": int(apart), **held}
        )
        return unit

    @cached_property
    def payload(self) -> bytes:
        """The payload of the unit that holds the model, with the model_id 0."""
        return UNIT_STRUCTURES[self.unit_type].build_whole(self.unit())

    def to_bytes(self) -> bytes:
        """The model as a file: a stream of one unit, without features."""
        least = next(
            (
                number
                for number, one in levels().items()
                if len(self.payload) <= one.max_unit_size and not any(self.check(self.coded, one))
            ),
            0,
        )
        if not least:
            raise CallerError(
                "the model exceeds every level", hint="fewer contexts or weights, or coarser tables"
            )
        unit = build_unit(self.unit_type, self.payload)
        return build_stream_header(self.profile, least) + unit + build_unit(UnitType.END, b"")

    @cached_property
    def sha256(self) -> bytes:
        """The SHA-256 of the file, by which a stream names the model."""
        return hashlib.sha256(self.to_bytes()).digest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as a ``.dfcm`` file. Raises CallerError, EnvironmentFault."""
        with atomic_file(path) as file:
            file.write(self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a ``.dfcm`` file. Raises CallerError for the path, StreamError for what the file holds."""
        return cls.from_bytes(read_file(path))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The model in the bytes of a ``.dfcm`` file. Raises StreamError, also for one of another kind."""
        unit, limits = model_unit(data)
        if unit.unit_type != cls.unit_type:
            raise SyntaxViolation(
                f"the file holds no {cls.unit_type.name.lower().replace('_', ' ')}",
                bit_offset=8 * STREAM_HEADER_SIZE,
                clause="8.10.6",
            )
        if not unit.crc_matches:
            raise unit.damage()
        structure = UNIT_STRUCTURES[unit.unit_type]
        coded = structure.parse_whole(unit.payload, 8 * unit.payload_offset)[cls.element]
        if coded is None:
            raise SyntaxViolation("the file names another model", clause="8.10.6")
        for error in cls.check(coded, limits):
            raise error
        return cls(coded)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoredModel) and self.payload == other.payload

    def __hash__(self) -> int:
        return hash(self.payload)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_bytes, (self.to_bytes(),)


def model_unit(data: bytes) -> tuple[Unit, Level]:
    """The first unit of a ``.dfcm`` file, and the limits of its level. Raises StreamError."""
    source = io.BytesIO(data)
    header = parse_stream_header(source.read(STREAM_HEADER_SIZE))
    limits = levels().get(header.level_idc, levels()[HIGHEST_LEVEL])
    unit = read_unit(source, STREAM_HEADER_SIZE, limits.max_unit_size)
    if unit is None:
        raise SyntaxViolation(
            "the file holds no model", bit_offset=8 * STREAM_HEADER_SIZE, clause="8.10.6"
        )
    return unit, limits


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file. Raises CallerError, EnvironmentFault."""
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise storage_error(error, path) from None
