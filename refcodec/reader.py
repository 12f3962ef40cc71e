"""Reading: the features of a stream in order or by number.

with refcodec.open("features.dfc") as r:
    len(r), r[17], r[-1], r[3:9], r[[4, 0, 4]], r.parameters, r.metadata
    for feature in r: ...
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import chain
from types import TracebackType
from typing import Any, Self, cast

import numpy.typing as npt

from refcodec.arrays import gather
from refcodec.asked import asked_level, asked_machine
from refcodec.catalogue import Access, Catalogue, described
from refcodec.coders.protocol import Violations
from refcodec.decoder import Decode, DecodedUnit, Sequences, check_unit_hashes, decode_window
from refcodec.errors import CallerError, StreamError
from refcodec.latents import decode_latents
from refcodec.numbers import numbers_of
from refcodec.salvage import salvaged_units
from refcodec.sequences import Joining, TokenSequence, sequences_of
from refcodec.sources import Anything, Pipe, Source, StreamWindow, open_source
from refcodec.stream.arriving import Arriving, windows_at_hand
from refcodec.stream.directory import Directory
from refcodec.stream.index import CodedUnitTable
from refcodec.stream.limits import check_level
from refcodec.stream.parsing import UnitHash
from refcodec.stream.salvage import Gap, SalvageWalk, merged
from refcodec.stream.walk import Walk, arriving_units, coded_units
from refcodec.stream.windows import windows_of
from refcodec.syntax.structures import (
    SIGNATURE,
    STREAM_HEADER_SIZE,
    FeatureParameterSet,
    StreamHeader,
)
from refcodec.syntax.units import ByteSource, parse_stream_header
from refcodec.tables import HIGHEST_LEVEL
from refcodec.tensors import converter

__all__ = ["Reader", "decode", "open_stream"]

Feature = npt.NDArray[Any]


class _PipeError(CallerError, TypeError):
    """An operation needs seeking, and the source is a pipe; a TypeError tells ``list()`` "no length"."""


class Reader:
    """The features of a stream, in order or by number.

    ``len(r)``, ``r[k]``, ``for f in r``; ``r[a:b]`` and ``r[[i, j]]`` are lists of features. ``r.parameters``
    lists the feature parameter sets, ``r.metadata`` holds the texts stored with them. A source that cannot
    seek allows iteration only. Streams that follow one another in a file are read as one.

    Iteration reads and checks every unit and needs no index; ``r[k]`` reads only the units that feature k
    depends on. Both raise StreamError if the stream is at fault.

    Threads may share a reader, and so may forked processes if the source is a path, a regular file or memory.
    A pickled reader opens its path again when it is unpickled. A source that cannot be shared raises
    CallerError.
    """

    def __init__(
        self,
        source: Anything,
        *,
        max_level: int = HIGHEST_LEVEL,
        ffmpeg: str | None = None,
        timeout: float | None = None,
        like: str = "numpy",
        salvage: bool = False,
        models: Any = None,
        workers: int | None = 1,
        output: str = "features",
    ) -> None:
        self._asked = {
            "max_level": asked_level(max_level),
            "ffmpeg": ffmpeg,
            "timeout": timeout,
            "like": like,
            "salvage": bool(salvage),
            "models": models,
            "workers": workers,
            "output": output,
        }
        self._decode = _decode_of(output, salvage)
        place = source if not isinstance(source, Source) else source.name
        self._machine = asked_machine(ffmpeg, timeout, models, place, workers)
        self._convert = converter(like) if output == "features" else _as_it_is
        self._salvages = bool(salvage)
        origin = source if isinstance(source, Source) else open_source(source)
        try:
            if salvage and isinstance(origin, Pipe):
                origin = open_source(origin.read_all())
            self._origin: Source | Pipe = origin
            self._pipe = origin if isinstance(origin, Pipe) else None
            self._arriving = None if self._pipe is None else Arriving(self._pipe)
            first = self._arriving or self._stream(0)
            self.header = self._header_of(first)
        except BaseException:
            origin.close()
            raise
        self.met = Walk(self.header)  # what reading in order has met so far
        self._exhausted = False
        self._walks: list[Walk] = []  # of a pipe
        self._found: Catalogue | None = None
        self._missing: list[Gap] | None = None if salvage else []
        self._of_thread = threading.local()

    header: StreamHeader
    """The stream header: version, profile_idc, level_idc."""

    def __reduce__(self) -> tuple[Any, ...]:
        self._origin.require_open()
        return _opened_again, (self._origin, self._asked)

    def __repr__(self) -> str:
        facts = [self._origin.name]
        if self._origin.closed:
            facts.append("closed")
        try:
            if self._found is not None or self._is_cheap():
                facts.append(f"{len(self._catalogue):,} features")
                sets = self.parameters
            else:
                sets = [fps for walk in self._walks for fps in walk.parameter_sets.values()]
            facts += dict.fromkeys(map(described, sets[:4]))
            facts += ["..."] * (len(sets) > 4)
        except (StreamError, CallerError) as error:
            facts.append(error.what)
        return f"<refcodec.Reader: {', '.join(facts)}>"

    def _is_cheap(self) -> bool:
        """Whether the units can be found without passing over much of the source."""
        source = self._origin
        if isinstance(source, Pipe) or source.closed or self._salvages:
            return False
        return source.size() < _SMALL or Directory.has_index(StreamWindow(source))

    # -- properties of the stream

    @property
    def parameters(self) -> list[FeatureParameterSet]:
        """The feature parameter sets in force at the end, by their ids; of a pipe, those in force so far."""
        return [fps for walk in self._all_walks() for _, fps in sorted(walk.parameter_sets.items())]

    @property
    def metadata(self) -> dict[str, str]:
        """Text stored in the stream, by key; of a pipe, what was met so far."""
        found: dict[str, str] = {}
        for walk in reversed(self._all_walks()):
            found |= walk.metadata
        return found

    @property
    def missing(self) -> list[Gap]:
        """Damaged parts of the stream that salvage has left out, in order; found by decoding all of it."""
        if self._missing is None:
            for _ in self._salvage():
                pass
        return list(self._missing or [])

    def __len__(self) -> int:
        self._origin.require_open()
        return len(self._catalogue)

    def _all_walks(self) -> list[Walk]:
        if self._pipe is not None:
            return self._walks
        return [directory.walk for directory in self._catalogue.directories]

    @property
    def _catalogue(self) -> Catalogue:
        if self._found is None:  # threads may do this at once: they find the same
            if self._salvages:
                for _ in self._salvage():
                    pass
            else:
                self._found = Catalogue(list(self._directories()))
        assert self._found is not None
        return self._found

    def _directories(self) -> Iterator[Directory]:
        header, start = self.header, 0
        while True:
            stream = self._stream(start)
            directory = Directory.of(stream, header)
            yield directory
            if directory.following is None:
                return
            start += directory.following
            header = self._header_of(self._stream(start))

    def _stream(self, start: int) -> StreamWindow:
        """The stream at that byte of the source."""
        if isinstance(self._origin, Pipe):
            raise _PipeError(
                "this source cannot seek: it allows iteration only",
                hint="write the pipe to a file first",
            )
        return StreamWindow(self._origin, start)

    def _header_of(self, source: ByteSource, begun: bytes = b"") -> StreamHeader:
        """The stream header at the position of a source. Raises StreamError."""
        data = begun
        while len(data) < STREAM_HEADER_SIZE:
            more = source.read(STREAM_HEADER_SIZE - len(data))
            if not more:
                break
            data += more
        header = parse_stream_header(data)
        for error in check_level(header, cast("int", self._asked["max_level"])):
            raise error
        return header

    # -- features in order

    def __iter__(self) -> Iterator[Feature]:
        self._origin.require_open()
        if self._salvages:
            return self._given(self._salvage())
        return self._given(one for unit in self._in_order() for one in unit.features)

    def _given(self, features: Iterator[Feature]) -> Iterator[Feature]:
        """Features as they are wanted, as long as the reader is open."""
        for feature in features:
            yield self._convert(feature)
            self._origin.require_open()

    def arrays(self) -> Iterator[Any]:
        """The features in order, those of a sequence of tokens joined to one array, where it begins.

        Raises CallerError for a stream that is salvaged, whose sequences may have gaps.
        """
        self._origin.require_open()
        if self._salvages:
            raise CallerError(
                "arrays of a damaged stream have gaps", hint="iterate over its features"
            )
        return self._given(self._joined())

    def _joined(self) -> Iterator[Any]:
        joining = Joining()
        for unit in self._in_order():
            yield from joining.add(unit)
        yield from joining.rest()

    def _in_order(self) -> Iterator[DecodedUnit]:
        for walk, source in self._streams():
            sequences: Sequences = {}
            released = _Released(self._arriving)
            if self._arriving is None or self._decode is not decode_window:
                windows = windows_of(coded_units(walk, source))
            else:
                windows = windows_at_hand(arriving_units(walk, source, arrival=released))
            for window in windows:
                for unit in self._decode(window, self._machine, sequences):
                    released.last = unit
                    yield unit

    def _streams(self) -> Iterator[tuple[Walk, ByteSource]]:
        """Each stream of the source, from the front; to be gone through before the next one."""
        header, start = self.header, 0
        if self._pipe is not None:
            if self._exhausted:
                raise CallerError("a pipe can be read once", hint="write it to a file first")
            self._exhausted = True
        while True:
            source: ByteSource = self._arriving or self._stream(start).at(STREAM_HEADER_SIZE)
            self.met = walk = Walk(header, joined=True)
            if self._pipe is not None:
                self._walks.append(walk)
            yield walk, source
            if walk.following is None:
                return
            start += walk.following
            header = self._header_of(source, SIGNATURE)

    def _salvage(self) -> Iterator[Feature]:
        """Features that are whole, in order; the last of them comes with a list of what is missing."""
        header, start = self.header, 0
        gaps: list[Gap] = []
        directories = []
        while True:
            stream = self._stream(start)
            walk = SalvageWalk(header, stream)
            table = CodedUnitTable()
            for decoded in salvaged_units(walk, stream, self._machine):
                unit = decoded.unit
                table.add(unit.offset, len(decoded.features), unit.access_point)
                yield from decoded.features
            directories.append(Directory.of_table(stream, walk, table))
            gaps += [gap.moved(start) for gap in walk.settled(len(directories[-1]))]
            if walk.following is None:
                break
            start += walk.following
            header = self._header_of(self._stream(start))
        self._found, self._missing = Catalogue(directories), merged(gaps)

    # -- features by number

    def __getitem__(self, key: Any) -> Any:
        """The feature of a number; of a slice, or a list of numbers, a list of features."""
        self._origin.require_open()
        numbers = numbers_of(key, len(self))
        if isinstance(numbers, int):
            return next(self._features([numbers]))
        return list(self._features(numbers))

    def __getitems__(self, numbers: Sequence[int]) -> list[Any]:
        """Features by their numbers: what a data loader asks for a batch."""
        found: list[Any] = self[list(numbers)]
        return found

    def channels(self, number: int, first: int, stop: int) -> Any:
        """Channels from ``first`` up to ``stop`` of a feature, c x H x W; values, where it is a vector.

        Only their substreams are decoded where the feature has several (``substreams`` of the encoder), and
        its sample hash is not verified; else the feature is decoded as a whole. Raises as ``r[k]`` does, and
        CallerError for channels that the feature does not have.
        """
        self._origin.require_open()
        if self._decode is not decode_window:
            raise CallerError("latents are read whole", hint="read features, or r[k]")
        (found,) = cast("Sequence[int]", numbers_of([number], len(self)))
        return self._convert(self._access().channels(found, first, stop))

    @property
    def sequences(self) -> list[TokenSequence]:
        """The sequences of tokens, in the order in which they begin: ``r.sequences[0][128:256]``."""
        self._origin.require_open()
        features = self._access().features
        return sequences_of(self._catalogue, self.metadata, features, self._convert)

    def _features(self, numbers: Sequence[int]) -> Iterator[Any]:
        """Features by their numbers."""
        return map(self._convert, self._access().features(numbers))

    def _access(self) -> Access:
        """Access by number, with what this thread remembers."""
        access = getattr(self._of_thread, "access", None)
        if access is None:
            access = self._of_thread.access = Access(self._catalogue, self._machine, self._decode)
        return access

    # -- closing

    @property
    def closed(self) -> bool:
        """True once the reader was closed."""
        return self._origin.closed

    def close(self) -> None:
        """Close the reader, and the file if the reader opened it."""
        self._origin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


_SMALL = 16 << 20
"""Bytes of a source over which a reader passes in order to tell what it is."""


class _Released:
    """What was yielded of a stream that is still arriving, and how to see whether more is there."""

    def __init__(self, source: Arriving | None) -> None:
        self._source = source
        self.last: DecodedUnit | None = None

    def ready(self) -> bool:
        """Whether the next unit can be read without waiting."""
        return self._source is None or self._source.holds_unit()

    def check_late(self, one: UnitHash) -> Violations:
        """Check a hash unit that came after its features were yielded."""
        assert self.last is not None
        return check_unit_hashes([one], self.last.samples, self.last.features)


def _decode_of(output: str, salvage: bool) -> Decode:
    """The function that decodes units to what is wanted. Raises CallerError."""
    if output not in ("features", "latents"):
        raise CallerError(f"output is {output!r:.60}; it is features or latents")
    if output == "latents" and salvage:
        raise CallerError("latents of a damaged stream are not salvaged", hint="salvage features")
    return decode_window if output == "features" else decode_latents


def _as_it_is(latents: Any) -> Any:
    """Latents, which have no other form."""
    return latents


def _opened_again(source: Source, asked: dict[str, Any]) -> Reader:
    """A reader that was pickled."""
    return Reader(source, **asked)


def open_stream(
    source: Anything,
    *,
    max_level: int = HIGHEST_LEVEL,
    ffmpeg: str | None = None,
    timeout: float | None = None,
    like: str = "numpy",
    salvage: bool = False,
    models: Any = None,
    workers: int | None = 1,
    output: str = "features",
) -> Reader:
    """Open a stream for reading: a path, bytes, a buffer of bytes, or a binary file object.

    max_level : highest level to accept; bounds the memory that a stream can ask for.
    ffmpeg    : program that decodes payloads of video; None for the bundled one.
    timeout   : seconds for one run of it; None for a bound that grows with the work.
    like      : ``"torch"`` for tensors that share the memory of the arrays (`to_torch`).
    salvage   : give what is whole of a damaged stream; `Reader.missing` says what is not.
    models    : models of latents that the stream names without holding them: a model, a ``.dfcm`` file,
                a folder of them, or several. The stream's folder and ``REFCODEC_MODELS`` are searched too.
    workers   : threads that decode features, or substreams of one; None for one per processor. Coders whose
                work is in kernels or ffmpeg gain by them.
    output    : ``"latents"`` for latents of the coder learned, `refcodec.latents.FeatureLatents`, without
                synthesising features.

    Raises StreamError if the stream is at fault, CallerError if the source is.
    """
    return Reader(
        source,
        max_level=max_level,
        ffmpeg=ffmpeg,
        timeout=timeout,
        like=like,
        salvage=salvage,
        models=models,
        workers=workers,
        output=output,
    )


def decode(
    source: Anything,
    *,
    max_level: int = HIGHEST_LEVEL,
    ffmpeg: str | None = None,
    timeout: float | None = None,
    like: str = "numpy",
    models: Any = None,
    workers: int | None = 1,
    output: str = "features",
) -> Any:
    """Decode a stream of one feature, of a batch, or of arrays by name, as `encode` made it.

    source                  : bytes, or anything else that `open_stream` takes.
    like                    : ``"torch"`` for tensors that share the memory of the arrays.
    models, workers, output : as of `open_stream`.

    Returns an array of the feature's own shape and type (a type of numpy or ``ml_dtypes``): C x H x W for
    conv and pool, D for fc, T x D or heads x T x D for tokens; a batch has one more axis in front. Arrays by
    name are a dict. Latents are one `FeatureLatents`, or a list of those of several features.

    Raises StreamError where the stream is at fault; CallerError where it holds several features of which
    nothing says what they are together.
    """
    convert = converter(like)
    with Reader(
        source,
        max_level=max_level,
        ffmpeg=ffmpeg,
        timeout=timeout,
        models=models,
        workers=workers,
        output=output,
    ) as reader:
        features = reader.arrays()
        first = next(features, None)
        if first is None:
            raise CallerError("the stream holds no feature", hint="use refcodec.open")
        if output == "latents":
            return [first, *rest] if (rest := list(features)) else first
        found = gather(chain([first], features), reader.met.metadata)
    if isinstance(found, dict):
        return {name: convert(array) for name, array in found.items()}
    return convert(found)
