"""Writing: features into a stream, in order, to a file or a pipe.

    with refcodec.create("features.dfc", coder="hevc", qp=27) as w:
        for feature in features:
            w.write(feature)

The writer gathers features that can share a run of ffmpeg or a batch unit, has them coded together, and
keeps book for the index. A path receives its file whole or not at all.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from refcodec.coders import Advice
from refcodec.config import EncoderConfig
from refcodec.constraints import (
    LARGEST_BATCH,
    PROFILE_CODERS,
    element_count,
    smallest_level,
)
from refcodec.decoder import sample_hash, unit_hash
from refcodec.encoder import Coded, Feature, Group, as_feature, coder_of
from refcodec.errors import CallerError
from refcodec.files import atomic_file, storage_error
from refcodec.pack import layout_of
from refcodec.quantise import dequantise
from refcodec.syntax.codes import Coder, HashTarget, Profile, UnitType
from refcodec.syntax.structures import (
    CODED_FEATURE,
    CODED_FEATURE_BATCH,
    END,
    FEATURE_PARAMETER_SET,
    HASH,
    INDEX,
    METADATA,
)
from refcodec.syntax.units import build_stream_header, build_unit
from refcodec.tables import HIGHEST_LEVEL, level

if TYPE_CHECKING:
    from refcodec.coders.native.encoder.choice import Choice

__all__ = ["Writer", "create", "encode"]

_PENDING_BYTES = 32 << 20
"""Source bytes that wait for others to share a run of ffmpeg."""

_PENDING_FEATURES = 1024

_PIPE_LEVEL = 3
"""Level declared on a pipe, whose header cannot be mended at the end."""

_MOST_PARAMETER_SETS = 256


class _Pending(NamedTuple):
    group: Group
    feature: Feature  # C x H x W
    qps: tuple[float, ...]
    advice: Advice


class _Entry(NamedTuple):
    """What the index says of a coded unit."""

    offset: int
    features: int
    access_point: bool


class Writer:
    """Writes features to a stream, in order. Made by :func:`create`; closed by ``with``.

    A path is written under a hidden name and renamed at the end, so that what stood there before stays
    until the new file is whole. After an error the new file is dropped.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        config: EncoderConfig,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._config = config
        self._progress = progress
        self._groups: dict[Any, Group] = {}
        self._pending: list[_Pending] = []
        self._pending_bytes = 0
        self._entries: list[_Entry] = []
        self._parameter_set_offsets: dict[int, int] = {}
        self._written = 0
        self._position = 0
        self._level = 1
        self._closed = False
        self._stack = ExitStack()
        if isinstance(target, (str, os.PathLike)):
            self._name = os.fspath(target)
            self._target: BinaryIO = self._stack.enter_context(atomic_file(target))
        else:
            self._name = str(getattr(target, "name", "the output"))
            self._target = target
        appends = "a" in str(getattr(target, "mode", ""))  # every write goes to the end
        self._seekable = self._target.seekable() and not appends
        self._origin = self._target.tell() if self._seekable else 0
        self._declared = config.level or (HIGHEST_LEVEL if self._seekable else _PIPE_LEVEL)
        try:
            profile = _profile_of(coder_of(config))
            self._profile = Profile.LOSSLESS if self._seekable else profile
            self._put(build_stream_header(profile, self._declared))
            if config.metadata:
                self._put_unit(UnitType.METADATA, _metadata(config.metadata))
        except BaseException as error:
            self._abandon(error)
            raise

    # -- taking features

    def write(
        self,
        feature: Any,
        *,
        qp: float | Sequence[int] | None = None,
        weights: Any = None,
        spectral: bool = False,
        choice: Choice | None = None,
        config: EncoderConfig | None = None,
    ) -> int:
        """Add a feature; returns its number.

        feature  : numpy array or torch tensor, C x H x W or D.
        qp       : QP of this feature, one or one a channel; None for the configuration's.
        weights  : what a squared error costs, relative to others: one a channel, or C x H x W (native; of no
                   effect on vectors, and with the speed ``fast``, which only rounds).
        spectral : whether weights C x H x W belong to the frequencies of the whole map (its cosine
                   transform), instead of to its samples.
        choice   : levels and blocks to code instead of those that the encoder would choose (native).
        config   : a configuration for this feature; what it says of the stream (index, level, metadata)
                   is not used. Features of another configuration, shape or type get a feature parameter
                   set of their own.

        Raises CallerError. Features are coded some at a time: other errors may come with a later call.
        """
        if self._closed:
            raise CallerError("the writer is closed")
        chosen = config or self._config
        if qp is not None:
            chosen = chosen.but(qp=qp)
        array = as_feature(feature, chosen)
        channels = array.shape[0]
        if chosen.order is not None and sorted(chosen.order) != list(range(channels)):
            raise CallerError(f"order is no permutation of {channels} channels")
        qps = chosen.qp if isinstance(chosen.qp, tuple) else (chosen.qp,) * channels
        if len(qps) != channels:
            raise CallerError(
                f"{len(qps)} QPs for {channels} channels", hint="give one QP, or one a channel"
            )
        volume = array if array.ndim == 3 else array.reshape(-1, 1, 1)
        if (weights is not None or choice is not None) and chosen.coder != "native":
            raise CallerError(
                f"weights and chosen levels are for the coder native; this is {chosen.coder}"
            )
        if choice is not None and (
            chosen.aims or chosen.gop or choice.levels.shape != volume.shape
        ):
            raise CallerError("chosen levels have the feature's shape, and neither target nor gop")
        costs = None if weights is None else _as_weights(weights, volume.shape)
        group = self._group_of(array, chosen, qps)
        self._require_level(group, volume, qps)
        self._pending.append(_Pending(group, volume, qps, Advice(costs, spectral, choice)))
        self._pending_bytes += array.nbytes
        number = self._written + len(self._pending) - 1
        if self._pending_bytes >= _PENDING_BYTES or len(self._pending) >= _PENDING_FEATURES:
            try:
                self._flush()
            except BaseException as error:  # what waited is lost: no whole file can come of it
                self._abandon(error)
                raise
        return number

    def _group_of(self, array: Feature, config: EncoderConfig, qps: tuple[float, ...]) -> Group:
        """The group of a feature; the first feature of a group decides its grid."""
        common = config.but(qp=0)
        signed = config.lossy_quantiser == "log" and bool((array < 0).any())
        key = (repr(common), array.shape, array.dtype, signed)
        if key not in self._groups:
            if len(self._groups) == _MOST_PARAMETER_SETS:
                raise CallerError(f"a stream has at most {_MOST_PARAMETER_SETS} parameter sets")
            self._groups[key] = Group(len(self._groups), common, array, qps)
        return self._groups[key]

    def _require_level(self, group: Group, volume: Feature, qps: tuple[float, ...]) -> None:
        """Raise CallerError where a feature exceeds the level, or the profile, already declared."""
        fps, side, samples = group.fps, 0, 0
        if fps.coder_id == Coder.HEVC:
            layout = layout_of(fps, group.parameters(qps))
            side = max(layout.frame_height, layout.frame_width)
            samples = len(layout.qps) * layout.frame_height * layout.frame_width
        self._require_profile(fps.coder_id)
        unit = volume.nbytes + 8 * fps.channels + 65_536
        needed = smallest_level(fps.channels, volume.size, side, samples, unit)
        self._require(needed, f"a feature of shape {volume.shape}")

    def _require_profile(self, coder: Coder) -> None:
        """Raise CallerError where no profile has this coder and those before it, or a pipe has begun."""
        if coder in PROFILE_CODERS[self._profile]:
            return
        if self._profile != Profile.LOSSLESS:
            raise CallerError(
                f"no profile has the coders of {self._profile.name.lower()} and {coder.name.lower()} both",
                hint="write two streams",
            )
        if not self._seekable:
            raise CallerError(
                f"the pipe was begun with the lossless profile, without {coder.name.lower()}"
            )
        self._profile = _profile_of(coder)

    def _require(self, needed: int, what: str) -> None:
        """Raise CallerError where level ``needed`` (0: none would do) exceeds the one declared."""
        if not 0 < needed <= self._declared:
            raise CallerError(
                f"{what} exceeds level {self._declared}: {level(self._declared)}",
                hint=f"declare level {needed}" if needed else "make it smaller",
            )
        self._level = max(self._level, needed)

    # -- coding what has been gathered

    def _flush(self) -> None:
        """Code what waits, group by group, and write it in order."""
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        coded = {}
        for group in dict.fromkeys(one.group for one in pending):
            own = [one for one in pending if one.group is group]
            _, features, qps, advice = zip(*own, strict=True)
            coded[group] = iter(group.code(features, qps, advice))
        start = 0
        while start < len(pending):
            group, stop = pending[start].group, start + 1
            while stop < len(pending) and pending[stop].group is group:
                stop += 1
            run = [next(coded[group]) for _ in range(stop - start)]
            self._put_parameter_set(group)
            if group.batched:
                self._put_batches(group, run)
            else:
                for one in run:
                    self._put_feature(group, one)
            start = stop
        if self._progress and pending:
            self._progress(self._written)

    # -- putting units

    def _put(self, data: bytes) -> None:
        with self._storage_errors():
            rest = memoryview(data)
            while rest:  # a raw file may take a part only
                taken = self._target.write(rest)
                if taken is None and not isinstance(self._target, io.RawIOBase):
                    break  # a sink that does not count has taken all
                rest = rest[taken or 0 :]
        self._position += len(data)

    def _put_unit(self, kind: UnitType, payload: bytes) -> None:
        self._require(smallest_level(1, 1, 0, 0, len(payload)), f"a unit of {len(payload)} bytes")
        self._put(build_unit(kind, payload))

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:  # the reader has left: no fault, and not ours to report
            raise
        except OSError as error:
            raise storage_error(error, self._name) from None

    def _put_parameter_set(self, group: Group) -> None:
        if group.fps.fps_id not in self._parameter_set_offsets:
            self._parameter_set_offsets[group.fps.fps_id] = self._position
            payload = FEATURE_PARAMETER_SET.build_whole(group.elements)
            self._put_unit(UnitType.FEATURE_PARAMETER_SET, payload)

    def _put_feature(self, group: Group, one: Coded) -> None:
        fps = group.fps
        elements = {
            "fps_id": fps.fps_id,
            "access_point_flag": int(one.access_point),
            "parameters": one.parameters,
            "sample_hash": sample_hash(one.samples, fps.sample_hash_size),
            "payload": one.payload,
        }
        payload = CODED_FEATURE.build_whole(elements, fps=fps)
        self._put_coded(UnitType.CODED_FEATURE, payload, group, [one])

    def _put_batches(self, group: Group, run: list[Coded]) -> None:
        """Fill batch units up to their limit; a feature too large for one has a unit of its own."""
        fixed = 8 * group.fps.ranges + 64
        most = LARGEST_BATCH // element_count(group.fps)
        start = 0
        while start < len(run):
            size, stop = fixed, start
            while stop < min(len(run), start + most):
                size += len(run[stop].payload) + group.fps.sample_hash_size + 4
                if size > LARGEST_BATCH or not run[stop].shares(run[start]):
                    break
                stop += 1
            if stop == start:
                self._put_feature(group, run[start])
                stop += 1
            else:
                self._put_batch(group, run[start:stop])
            start = stop

    def _put_batch(self, group: Group, batch: list[Coded]) -> None:
        fps = group.fps
        sizes = np.array([len(one.payload) for one in batch])
        base = int(sizes.min())
        elements = {
            "fps_id": fps.fps_id,
            "feature_count_minus1": len(batch) - 1,
            "payload_size_base": base,
            "payload_size_bits": int(sizes.max() - base).bit_length(),
            "payload_size_delta": sizes - base,
            "parameters": batch[0].parameters,
            "sample_hashes": b"".join(sample_hash(x.samples, fps.sample_hash_size) for x in batch),
            "payloads": b"".join(one.payload for one in batch),
        }
        payload = CODED_FEATURE_BATCH.build_whole(elements, fps=fps)
        self._put_coded(UnitType.CODED_FEATURE_BATCH, payload, group, batch)

    def _put_coded(self, kind: UnitType, payload: bytes, group: Group, coded: list[Coded]) -> None:
        self._entries.append(_Entry(self._position, len(coded), coded[0].access_point))
        self._written += len(coded)
        self._put_unit(kind, payload)
        if group.config.hashes:
            decoded = [
                (one.samples, dequantise(one.samples, group.fps, one.parameters)) for one in coded
            ]
            for target in HashTarget:
                elements = {"hash_target": target, "sha256": unit_hash(target, decoded)}
                self._put_unit(UnitType.HASH, HASH.build_whole(elements))

    # -- the end

    def close(self) -> None:
        """Code what waits, write index and end, and give the file its name."""
        if self._closed:
            return
        try:
            self._flush()
            self._put_end()
            if self._seekable:  # now the profile and the least level are known
                declared = self._config.level or self._level
                with self._storage_errors():
                    self._target.seek(self._origin)
                end, self._position = self._position, 0
                self._put(build_stream_header(self._profile, declared))
                with self._storage_errors():
                    self._target.seek(self._origin + end)
            with self._storage_errors():
                self._target.flush()
        except BaseException as error:
            self._abandon(error)
            raise
        self._closed = True
        self._stack.close()

    def _put_end(self) -> None:
        wanted = self._config.index
        if wanted is None:
            wanted = len(self._entries) > 1
        end: dict[str, int] = {}
        if wanted and self._entries:
            end = {"index_offset": self._position, "feature_count": self._written}
            self._put_unit(UnitType.INDEX, self._index())
        payload = END.build_whole(end, unit_size=16 if end else 0)
        self._put_unit(UnitType.END, payload)

    def _index(self) -> bytes:
        offsets, features, access = (
            np.array(column) for column in zip(*self._entries, strict=True)
        )
        distances, counts = np.diff(offsets, prepend=0), features - 1
        return INDEX.build_whole(
            {
                "entry_count": len(offsets),
                "parameter_set_count": len(self._parameter_set_offsets),
                "parameter_set_offset": list(self._parameter_set_offsets.values()),
                "distance_bits": int(distances.max()).bit_length(),
                "features_bits": int(counts.max()).bit_length(),
                "all_access_points_flag": int(access.all()),
                "reserved_ignored_4bits": 0,
                "unit_distance": distances,
                "features_minus1": counts,
                "access_point": access.astype(np.int64),
            }
        )

    def _abandon(self, error: BaseException) -> None:
        """Drop the new file; what stood in its place stays."""
        self._closed = True
        self._stack.__exit__(type(error), error, error.__traceback__)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        elif not self._closed:
            self._abandon(error)


def _profile_of(coder: Coder) -> Profile:
    """The first profile that has a coder: lossless for all that every profile has."""
    return next(profile for profile, coders in PROFILE_CODERS.items() if coder in coders)


def _as_weights(weights: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Weights of squared errors, C x 1 x 1 or C x H x W, 1 on average. Raises CallerError."""
    try:
        array = np.asarray(weights, np.float64)
    except (TypeError, ValueError) as error:
        raise CallerError(f"weights are no array of numbers: {error}") from None
    if array.shape == shape[:1]:
        array = array[:, None, None]
    elif array.shape != shape:
        raise CallerError(
            f"weights of shape {array.shape} for a feature of {shape}: one a channel, or one an element"
        )
    if not (np.isfinite(array).all() and (array >= 0).all() and array.max() > 0):
        raise CallerError("weights are finite, not negative, and not all 0")
    array = array / array.max()
    return np.ascontiguousarray(array / array.mean(), dtype=np.float32)


def _metadata(entries: Any) -> bytes:
    texts = [(str(key).encode(), str(value).encode()) for key, value in entries.items()]
    return METADATA.build_whole(
        {
            "entry_count": len(texts),
            "entries": [
                {"key_size": len(key), "key": key, "value_size": len(value), "value": value}
                for key, value in texts
            ],
        }
    )


def create(
    target: str | os.PathLike[str] | BinaryIO,
    config: EncoderConfig | None = None,
    *,
    progress: Callable[[int], None] | None = None,
    **options: Any,
) -> Writer:
    """Open a stream for writing.

    target   : a path, written atomically, or a binary file object, a pipe included.
    config   : choices; ``options`` change single ones: ``create("f.dfc", coder="zlib")``.
    progress : called now and then with the number of features coded.

    Raises CallerError for a choice that does not exist, or a path that cannot be written.
    """
    return Writer(target, (config or EncoderConfig()).but(**options), progress)


def encode(feature: Any, config: EncoderConfig | None = None, **options: Any) -> bytes:
    """Code one feature as a stream of its own: ``encode(x, coder="hevc", qp=32)``.

    feature : numpy array or torch tensor, C x H x W or D.

    Returns the bytes of the stream. Raises CallerError, EnvironmentFault.
    """
    target = io.BytesIO()
    with create(target, config, **options) as writer:
        writer.write(feature)
    return target.getvalue()
