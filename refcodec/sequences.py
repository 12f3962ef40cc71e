"""Sequences of tokens: features that continue one another, as one array of T x D or heads x T x D (7.5.1).

A sequence that was written piece by piece is read as a whole, or a range of its tokens by the pieces that
hold them; the index finds these, and of all others only the first bytes are read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.arrays import ArrayEntry, entries_in
from refcodec.catalogue import Catalogue
from refcodec.decoder import DecodedUnit
from refcodec.errors import CallerError, StreamError
from refcodec.quantise import NUMPY_TYPES
from refcodec.stream.directory import Directory
from refcodec.stream.order import nothing_to_continue
from refcodec.syntax.codes import FeatureType
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["Joining", "TokenSequence", "sequences_of"]

Array = npt.NDArray[Any]
Features = Callable[[Sequence[int]], Iterator[Any]]


@dataclass(eq=False)
class TokenSequence:
    """The tokens of one sequence: ``len(s)`` of them, ``s[a:b]`` an array, ``s[i]`` one token.

    name    : of the sequence; None where the stream has none.
    numbers : of the features that make it up.
    first   : number of the first token of each; one entry more, the number of tokens.
    """

    name: str | None
    numbers: list[int]
    first: list[int]
    _fps: FeatureParameterSet = field(repr=False)
    _features: Features = field(repr=False)
    _convert: Callable[[Array], Any] = field(repr=False)

    def __len__(self) -> int:
        return self.first[-1]

    @property
    def shape(self) -> tuple[int, ...]:
        """T x D, or heads x T x D."""
        heads, channels = self._fps.head_count, self._fps.channels
        return (heads, len(self), channels // heads) if heads else (len(self), channels)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return NUMPY_TYPES[self._fps.source_type]

    def __getitem__(self, key: slice | int) -> Any:
        """A token, or an array of those of a slice, decoded from the features that hold them.

        Raises CallerError for another key; IndexError, StreamError.
        """
        if not isinstance(key, slice):
            if isinstance(key, bool) or not hasattr(key, "__index__"):
                raise CallerError(f"{key!r:.60} is no number of a token, and no slice")
            number = range(len(self))[key]
            return self._convert(self._between(number, number + 1)[..., 0, :])
        wanted = range(len(self))[key]
        if not wanted:
            return self._convert(np.empty((*self.shape[:-2], 0, self.shape[-1]), self.dtype))
        low, high = min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1]) + 1
        found = self._between(low, high)
        return self._convert(found if wanted.step == 1 else found[..., np.array(wanted) - low, :])

    def _between(self, low: int, high: int) -> Array:
        """The tokens from ``low`` up to ``high``, of which there is one at least. Raises StreamError."""
        begin, end = bisect_right(self.first, low) - 1, bisect_right(self.first, high - 1)
        parts = list(self._features(self.numbers[begin:end]))
        for piece, part in enumerate(parts, begin):
            if part.shape[-2] != self.first[piece + 1] - self.first[piece]:
                raise StreamError(f"feature {self.numbers[piece]} has {part.shape[-2]} tokens now")
        whole = _stacked(parts)
        within = whole[..., low - self.first[begin] : high - self.first[begin], :]
        return np.ascontiguousarray(within)


class _Found(NamedTuple):
    """A sequence of a stream: its parameter set, and ``numbers`` and ``first`` of a `TokenSequence`."""

    fps: FeatureParameterSet
    numbers: list[int]
    first: list[int]


def sequences_of(
    catalogue: Catalogue,
    metadata: dict[str, str],
    features: Features,
    convert: Callable[[Array], Any],
) -> list[TokenSequence]:
    """The sequences of tokens of all streams of a source, in the order in which they begin.

    features : decodes features by their numbers, to arrays.
    convert  : from an array to what a caller wants.

    Raises StreamError where a stream is at fault.
    """
    found = [
        TokenSequence(None, numbers, first, fps, features, convert)
        for directory, start in zip(catalogue.directories, catalogue.first, strict=False)
        for fps, numbers, first in _sequences_in(directory, start)
    ]
    entries = entries_in(metadata) or []
    if len(entries) == len(found) and all(one == ArrayEntry(one.name) for one in entries):
        for sequence, entry in zip(found, entries, strict=True):
            sequence.name = entry.name
    return found


def _sequences_in(directory: Directory, start: int) -> list[_Found]:
    """The sequences of one stream, whose first feature has the number ``start``."""
    found: list[_Found] = []
    under_way: dict[int, _Found] = {}
    for entry in range(len(directory.offsets)) if directory.walk.tokens else ():
        fps, elements = directory.head(entry)
        if fps.feature_type != FeatureType.TOKENS:
            continue
        continues = bool(elements["continuation_flag"])
        if not continues:
            found.append(_Found(fps, [], [0]))
            under_way[fps.fps_id] = found[-1]
        elif fps.fps_id not in under_way or under_way[fps.fps_id].fps != fps:
            raise nothing_to_continue(8 * int(directory.offsets[entry]))
        _, numbers, first = under_way[fps.fps_id]
        numbers.append(start + int(directory.first[entry]))
        first.append(first[-1] + elements["token_count_minus1"] + 1)
    return found


class Joining:
    """The arrays of a stream that is read in order: features, those of a sequence of tokens as one.

    An array is given once all before it are whole; a sequence is when another one begins in its place.
    """

    def __init__(self) -> None:
        self._waiting: deque[list[Any]] = deque()
        self._under_way: dict[int, list[Any]] = {}  # sequences that may go on, by fps_id

    def add(self, unit: DecodedUnit) -> Iterator[Any]:
        """Take in the next unit; yields arrays that are whole, in the order in which they begin."""
        fps = unit.unit.fps
        if unit.unit.continues:
            self._under_way[fps.fps_id] += unit.features
            return
        self._waiting.extend([one] for one in unit.features)
        if fps.feature_type == FeatureType.TOKENS:
            self._under_way[fps.fps_id] = self._waiting[-1]
        while self._waiting and not self._goes_on(self._waiting[0]):
            yield _stacked(self._waiting.popleft())

    def _goes_on(self, array: list[Any]) -> bool:
        return any(array is one for one in self._under_way.values())

    def rest(self) -> Iterator[Any]:
        """Yield the arrays that waited for the end of the stream."""
        yield from map(_stacked, self._waiting)


def _stacked(parts: list[Any]) -> Any:
    """Consecutive tokens as one array; a single part as it is."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-2)
