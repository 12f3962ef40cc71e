"""The features of a source by number: those of its stream, or of several streams one after the other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy.typing as npt

from refcodec.coders.protocol import Machine
from refcodec.decoder import Decode, Sequences, decode_channels, decode_window
from refcodec.errors import CallerError, StreamError
from refcodec.registry import record_of
from refcodec.shapes import layer_shape, of_layer, volume_of
from refcodec.stream.directory import Directory
from refcodec.stream.order import Order, no_access_point
from refcodec.stream.parsing import CodedUnit
from refcodec.stream.windows import windows_of
from refcodec.syntax.codes import FeatureType
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["Access", "Catalogue", "described"]

Feature = npt.NDArray[Any]


class Catalogue:
    """The coded units of all streams of a source; the same for all threads.

    first : number of the first feature of each stream; one entry more, the number of features.
    """

    def __init__(self, directories: Sequence[Directory]) -> None:
        self.directories = directories
        self.first = [0]
        for directory in directories:
            self.first.append(self.first[-1] + len(directory))

    def __len__(self) -> int:
        return self.first[-1]

    def locate(self, number: int) -> tuple[Directory, int, int]:
        """The stream of a feature, its coded unit there, and which of the unit's features it is."""
        stream = bisect_right(self.first, number) - 1
        directory, number = self.directories[stream], number - self.first[stream]
        entry = bisect_right(directory.first, number) - 1
        return directory, entry, number - int(directory.first[entry])


@dataclass
class _Run:
    """A sequence that is being decoded from its access point on, some units at a time.

    start    : its stream, and the entry of the access point.
    windows  : what is still to be decoded.
    features : of the window that was decoded last, by the positions of their units.
    """

    start: tuple[Directory, int] | None = None
    windows: Iterator[list[CodedUnit]] = field(default_factory=lambda: iter(()))
    sequences: Sequences = field(default_factory=dict)
    features: dict[int, Feature] = field(default_factory=dict)


class Access:
    """Decoding by number, for one thread: it remembers what it read last.

    A feature of a sequence takes decoding from its access point on, window by window; the window is kept,
    so that reading a sequence in order costs no more than once through.
    """

    def __init__(
        self, catalogue: Catalogue, machine: Machine, decode: Decode = decode_window
    ) -> None:
        self._catalogue = catalogue
        self._machine = machine
        self._decode = decode
        self._last: tuple[Directory, int, CodedUnit] | None = None
        self._run = _Run()

    def features(self, numbers: Sequence[int]) -> Iterator[Feature]:
        """Features by their numbers, in that order; those coded alone are decoded together."""
        for predicted, group in groupby(numbers, key=self._is_predicted):
            if predicted:
                yield from map(self._predicted, group)
                continue
            for window in windows_of(self._parts(group)):
                for decoded in self._decode(window, self._machine, {}):
                    yield from decoded.features

    def channels(self, number: int, first: int, stop: int) -> Feature:
        """Channels from ``first`` up to ``stop`` of a feature, without the others where they stand apart.

        Raises CallerError for channels that it does not have.
        """
        unit = self._alone(number)
        if not 0 <= first < stop <= unit.fps.channels:
            raise CallerError(
                f"feature {number} has no channels {first} to {stop}",
                hint=f"it has {unit.fps.channels}",
            )
        found = None
        if not unit.fps.temporal_prediction_flag:
            found = decode_channels(unit, self._machine, range(first, stop))
        if found is not None:
            return found
        tokens = unit.fps.feature_type == FeatureType.TOKENS
        volume = volume_of(next(self.features([number])), tokens=tokens)
        return of_layer(volume[first:stop], replace(unit.fps, head_count=0))

    def _is_predicted(self, number: int) -> bool:
        directory, entry, _ = self._catalogue.locate(number)
        return bool(self._unit(directory, entry).fps.temporal_prediction_flag)

    def _alone(self, number: int) -> CodedUnit:
        """The coded unit of a feature, as if it held nothing else."""
        (unit,) = self._parts([number])
        return unit

    def _parts(self, numbers: Iterable[int]) -> Iterator[CodedUnit]:
        """The coded units of features, as if they held nothing else: each those that follow one another."""
        unit, at, wanted = None, None, list[int]()
        for directory, entry, within in map(self._catalogue.locate, numbers):
            if at != (id(directory), entry):
                yield from _parts_of(unit, wanted)
                unit, at, wanted = self._unit(directory, entry), (id(directory), entry), []
            wanted.append(within)
        yield from _parts_of(unit, wanted)

    def _unit(self, directory: Directory, entry: int) -> CodedUnit:
        """A coded unit, which is kept until another one is asked for."""
        last = self._last
        if last is None or last[0] is not directory or last[1] != entry:
            self._last = last = directory, entry, directory.unit(entry)
        return last[2]

    def _predicted(self, number: int) -> Feature:
        directory, entry, _ = self._catalogue.locate(number)
        offset, run = int(directory.offsets[entry]), self._run
        same = run.start is not None and run.start[0] is directory
        if not (same and offset in run.features):
            start = directory, self._access_point(directory, entry)
            passed = max(run.features, default=0) > offset
            if not same or run.start != start or passed:
                units = _units_from(directory, start[1])
                self._run = run = _Run(start, windows_of(units))
            self._decode_until(run, directory, entry)
        return run.features[offset].copy()  # the next caller gets what this one did

    def _decode_until(self, run: _Run, directory: Directory, entry: int) -> None:
        """Decode windows of a sequence until one holds a unit. Raises StreamError where none does."""
        offset = int(directory.offsets[entry])
        try:
            for window in run.windows:
                run.features = {}
                for decoded in self._decode(window, self._machine, run.sequences):
                    run.features[decoded.unit.offset] = decoded.features[0]
                if offset in run.features:
                    return
        except StreamError:
            run.start = None  # what comes after must find the error anew
            if offset not in run.features:
                raise
        else:
            if offset not in run.features:
                raise no_access_point(self._unit(directory, entry))

    def _access_point(self, directory: Directory, entry: int) -> int:
        """The entry at which decoding must begin to reach another one of its sequence."""
        wanted = self._unit(directory, entry)
        if wanted.access_point:
            return entry
        for other in range(entry - 1, -1, -1):
            if directory.access_points[other]:
                unit = directory.unit(other)
                if unit.fps.fps_id == wanted.fps.fps_id:
                    if unit.fps != wanted.fps:  # replaced since: the sequence has no beginning
                        break
                    if unit.access_point:
                        return other
        return entry  # where decoding fails, and says why


def _parts_of(unit: CodedUnit | None, wanted: list[int]) -> Iterator[CodedUnit]:
    """A coded unit that holds the wanted ones of its features; several, where one is wanted many times."""
    if unit is None:
        return
    whole = len(unit.payloads)
    if wanted == list(range(whole)):
        yield unit
        return
    for start in range(0, len(wanted), whole):
        payloads = tuple(unit.payloads[i] for i in wanted[start : start + whole])
        yield replace(unit, payloads=payloads, samples=unit.samples // whole * len(payloads))


def _units_from(directory: Directory, start: int) -> Iterator[CodedUnit]:
    """Units of one sequence, from its access point up to the next one. Raises StreamError."""
    order = Order(directory.walk.limits)
    fps = None
    for entry in range(start, len(directory.offsets)):
        visit = directory.visit(entry)
        unit = visit.coded
        assert unit is not None
        fps = unit.fps if fps is None else fps
        if unit.fps.fps_id != fps.fps_id:
            continue
        if entry > start and (unit.access_point or unit.fps != fps):  # another one may replace it
            return
        for error in order.check_sequence(unit):
            raise error
        order.accept(visit.unit, visit.content, unit)
        yield unit


def described(fps: FeatureParameterSet) -> str:
    """The features of a parameter set in a few words: shape, type and coder."""
    shape = " x ".join(map(str, layer_shape(fps)))
    return f"{shape} {fps.source_type.name.lower()} {record_of(fps.coder_id).name}"
