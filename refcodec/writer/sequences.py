"""The sequences of tokens that a writer appends to, each under a parameter set of its own (7.5.1)."""

from __future__ import annotations

from collections.abc import Sequence

from refcodec.encoder.encoding import FeatureEncoder
from refcodec.errors import CallerError
from refcodec.registry import suggest

__all__ = ["TokenSequences"]


class TokenSequences:
    """The sequences of a stream, by their names."""

    def __init__(self, names: Sequence[str]) -> None:
        """Begin with none; ``names`` are those that will begin, in that order."""
        self._names = names
        self._encoders: dict[str | None, FeatureEncoder] = {}

    def check(self, name: str | None) -> None:
        """Raise CallerError for a name that is not one of the sequences, or not the next one to begin."""
        if name in self._encoders:
            return
        known: Sequence[str | None] = self._names or [None]
        if name not in known:
            named = ", ".join(map(repr, self._names)) or "without names"
            raise CallerError(
                f"there is no sequence {name!r}; the sequences of this stream are {named}",
                hint=suggest(name, self._names) or "names are given when the stream is created",
            )
        following = known[len(self._encoders)]
        if name != following:
            raise CallerError(
                f"{following!r} begins before {name!r}: sequences begin in the order of their names"
            )

    def goes_on(self, name: str | None, encoder: FeatureEncoder) -> bool:
        """True for tokens that follow others; false for the first ones of a sequence.

        encoder : of these tokens.

        Raises CallerError where those before them have another one.
        """
        if name not in self._encoders:
            self._encoders[name] = encoder
            return False
        if self._encoders[name] is not encoder:
            raise CallerError(
                "the tokens cannot follow those before them, which have another parameter set",
                hint="tokens of a sequence have one width, number of heads, type and configuration",
            )
        return True
