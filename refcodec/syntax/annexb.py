"""Byte streams of NAL units, which HEVC and VVC have in common (Annex B of Rec. ITU-T H.265 and H.266)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from refcodec.errors import StreamError, SyntaxViolation
from refcodec.syntax.bits import BitReader, Trace
from refcodec.syntax.records import Structure
from refcodec.syntax.standard import Standard

__all__ = ["parse_unit", "split_units"]

_HEADER_BYTES = 128


def split_units(
    stream: bytes, standard: Standard, offset: int | None = None
) -> list[tuple[int, bytes]]:
    """Split an Annex B byte stream into NAL units, each with the byte offset of its header.

    offset : position of the byte stream in the DFC stream, in bits, for messages.

    Raises SyntaxViolation unless the stream is a sequence of start codes (three bytes, or four) each
    followed by a NAL unit of at least two bytes, without other zero bytes between them.
    """
    named = f"{standard.article} {standard.name}"
    nals: list[tuple[int, bytes]] = []
    start = stream.find(b"\0\0\1")
    if start not in (0, 1) or stream[:start].strip(b"\0"):
        raise SyntaxViolation(
            f"{named} byte stream begins with a start code",
            bit_offset=offset,
            requirement=f"{standard.clause}-1",
        )
    while start >= 0:
        begin = start + 3
        start = stream.find(b"\0\0\1", begin)
        end = len(stream) if start < 0 else start
        if start >= 0 and stream[end - 1 : end] == b"\0":
            end -= 1  # a start code of four bytes
        nal = stream[begin:end]
        if len(nal) < 2 or nal[-1] == 0 or b"\0\0\0" in nal or b"\0\0\2" in nal:
            raise SyntaxViolation(
                f"{named} NAL unit is empty, ends in a zero byte, or holds 00 00 00 or 00 00 02",
                bit_offset=None if offset is None else offset + 8 * begin,
                clause=standard.clause,
            )
        nals.append((begin, nal))
    return nals


def parse_unit(
    nal: bytes,
    structure: Structure[Any],
    header: Structure[Any],
    offset: int = 0,
    trace: Trace | None = None,
    **parameters: Any,
) -> Any:
    """Parse the head of a NAL unit without its emulation prevention bytes.

    structure, header : of its payload, and of its first two bytes.
    offset            : position of the NAL unit's first byte in the stream, in bits.
    parameters        : values that the structure refers to.

    Returns the record of the structure. Raises TruncatedError or SyntaxViolation.
    """
    head = nal[2 : 2 + _HEADER_BYTES]
    # emulation prevention: the third byte of 00 00 03 is not part of the syntax
    prevention = [match.end() - 1 for match in re.finditer(b"\0\0\3", head)]
    rbsp = b"".join(
        head[start + 1 : stop]
        for start, stop in zip([-1, *prevention], [*prevention, len(head)], strict=True)
    )
    own: Trace = []
    reader = BitReader(rbsp, 0, None if trace is None else own, structure.title)

    def place(bit: int) -> int:
        """Position in the stream of a bit of the payload."""
        skipped = sum(at - i <= bit // 8 for i, at in enumerate(prevention))
        return offset + 16 + bit + 8 * skipped

    try:
        parsed = structure.parse_stream(reader, **parameters)
    except StreamError as error:
        error.bit_offset = place(error.bit_offset or 0)
        raise
    if trace is not None:
        header.parse_stream(BitReader(nal[:2], offset, trace, header.title))
        trace += [replace(one, offset=place(one.offset)) for one in own]
    return parsed
