"""Refusals of streams, by the classes of Annex D."""

from __future__ import annotations

CLASSES = frozenset(
    "unsupported signature truncated checksum syntax order constraint payload hash".split()
)


class Refusal(Exception):  # noqa: N818 -- a refusal is what the specification calls it
    """The refusal of a stream (B.3): class of Annex D, requirement or clause, and what was found."""

    def __init__(self, kind: str, clause: str, found: str) -> None:
        assert kind in CLASSES
        super().__init__(f"{found} ({clause})")
        self.kind = kind
        self.clause = clause


class FfmpegMissing(Exception):  # noqa: N818
    """The program ffmpeg, which decodes HEVC payloads, is not there."""


def require(holds: bool, kind: str, clause: str, found: str) -> None:
    """Refuse the stream unless a requirement holds."""
    if not holds:
        raise Refusal(kind, clause, found)
