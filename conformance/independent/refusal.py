"""Refusals of streams, by the classes of Annex D."""

from __future__ import annotations

CLASSES = (
    *("unsupported", "signature", "truncated", "checksum", "syntax"),
    *("order", "constraint", "payload", "hash"),
)


class Refusal(Exception):
    """The refusal of a stream (B.3): class of Annex D, requirement or clause, and reason."""

    def __init__(self, kind: str, clause: str, found: str) -> None:
        assert kind in CLASSES
        super().__init__(f"{found} ({clause})")
        self.kind = kind
        self.clause = clause


class Missing(Exception):
    """The lack of ffmpeg, of the file of a model, or of a tool of this decoder: no defect of the stream."""


def require(holds: bool, kind: str, clause: str, found: str) -> None:
    """Refuse the stream unless a requirement holds."""
    if not holds:
        raise Refusal(kind, clause, found)
