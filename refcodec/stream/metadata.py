"""Metadata units: texts by key, and the constraints on them (9.4)."""

from __future__ import annotations

from refcodec.clauses import clause
from refcodec.coders.protocol import Violations
from refcodec.errors import ConstraintError, SyntaxViolation
from refcodec.syntax.bits import Elements
from refcodec.syntax.structures import Metadata

__all__ = ["check_metadata", "texts_of"]


def texts_of(metadata: Metadata) -> dict[str, str]:
    """Texts by key; bytes that are no UTF-8 are replaced."""
    return {
        entry.key.decode("utf-8", "replace"): entry.value.decode("utf-8", "replace")
        for entry in metadata.entries
    }


@clause("9.4")
def check_metadata(metadata: Metadata, trace: Elements) -> Violations:
    """(9.4) Keys are UTF-8, not empty and unique; values are UTF-8."""
    bit_offsets = [element.offset for element in trace if element.name == "key_size"]
    seen: set[bytes] = set()
    for bit_offset, entry in zip(bit_offsets, metadata.entries, strict=True):
        for text in (entry.key, entry.value):
            try:
                text.decode("utf-8")
            except UnicodeDecodeError:
                yield SyntaxViolation(
                    f"the metadata text {text!r:.40} is not UTF-8",
                    bit_offset=bit_offset,
                    requirement="9.4-1",
                )
        if not entry.key or entry.key in seen:
            yield ConstraintError(
                f"the metadata key {entry.key!r:.40} is empty or occurs twice",
                bit_offset=bit_offset,
                requirement="9.4-3" if entry.key else "9.4-2",
            )
        seen.add(entry.key)
