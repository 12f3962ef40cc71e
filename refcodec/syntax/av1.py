"""Headers inside an AV1 payload, as far as clause 9.11 constrains them (AV1 specification, 5.5 and 5.9).

Declared with the same descriptors as DFC's own syntax, under the names of that specification. If 9.11 fixes
the value of an element, the declarations assume that value: the checks report any other. Frames are still
pictures with reduced headers, each the only frame of its coded video sequence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from construct import If, this

from refcodec.errors import ConstraintError
from refcodec.syntax.bits import BitReader, Trace
from refcodec.syntax.descriptors import Array, Integers, U
from refcodec.syntax.obu import OBU_HEADER, Obu, split_obus
from refcodec.syntax.records import Record, Structure, element
from refcodec.syntax.standard import Standard

__all__ = [
    "AV1",
    "FRAME_HEADER",
    "SEQUENCE_HEADER",
    "TYPE",
    "FrameHeader",
    "SequenceHeader",
    "parse_obu",
    "parse_sequence_header",
    "split_units",
]

_CLAUSE = "8.3.13"

_LONGEST_SEQUENCE_HEADER = 10
"""Bytes of an OBU with a sequence header, the longest that 9.11.1 admits: it is repeated with each frame."""

_HEAD = 64
"""Bytes of an OBU that hold all declared elements."""


class TYPE:
    """obu_type values that may occur (6.2.2)."""

    SEQUENCE_HEADER = 1
    FRAME = 6


_TEMPORAL_DELIMITER = b"\x12\0"
"""An OBU of type 2, without content."""


class SequenceHeader(Record):
    """Sequence header of monochrome still pictures (5.5)."""

    seq_profile: int = element(U(3))
    still_picture: int = element(U(1))
    reduced_still_picture_header: int = element(U(1))
    seq_level_idx: int = element(U(5))
    frame_width_bits_minus_1: int = element(U(4))
    frame_height_bits_minus_1: int = element(U(4))
    max_frame_width_minus_1: Integers = element(Array(1, this.frame_width_bits_minus_1 + 1))
    max_frame_height_minus_1: Integers = element(Array(1, this.frame_height_bits_minus_1 + 1))
    use_128x128_superblock: int = element(U(1))
    enable_filter_intra: int = element(U(1))
    enable_intra_edge_filter: int = element(U(1))
    enable_superres: int = element(U(1))
    enable_cdef: int = element(U(1))
    enable_restoration: int = element(U(1))
    high_bitdepth: int = element(U(1))
    twelve_bit: int | None = element(If((this.seq_profile == 2) & (this.high_bitdepth == 1), U(1)))
    mono_chrome: int = element(U(1))
    color_description_present_flag: int = element(U(1))
    color_range: int = element(U(1))
    film_grain_params_present: int = element(U(1))


SEQUENCE_HEADER = Structure(SequenceHeader, "6.16")


class FrameHeader(Record):
    """Frame header of a still picture, up to the size at which it is to be shown (5.9.2, 5.9.6)."""

    disable_cdf_update: int = element(U(1))
    allow_screen_content_tools: int = element(U(1))
    force_integer_mv: int | None = element(If(this.allow_screen_content_tools == 1, U(1)))
    render_and_frame_size_different: int = element(U(1))


FRAME_HEADER = Structure(FrameHeader, "6.16")

_STRUCTURES: dict[int, Structure[Any]] = {
    TYPE.SEQUENCE_HEADER: SEQUENCE_HEADER,
    TYPE.FRAME: FRAME_HEADER,
}


def split_units(stream: bytes, offset: int | None = None) -> Iterator[Obu]:
    """Split a byte stream into OBUs; see `obu.split_obus`."""
    return split_obus(stream, _CLAUSE, offset)


def _assemble(parameter_sets: bytes, payloads: bytes) -> bytes:
    """(8.3.13) For each frame a temporal unit: a temporal delimiter, the sequence header, the frame."""
    return b"".join(
        _TEMPORAL_DELIMITER + parameter_sets + one.data for one in split_units(payloads)
    )


AV1 = Standard("AV1", "an", _CLAUSE, _assemble)


def parse_obu(obu: Obu, offset: int = 0, trace: Trace | None = None) -> Any:
    """Parse the constrained head of a sequence header or a frame.

    offset : position of the byte stream that holds the OBU in the DFC stream, in bits.

    Returns the record of its type. Raises TruncatedError or SyntaxViolation.
    """
    structure, place = _STRUCTURES[obu.kind], offset + 8 * obu.at
    if trace is not None:
        OBU_HEADER.parse_stream(
            BitReader(obu.data[: obu.header_size], place, trace, OBU_HEADER.title)
        )
    head = obu.data[obu.header_size : obu.header_size + _HEAD]
    return structure.parse_stream(
        BitReader(head, place + 8 * obu.header_size, trace, structure.title)
    )


def parse_sequence_header(stream: bytes, offset: int | None = None) -> SequenceHeader:
    """Parse a byte stream that consists of a sequence header (9.11.1).

    offset : position of the byte stream in the DFC stream, in bits, for messages.

    Raises ConstraintError for other OBUs or a longer one, TruncatedError or SyntaxViolation within it.
    """
    obus = list(split_units(stream, offset))
    kinds = [one.kind for one in obus]
    if kinds != [TYPE.SEQUENCE_HEADER] or len(stream) > _LONGEST_SEQUENCE_HEADER:
        raise ConstraintError(
            f"parameter_sets holds OBU types {kinds} in {len(stream)} bytes; a sequence header (1) of at "
            f"most {_LONGEST_SEQUENCE_HEADER} bytes is expected",
            bit_offset=offset,
            requirement="9.11.1-1",
        )
    parsed: SequenceHeader = parse_obu(obus[0], offset or 0)
    return parsed
