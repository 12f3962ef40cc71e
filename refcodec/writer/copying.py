"""Streams copied into another one: payloads as they are, under the numbers of their new parameter sets."""

from __future__ import annotations

import logging
import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from itertools import count

from refcodec.config import EncoderConfig
from refcodec.errors import CallerError, StreamError
from refcodec.sources import Anything, Pipe, StreamWindow, open_source
from refcodec.stream.directory import Directory
from refcodec.stream.limits import check_level
from refcodec.stream.walk import Visit, Walk, coded_units
from refcodec.syntax.codes import Coder, UnitType
from refcodec.syntax.structures import (
    CODED_FEATURE,
    CODED_FEATURE_BATCH,
    STREAM_HEADER_SIZE,
    CodedFeature,
    CodedFeatureBatch,
    FeatureParameterSet,
    Hash,
    ModelUnit,
    StreamHeader,
)
from refcodec.syntax.units import parse_stream_header
from refcodec.writer.limits import StreamLimits
from refcodec.writer.numbering import content_of
from refcodec.writer.output import Target, open_output
from refcodec.writer.sink import Sink

__all__ = ["Part", "concat", "joined_metadata"]

_log = logging.getLogger("refcodec")


def concat(
    target: Target,
    sources: Sequence[Anything],
    *,
    exist_ok: bool | None = None,
    metadata: Mapping[str, str] | None = None,
    index: bool | None = None,
    level: int | None = None,
) -> int:
    """Join streams, one after the other, without coding anything anew; returns the number of features.

    target   : as of :func:`create`; may be one of the sources.
    sources  : paths, bytes, or binary file objects that can seek.
    exist_ok : whether an existing file may be replaced; None for yes, with a warning.
    metadata : text by key, which goes before that of the sources. They are merged; a key that has two values
               in them is refused, unless it is here.
    index    : whether to write an index; None for where there is more than one unit to find.
    level    : level to declare; None for the highest of the sources.

    Raises StreamError where a source is at fault; CallerError where they do not fit together.
    """
    if isinstance(sources, (str, bytes, os.PathLike)):
        raise CallerError("concat takes a list of streams")
    own = dict(metadata or {})
    config = EncoderConfig(coder="raw", index=index, level=level, metadata=own)
    with ExitStack() as stack:
        parts = [Part.open(stack, source, f"stream {i}") for i, source in enumerate(sources)]
        texts = joined_metadata(parts, config.metadata)
        output = open_output(stack, target, exist_ok)
        limits = StreamLimits(config, Coder.RAW, revisable=output.seekable)
        for part in parts:
            limits.join(part.header, part.name)
        sink = Sink(output.file, output.name, limits, seekable=output.seekable)
        sink.begin(texts)
        for part in parts:
            part.copy(sink)
        sink.finish(index=config.index, level=config.level)
    return sink.written


class Part:
    """A stream to copy.

    name   : in messages.
    header : its stream header.
    """

    def __init__(self, stream: StreamWindow, name: str) -> None:
        self.name = name
        self._stream = stream
        with _naming(name):
            self.header: StreamHeader = parse_stream_header(stream.read_whole(STREAM_HEADER_SIZE))
            for error in check_level(self.header):
                raise error

    @classmethod
    def open(cls, stack: ExitStack, source: Anything, name: str = "") -> Part:
        """Open a stream until the stack closes. Raises StreamError, CallerError."""
        if isinstance(source, (str, os.PathLike)):
            name = os.fspath(source)
        origin = open_source(source)
        stack.callback(origin.close)
        if isinstance(origin, Pipe):
            raise CallerError(f"{origin.name} cannot seek", hint="write the pipe to a file first")
        return cls(StreamWindow(origin), name)

    @cached_property
    def metadata(self) -> dict[str, str]:
        """Text by key."""
        with _naming(self.name):
            return dict(Directory.of(self._stream, self.header).walk.metadata)

    def copy(self, sink: Sink) -> None:
        """Copy all features and their hash units. Raises StreamError where the stream is at fault."""
        walk = _Copying(self.header, sink, self.name)
        with _naming(self.name):
            for _ in coded_units(walk, self._stream.at(STREAM_HEADER_SIZE)):
                pass


class _Copying(Walk):
    """A walk that hands what it accepts to a sink."""

    def __init__(self, header: StreamHeader, sink: Sink, name: str) -> None:
        super().__init__(header)
        self._sink = sink
        self._name = name
        # content and rank of the parameter sets in force, by fps_id
        self._ranks: dict[int, tuple[Hashable, int]] = {}
        self._model_ids: dict[int, int] = {}  # those in the copy, by those in the original

    def accept(self, visit: Visit) -> None:
        """Take note of a unit, and copy it."""
        content, unit = visit.content, visit.unit
        if isinstance(content, FeatureParameterSet):
            self._replace(content)
        super().accept(visit)
        match content:
            case ModelUnit():
                kind = UnitType(unit.unit_type)
                self._model_ids[content.model_id] = self._sink.put_model(kind, content)
            case CodedFeature() | CodedFeatureBatch():
                assert visit.coded is not None
                _, rank = self._ranks[content.fps_id]
                fps = self._sink.put_parameter_set(self._copied(visit.coded.fps), rank)
                payload = unit.payload
                if fps.fps_id != content.fps_id:
                    structure = (
                        CODED_FEATURE if isinstance(content, CodedFeature) else CODED_FEATURE_BATCH
                    )
                    payload = structure.build_whole({**content, "fps_id": fps.fps_id}, fps=fps)
                features, access = len(visit.coded.payloads), visit.coded.access_point
                self._sink.put_coded(UnitType(unit.unit_type), payload, features, access)
            case Hash():
                self._sink.put_hash(unit.payload)
            case None:
                _log.warning(
                    "%s: units of the unknown type %d are left out", self._name, unit.unit_type
                )

    def _copied(self, fps: FeatureParameterSet) -> FeatureParameterSet:
        """A parameter set as the copy has it: its models may have other numbers there."""
        numbers = self._model_ids
        if fps.model_id is not None:
            fps = replace(fps, model_id=numbers[fps.model_id])
        if fps.context_model_id is not None:
            fps = replace(fps, context_model_id=numbers[fps.context_model_id])
        return fps

    def _replace(self, fps: FeatureParameterSet) -> None:
        """Give a parameter set a rank among those in force that say the same."""
        if fps.fps_id in self._ranks:
            _, rank = self._ranks.pop(fps.fps_id)
            self._sink.release_parameter_set(self._copied(self.parameter_sets[fps.fps_id]), rank)
        content = content_of(fps)
        taken = {rank for other, rank in self._ranks.values() if other == content}
        self._ranks[fps.fps_id] = content, next(rank for rank in count() if rank not in taken)


def joined_metadata(parts: Sequence[Part], own: Mapping[str, str]) -> dict[str, str]:
    """The metadata of several streams. Raises CallerError for a key with two values that ``own`` lacks."""
    joined: dict[str, str] = {}
    origin: dict[str, str] = {}
    for part in parts:
        for key, value in part.metadata.items():
            if key not in own and joined.setdefault(key, value) != value:
                raise CallerError(
                    f"the metadata {key!r} is {joined[key]!r:.40} in {origin[key]} and "
                    f"{value!r:.40} in {part.name}",
                    hint=f"say which: metadata {key}=...",
                )
            origin.setdefault(key, part.name)
    return {**joined, **own}


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Name the stream in its errors."""
    try:
        yield
    except StreamError as error:
        error.what = f"{name}: {error.what}"
        raise
