"""The walk of salvage: it skips damaged units, and records what is missing.

After damage it goes on with the next unit whose CRC-32 matches: the one that follows by the damaged unit's
size, the one that the index names, or the first that a search finds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from refcodec.coders.protocol import Violations
from refcodec.errors import OrderError, StreamError
from refcodec.sources import StreamWindow
from refcodec.stream.directory import IndexEntries, Survey, read_index
from refcodec.stream.walk import Visit, Walk
from refcodec.syntax.codes import CODED_UNITS, UnitType
from refcodec.syntax.structures import (
    FPS_IDS,
    SIGNATURE,
    STREAM_HEADER_SIZE,
    FeatureParameterSet,
    StreamHeader,
)
from refcodec.syntax.units import ByteSource, Unit, parse_stream_header, read_unit

__all__ = ["PREDICTED", "Gap", "SalvageWalk", "merged"]

_HELD: dict[int, int] = {
    UnitType.CODED_FEATURE: 1,
    UnitType.FEATURE_PARAMETER_SET: 0,
    UnitType.HASH: 0,
    UnitType.METADATA: 0,
    UnitType.INDEX: 0,
}
"""Features of a unit, where its type is not what is damaged."""

_KINDS = "".join(f"\\x{flag << 7 | kind:02x}" for kind in UnitType for flag in (0, 1))
_CANDIDATE = re.compile(
    f"(?=([{_KINDS}][\\x80-\\xff]{{0,7}}[\\x00-\\x7f])|{SIGNATURE.decode('latin-1')})".encode(
        "latin-1"
    ),
    re.DOTALL,
)
"""Bytes that can be the header of a unit that this version knows, or begin another stream."""

PREDICTED = "it is predicted from a feature that is lost"

_PIECE = 1 << 20
_WORK = 32
"""Bytes to compute a CRC of, for each byte of the stream, before a search gives up."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of a stream that could not be used.

    start, end : positions of its first byte, and of the first byte that follows it.
    reason     : what is wrong there.
    features   : number of features that are missing; None where it is unknown.
    """

    start: int
    end: int
    reason: str
    features: int | None

    def moved(self, start: int) -> Gap:
        """The same gap of a stream that begins at byte ``start`` of its file."""
        return replace(self, start=self.start + start, end=self.end + start)

    def __str__(self) -> str:
        count = {None: "an unknown number of features", 0: "no feature", 1: "1 feature"}
        held = count.get(self.features, f"{self.features} features")
        place = (
            f"bytes {self.start} to {self.end}" if self.end > self.start else f"byte {self.start}"
        )
        return f"{place}: {self.reason}; {held} missing"


def merged(gaps: Iterable[Gap]) -> list[Gap]:
    """Gaps in the order of the stream; neighbours with one reason as one."""
    found: list[Gap] = []
    for gap in sorted(gaps, key=lambda gap: (gap.start, gap.end)):
        last = found[-1] if found else None
        if last is not None and last.end == gap.start and last.reason == gap.reason:
            known = last.features is not None and gap.features is not None
            features = (last.features or 0) + (gap.features or 0) if known else None
            found[-1] = replace(last, end=gap.end, features=features)
        else:
            found.append(gap)
    return found


class SalvageWalk(Survey):
    """A walk that yields what is sound.

    gaps : what is missing so far; `merged` puts them in order.
    """

    def __init__(self, header: StreamHeader, stream: StreamWindow) -> None:
        super().__init__(header)
        self.gaps: list[Gap] = []
        self._stream = stream
        self._size = stream.size()
        self._work = _WORK * max(self._size, _PIECE)
        self._error: StreamError | None = None
        self._guesses: dict[int, int] = {}  # features of damaged units, by position
        self._damaged = 0, 0  # the unit that will be refused: its first byte, and the next unit's
        self._index: IndexEntries | None = None
        with suppress(StreamError):
            self._index = read_index(stream, Walk(header))

    # -- units

    def units(self, source: ByteSource, offset: int = STREAM_HEADER_SIZE) -> Iterator[Visit]:
        """Yield every sound unit; ``source`` is not read, but the stream that the walk was made for."""
        ended = False
        while True:
            try:
                for visit in super().units(self._stream.at(offset), offset):
                    offset, start = visit.unit.end, offset
                    if not visit.unit.crc_matches:
                        offset = self._resume(start, offset)
                        self._damaged = start, offset
                    ended = visit.unit.unit_type == UnitType.END
                    yield visit  # a damaged one is refused, and what came before it goes on
                    if offset != visit.unit.end:
                        break
                else:
                    return
            except StreamError as error:
                if ended and self._begins(offset):
                    self.following = offset
                    return
                place = self._size if ended else self._resume(offset, None)
                self._forget(offset, place)
                self.lose(offset, place, error.what, 0 if ended else None)
                offset = place
            if offset == self._size or self.following is not None:
                return

    def _resume(self, offset: int, behind: int | None) -> int:
        """The position of the next sound unit, or of another stream; the stream's size if there is none.

        behind : where the next unit stands by the size of the damaged one at ``offset``.
        """
        if self._begins(offset):
            self.following = offset
            return offset
        if behind is not None and (behind == self._size or self._sound(behind)):
            return behind
        if self._index is not None:
            entries = self._index
            for place in sorted(
                {*entries.offsets.tolist(), *entries.parameter_sets, entries.place}
            ):
                if place > offset and self._sound(place):
                    return int(place)
        return self._search(offset + 1)

    def _search(self, start: int) -> int:
        """The first sound unit, or stream header, from ``start`` on; the size of the stream if none."""
        while start < self._size:
            piece = self._stream.at(start).read_whole(_PIECE + 16)
            for match in _CANDIDATE.finditer(piece):
                place = start + match.start()
                if match.start() >= _PIECE or self._work < 0:
                    break
                if match[1] is None:
                    if self._begins(place):
                        self.following = place
                        return place
                elif self._sound(place):
                    return place
            start += _PIECE if self._work >= 0 else self._size
        return self._size

    def _sound(self, place: int) -> bool:
        """Whether a unit of a known type, with a CRC-32 that matches, stands there."""
        unit: Unit | None = None
        with suppress(StreamError):
            unit = read_unit(self._stream.at(place), place, self._most(place))
        if unit is None:
            return False
        self._work -= len(unit.payload)
        return unit.crc_matches and unit.unit_type in UnitType.__members__.values()

    def _most(self, place: int) -> int:
        """Largest payload that a unit at that place can have, in bytes."""
        return min(self.limits.max_unit_size, max(self._size - place, 0))

    def _begins(self, place: int) -> bool:
        """Whether a stream header stands there."""
        with suppress(StreamError):
            parse_stream_header(self._stream.at(place).read_whole(STREAM_HEADER_SIZE))
            return True
        return False

    # -- what is wrong with them

    def note(self, error: StreamError) -> None:
        """Receive an error of a unit, which will be refused."""
        self._error = self._error or error

    def refuse(self, visit: Visit) -> None:
        """Take note of a unit that is lost, and of what is lost with it."""
        super().refuse(visit)
        error, self._error = self._error, None
        unit, coded = visit.unit, visit.unit.unit_type in CODED_UNITS
        if coded:  # the sequence that it was a part of is unknown
            self.order.interrupted.update(self.parameter_sets)
        reason = error.what if error else "it is damaged"
        if isinstance(visit.content, FeatureParameterSet):
            self.parameter_sets.pop(visit.content.fps_id, None)
        elif unit.unit_type == UnitType.FEATURE_PARAMETER_SET:
            self.parameter_sets.clear()
        if not unit.crc_matches:
            start, end = self._damaged
            kept = coded and end == unit.end
            self._forget(start, end, unit.unit_type if end == unit.end else None, kept)
            if end == unit.end and unit.unit_type in _HELD:
                self._guesses[start] = _HELD[unit.unit_type]
            self.lose(start, end, reason, None)
            return
        if coded and visit.content is None and isinstance(error, OrderError):
            reason = "its feature parameter set is missing"
        features: int | None = 0
        if coded:
            batch = unit.unit_type == UnitType.CODED_FEATURE_BATCH
            features = getattr(visit.content, "feature_count", None) if batch else 1
        self.lose(unit.offset, unit.end, reason, features)

    def _forget(
        self, start: int, end: int, kind: int | None = None, keep_hashes: bool = False
    ) -> None:
        """Take note that what stood at these bytes is unknown: a unit of that type, or any units.

        A parameter set among them may have replaced one that is in force.
        """
        order = self.order
        order.complete = False
        order.interrupted.update(self.parameter_sets)
        if not keep_hashes:
            order.hashed = None
        if self._index is not None:
            replaced = any(start <= place < end for place in self._index.parameter_sets)
        elif kind is None:
            renewed = any(len(places) > 1 for places in self.places.values())
            replaced = renewed or len(self.parameter_sets) == FPS_IDS
        else:
            replaced = kind == UnitType.FEATURE_PARAMETER_SET
        if replaced:
            self.parameter_sets.clear()

    def scrutinise(self, visit: Visit) -> Violations:
        """Leave out what is predicted from a feature that is lost."""
        coded = visit.coded
        if coded is None or coded.access_point:
            return iter(())
        if coded.fps.fps_id in self.order.interrupted:
            visit.coded = None
            self.lose(visit.unit.offset, visit.unit.end, PREDICTED, len(coded.payloads))
        return iter(())

    def lose(self, start: int, end: int, reason: str, features: int | None) -> None:
        """Take note of a part that cannot be used; the index, where there is one, counts its features."""
        if features is None and self._index is not None:
            offsets, first = self._index.offsets, self._index.first
            low, high = np.searchsorted(offsets, [start, end])
            features = int(first[high] - first[low])
        self.gaps.append(Gap(start, end, reason, features))

    def settled(self, found: int) -> list[Gap]:
        """The gaps, after the walk; unknown numbers as far as they follow from the one in the end unit.

        found : number of features that were given.
        """
        gaps = merged(self.gaps)
        unknown = [i for i, gap in enumerate(gaps) if gap.features is None]
        total: int | None = None if self.end is None else self.end.feature_count
        if self._index is not None:
            total = int(self._index.first[-1])
        if total is None or not unknown:
            return gaps
        rest = total - found - sum(gap.features or 0 for gap in gaps)
        guesses = [self._guesses.get(gaps[i].start) for i in unknown]
        if len(unknown) == 1:
            guesses = [max(rest, 0)]
        elif None in guesses or sum(map(int, filter(None, guesses))) != rest:
            return gaps
        for i, features in zip(unknown, guesses, strict=True):
            gaps[i] = replace(gaps[i], features=features)
        return gaps
