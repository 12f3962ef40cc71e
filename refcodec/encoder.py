"""Encoding: features to a stream of bytes. Nothing here is normative.

:class:`Writer` takes features one by one, gathers those that can share a run of ffmpeg or a batch unit,
and writes them in order. Every parameter set that it writes it also reads back, so that the encoder
works with what a decoder will see.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt
from construct import Container

from refcodec.coders import Encoded, Machine, encode_payloads
from refcodec.config import EncoderConfig
from refcodec.constraints import HIGHEST_QP, LARGEST_BATCH, smallest_level
from refcodec.decoder import little_endian_bytes, sample_hash
from refcodec.errors import CallerError, DFCError
from refcodec.files import atomic_file, storage_error
from refcodec.pack import Layout, layout_of, near_square
from refcodec.quantise import (
    dequantise,
    fit_parameters,
    measure_moments,
    quantise,
    source_type_of,
)
from refcodec.syntax.codes import (
    ChannelOrder,
    Coder,
    FeatureType,
    HashTarget,
    Profile,
    Quantiser,
    Restoration,
    SourceType,
    UnitType,
)
from refcodec.syntax.structures import (
    CODED_FEATURE,
    CODED_FEATURE_BATCH,
    END,
    FEATURE_PARAMETER_SET,
    FEATURE_PARAMETERS,
    HASH,
    INDEX,
    METADATA,
    STREAM_HEADER_SIZE,
)
from refcodec.syntax.units import CRC_SIZE, build_stream_header, build_unit
from refcodec.tables import HIGHEST_LEVEL, level

__all__ = ["Writer", "as_feature", "create", "encode"]

Feature = npt.NDArray[Any]

_QUANTISERS = {"uniform": Quantiser.UNIFORM, "log": Quantiser.LOGARITHMIC, None: Quantiser.NONE}
_HASH_CODES = {0: 0, 8: 1, 16: 2, 32: 3}

_PENDING_BYTES = 64 << 20
"""Source bytes that wait for others to share a run of ffmpeg."""

_PENDING_FEATURES = 4096

_PIPE_LEVEL = 3
"""Level declared on a pipe, whose header cannot be mended at the end: 16 million elements a feature."""


# --- features in -----------------------------------------------------------------------------------


def as_feature(feature: Any, config: EncoderConfig) -> Feature:
    """A feature as a C-contiguous array of a source type, C x H x W or D, checked for what is coded.

    feature : a numpy array, or anything with ``detach().cpu()`` such as a torch tensor.

    Raises CallerError: wrong rank or type, empty, NaN or infinity for a lossy coder.
    """
    array = _from_torch(feature) if hasattr(feature, "detach") else np.asarray(feature)
    if array.dtype == np.float64 and config.narrow:
        with np.errstate(over="ignore"):
            narrowed = array.astype(np.float32)
        if (np.isinf(narrowed) & np.isfinite(array)).any():
            raise CallerError("a float64 value exceeds the range of float32")
        array = narrowed
    if source_type_of(array.dtype) is None:
        hint = "pass narrow=True to round it to float32" if array.dtype == np.float64 else ""
        raise CallerError(
            f"the feature has type {array.dtype}; float32, float16 and bfloat16 are coded", hint=hint
        )
    if array.size == 0:
        raise CallerError(f"the feature of shape {array.shape} is empty")
    ranks = {None: (1, 3), "fc": (1,), "conv": (3,), "pool": (3,)}[config.feature_type]
    if array.ndim not in ranks:
        kind = config.feature_type or "any"
        raise CallerError(
            f"a feature of type {kind} has rank {' or '.join(map(str, ranks))}, "
            f"this one {array.ndim} (shape {array.shape})",
            hint="conv and pool are C x H x W, fc is D; write the features of a batch one by one",
        )
    if config.lossy_quantiser:
        wide = array.astype(np.float32)
        if not np.isfinite(wide).all():
            bad = np.unravel_index(int(np.argmax(~np.isfinite(wide))), array.shape)
            place = ", ".join(str(int(i)) for i in bad)
            raise CallerError(
                f"the feature has {wide[bad]} at index ({place}); a lossy coder takes finite values",
                hint="mend the network, or use a lossless coder without a quantiser",
            )
    return np.ascontiguousarray(array)


def _from_torch(tensor: Any) -> Feature:
    host = tensor.detach().cpu().contiguous()
    if str(host.dtype) == "torch.bfloat16":  # numpy has no such type: hand over the bits
        import ml_dtypes
        import torch

        bits: Feature = host.view(torch.int16).numpy()
        return bits.view(ml_dtypes.bfloat16)
    array: Feature = host.numpy()
    return array


# --- parameter sets --------------------------------------------------------------------------------


def _parameter_set(
    fps_id: int, config: EncoderConfig, shape: tuple[int, ...], source: SourceType, grid: tuple[int, int]
) -> dict[str, Any]:
    """Elements of a feature_parameter_set(), HEVC parameter sets excepted."""
    kind = config.feature_type or ("fc" if len(shape) == 1 else "conv")
    coder = Coder[config.coder.upper()]
    lossy = coder == Coder.HEVC and not config.lossless
    hash_size = config.hash_size
    if hash_size is None:
        hash_size = 8 if coder == Coder.HEVC else 0
    elements: dict[str, Any] = {
        "fps_id": fps_id,
        "feature_type": FeatureType[kind.upper()],
        "source_type": source,
        "channels_minus1": shape[0] - 1,
        "quantiser": _QUANTISERS[config.lossy_quantiser],
        "bits_minus1": config.bits - 1,
        "range_per_channel_flag": int(config.range == "channel" and kind != "fc"),
        "restoration_enabled_flag": int(lossy and config.restoration != "off"),
        "sample_hash_size_code": _HASH_CODES[hash_size],
        "coder_id": coder,
        "shuffle_flag": int(config.shuffle),
        "hevc_lossless_flag": int(config.lossless),
        "temporal_prediction_flag": int(config.gop > 0),
        "tile_columns_minus1": grid[0] - 1,
        "tile_rows_minus1": grid[1] - 1,
        "parameter_sets_size": 0,
        "parameter_sets": b"",
    }
    if kind != "fc":
        elements["height_minus1"], elements["width_minus1"] = shape[1] - 1, shape[2] - 1
    return elements


def _parameters(**elements: Any) -> Any:
    """Elements of a feature_parameters(), those without a value being absent."""
    names = (element.name for element in FEATURE_PARAMETERS.subcons if element.name)
    return Container(dict.fromkeys(names), **elements)


@dataclass
class _Group:
    """Features that share a feature parameter set.

    key     : the configuration, shape and type that they share.
    written : whether the parameter set stands in the stream.
    """

    config: EncoderConfig
    elements: dict[str, Any]
    fps: Any
    written: bool = False

    def read_back(self) -> None:
        """Build and parse the parameter set: what a decoder will see."""
        self.fps = FEATURE_PARAMETER_SET.parse_whole(
            FEATURE_PARAMETER_SET.build_whole(self.elements)
        )


@dataclass(frozen=True, slots=True)
class _Pending:
    group: _Group
    feature: Feature  # C x H x W
    qps: tuple[int, ...]


# --- the writer ------------------------------------------------------------------------------------


class Writer:
    """Writes features to a stream, in order. Made by :func:`create`; closed by ``with``.

    A path is written under a hidden name and renamed at the end, so that what stood there before stays
    until the new file is whole. ``progress`` is called with the number of features coded so far.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        config: EncoderConfig,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._config = config
        self._progress = progress
        self._machine = Machine(
            config.ffmpeg, config.preset, config.parallel, config.timeout
        )
        self._groups: dict[Any, _Group] = {}
        self._pending: list[_Pending] = []
        self._pending_bytes = 0
        self._coded: list[tuple[int, int, bool]] = []  # offset, features, access point
        self._parameter_set_offsets: list[int] = []
        self._features = 0
        self._position = 0
        self._level = 1
        self._profile = Profile.LOSSLESS
        self._closed = False
        self._stack = ExitStack()
        if isinstance(target, (str, os.PathLike)):
            self._name: str | os.PathLike[str] = target
            self._target: BinaryIO = self._stack.enter_context(atomic_file(target))
        else:
            self._name = getattr(target, "name", "the output")
            self._target = target
        self._seekable = self._target.seekable()
        self._origin = self._target.tell() if self._seekable else 0
        self._declared = config.level or (HIGHEST_LEVEL if self._seekable else _PIPE_LEVEL)
        self._put(build_stream_header(self._pipe_profile(), self._declared))
        if config.metadata:
            self._put(build_unit(UnitType.METADATA, _metadata(config.metadata)))

    # -- writing features

    def write(
        self,
        feature: Any,
        *,
        qp: int | Sequence[int] | None = None,
        config: EncoderConfig | None = None,
    ) -> int:
        """Add a feature; returns its number.

        feature : numpy array or torch tensor, C x H x W or D.
        qp      : QP of this feature, one or one a channel; None for the configuration's.
        config  : a configuration for this feature; features of another configuration, shape or type
                  get a feature parameter set of their own.

        Raises CallerError. Features are coded some at a time: other errors may come with a later call.
        """
        if self._closed:
            raise CallerError("the writer is closed")
        chosen = config or self._config
        if qp is not None:
            chosen = chosen.but(qp=qp if isinstance(qp, int) else tuple(int(q) for q in qp))
        array = as_feature(feature, chosen)
        channels = array.shape[0]
        if chosen.order is not None and sorted(chosen.order) != list(range(channels)):
            raise CallerError(f"order is no permutation of {channels} channels")
        qps = (chosen.qp,) * channels if isinstance(chosen.qp, int) else chosen.qp
        if len(qps) != channels:
            raise CallerError(
                f"{len(qps)} QPs for {channels} channels", hint="give one QP, or one a channel"
            )
        group = self._group_of(array, chosen, qps)
        volume = array if array.ndim == 3 else array.reshape(-1, 1, 1)
        self._require_level(group, volume, qps)
        self._pending.append(_Pending(group, volume, qps))
        self._pending_bytes += array.nbytes
        if self._pending_bytes >= _PENDING_BYTES or len(self._pending) >= _PENDING_FEATURES:
            self._flush()
        return self._features + len(self._pending) - 1

    def _group_of(self, array: Feature, config: EncoderConfig, qps: tuple[int, ...]) -> _Group:
        common = config.but(qp=0)
        source = source_type_of(array.dtype)
        assert source is not None
        grid = _grid(config, array.shape, qps) if config.coder == "hevc" else (1, 1)
        # QPs may differ from feature to feature; the grid is fixed by the first feature of a group
        signed = config.lossy_quantiser == "log" and bool((array < 0).any())
        key = (repr(common), array.shape, source, signed)
        if key not in self._groups:
            number = len(self._groups)
            if number > 255:
                raise CallerError("a stream holds at most 256 feature parameter sets")
            elements = _parameter_set(number, common, array.shape, source, grid)
            elements["log_signed_flag"] = int(signed)
            group = _Group(common, elements, None)
            group.read_back()
            self._groups[key] = group
        return self._groups[key]

    def _require_level(self, group: _Group, volume: Feature, qps: tuple[int, ...]) -> None:
        fps, side, samples = group.fps, 0, 0
        if fps.coder_id == Coder.HEVC:
            layout = layout_of(fps, self._hevc_parameters(group, qps))
            side = max(layout.frame_height, layout.frame_width)
            samples = len(layout.qps) * layout.frame_height * layout.frame_width
        unit = volume.nbytes + 8 * fps.channels + 65_536
        needed = smallest_level(fps.channels, volume.size, side, samples, unit)
        if not 0 < needed <= self._declared:
            limits = level(self._declared)
            raise CallerError(
                f"a feature of shape {volume.shape} exceeds level {self._declared}: {limits}",
                hint="declare a higher level" if needed else "split the feature",
            )
        self._level = max(self._level, needed)
        if fps.coder_id == Coder.HEVC:
            self._profile = Profile.HEVC
            if self._pipe_profile() != Profile.HEVC and not self._seekable:
                raise CallerError("the stream was begun with a lossless coder, on a pipe")

    # -- coding what has been gathered

    def _flush(self) -> None:
        """Code what waits, group by group, and write it in order."""
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        ready: dict[int, Iterator[tuple[Any, bytes, bool, Any]]] = {}
        for group in {id(one.group): one.group for one in pending}.values():
            ready[id(group)] = iter(self._code(group, [p for p in pending if p.group is group]))
        position = 0
        while position < len(pending):
            group = pending[position].group
            stop = position + 1
            while stop < len(pending) and pending[stop].group is group:
                stop += 1
            self._put_parameter_set(group)
            coded = [next(ready[id(group)]) for _ in range(stop - position)]
            if _batched(group):
                self._put_batches(group, coded)
            else:
                for one in coded:
                    self._put_feature(group, *one)
            position = stop
        if self._progress:
            self._progress(self._features)

    def _code(
        self, group: _Group, pending: Sequence[_Pending]
    ) -> list[tuple[Any, bytes, bool, Any]]:
        """Code features of one group: parameters, payload, access point, decoded samples of each."""
        fps, config = group.fps, group.config
        shared = _batched(group)
        if shared and fps.quantiser != Quantiser.NONE:
            together = fit_parameters(np.stack([p.feature for p in pending]), fps, config.clip)
        samples, positions, parameters = [], [], []
        for one in pending:
            fitted = together if shared and fps.quantiser != Quantiser.NONE else None
            if fitted is None:
                fitted = fit_parameters(one.feature, fps, config.clip)
            quantised, position = quantise(one.feature, fps, fitted)
            samples.append(quantised)
            positions.append(position)
            if fps.coder_id == Coder.HEVC:
                parameters.append(self._hevc_parameters(group, one.qps, fitted))
            else:
                parameters.append(_parameters(**fitted))
        encoded: Encoded = encode_payloads(samples, parameters, fps, self._machine, config.gop or 1)
        if encoded.parameter_sets and not group.written:
            group.elements["parameter_sets"] = encoded.parameter_sets
            group.elements["parameter_sets_size"] = len(encoded.parameter_sets)
            group.read_back()
            fps = group.fps
        if fps.restoration_enabled_flag:
            for one, own, position, back in zip(
                pending, parameters, positions, encoded.decoded, strict=True
            ):
                assert position is not None
                _choose_restoration(one.feature, own, position, back, fps, config.restoration)
        return list(
            zip(parameters, encoded.payloads, encoded.access_points, encoded.decoded, strict=True)
        )

    def _hevc_parameters(
        self, group: _Group, qps: tuple[int, ...], fitted: dict[str, Any] | None = None
    ) -> Any:
        highest, lowest = max(qps), min(qps)
        lossless = bool(group.fps.hevc_lossless_flag)
        order = group.config.order
        if order is not None:
            kind, at, width = ChannelOrder.EXPLICIT, np.array(order), (len(order) - 1).bit_length()
        else:
            uniform = lossless or highest == lowest
            kind = ChannelOrder.IDENTITY if uniform or group.config.packing == "frame" else ChannelOrder.BY_QP
            at, width = None, None
        bits = (highest - lowest).bit_length()
        return _parameters(
            **(fitted or {}),
            qp=None if lossless else highest,
            qp_delta_bits=None if lossless else bits,
            qp_delta=None if lossless or not bits else highest - np.array(qps),
            channel_order=kind,
            channel_at_bits=width,
            channel_at=at,
        )

    # -- putting units

    def _put(self, data: bytes) -> None:
        try:
            self._target.write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise storage_error(error, self._name) from None
        self._position += len(data)

    def _put_parameter_set(self, group: _Group) -> None:
        if not group.written:
            group.written = True
            self._parameter_set_offsets.append(self._position)
            payload = FEATURE_PARAMETER_SET.build_whole(group.elements)
            self._put(build_unit(UnitType.FEATURE_PARAMETER_SET, payload))

    def _put_feature(
        self, group: _Group, parameters: Any, payload: bytes, access_point: bool, decoded: Any
    ) -> None:
        fps = group.fps
        elements = {
            "fps_id": fps.fps_id,
            "access_point_flag": int(access_point),
            "parameters": parameters,
            "sample_hash": sample_hash(decoded, fps.sample_hash_size),
            "payload": payload,
        }
        unit = build_unit(UnitType.CODED_FEATURE, CODED_FEATURE.build_whole(elements, fps=fps))
        self._put_coded(unit, group, [(parameters, payload, access_point, decoded)])

    def _put_batches(self, group: _Group, coded: list[tuple[Any, bytes, bool, Any]]) -> None:
        """Fill batch units up to their limit."""
        fps = group.fps
        fixed = 8 * fps.ranges + 64
        start = 0
        while start < len(coded):
            size, stop = fixed, start
            while stop < len(coded):
                size += len(coded[stop][1]) + fps.sample_hash_size + 4
                if size > LARGEST_BATCH and stop > start:
                    break
                stop += 1
            part = coded[start:stop]
            if size > LARGEST_BATCH and stop == start + 1:
                self._put_feature(group, *part[0])
            else:
                self._put_batch(group, part)
            start = stop

    def _put_batch(self, group: _Group, part: list[tuple[Any, bytes, bool, Any]]) -> None:
        fps = group.fps
        sizes = np.array([len(payload) for _, payload, _, _ in part])
        base = int(sizes.min())
        elements = {
            "fps_id": fps.fps_id,
            "feature_count_minus1": len(part) - 1,
            "payload_size_base": base,
            "payload_size_bits": int(sizes.max() - base).bit_length(),
            "payload_size_delta": sizes - base,
            "parameters": part[0][0],
            "sample_hashes": b"".join(sample_hash(one[3], fps.sample_hash_size) for one in part),
            "payloads": b"".join(payload for _, payload, _, _ in part),
        }
        payload = CODED_FEATURE_BATCH.build_whole(elements, fps=fps)
        self._put_coded(build_unit(UnitType.CODED_FEATURE_BATCH, payload), group, part)

    def _put_coded(
        self, unit: bytes, group: _Group, part: list[tuple[Any, bytes, bool, Any]]
    ) -> None:
        self._coded.append((self._position, len(part), part[0][2]))
        self._features += len(part)
        self._put(unit)
        if group.config.hashes:
            for target in HashTarget:
                found = hashlib.sha256()
                for parameters, _, _, decoded in part:
                    if target == HashTarget.SAMPLES:
                        found.update(np.ascontiguousarray(decoded, "<i4").tobytes())
                    else:
                        found.update(little_endian_bytes(dequantise(decoded, group.fps, parameters)))
                elements = {"hash_target": target, "sha256": found.digest()}
                self._put(build_unit(UnitType.HASH, HASH.build_whole(elements)))

    # -- the end

    def close(self) -> None:
        """Code what waits, write index and end, and give the file its name."""
        if self._closed:
            return
        try:
            self._flush()
            self._put_end()
            if self._seekable:
                self._target.seek(self._origin)
                self._target.write(build_stream_header(self._profile, self._config.level or self._level))
                self._target.seek(self._origin + self._position)
            self._target.flush()
        except BaseException as error:
            self._abandon(error)
            raise
        self._closed = True
        self._stack.close()

    def _put_end(self) -> None:
        wanted = self._config.index
        if wanted is None:
            wanted = len(self._coded) > 1
        end: dict[str, int] = {}
        if wanted and self._coded:
            end = {"index_offset": self._position, "feature_count": self._features}
            self._put(build_unit(UnitType.INDEX, self._index()))
        payload = END.build_whole(end, unit_size=16 if end else 0)
        self._put(build_unit(UnitType.END, payload))

    def _index(self) -> bytes:
        offsets = np.array([offset for offset, _, _ in self._coded])
        counts = np.array([count - 1 for _, count, _ in self._coded])
        access = np.array([int(access) for _, _, access in self._coded])
        distances = np.diff(offsets, prepend=0)
        return INDEX.build_whole(
            {
                "entry_count": len(offsets),
                "parameter_set_count": len(self._parameter_set_offsets),
                "parameter_set_offset": self._parameter_set_offsets,
                "distance_bits": int(distances.max()).bit_length(),
                "features_bits": int(counts.max()).bit_length(),
                "all_access_points_flag": int(access.all()),
                "reserved_zero_4bits": 0,
                "unit_distance": distances,
                "features_minus1": counts,
                "access_point": access,
            }
        )

    def _abandon(self, error: BaseException | None) -> None:
        """Leave the old file as it was."""
        self._closed = True
        self._stack.__exit__(type(error) if error else None, error, None)

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
            self._closed = True
            self._stack.__exit__(kind, error, traceback)

    def _pipe_profile(self) -> Profile:
        return Profile.HEVC if self._config.coder == "hevc" else Profile.LOSSLESS


def _batched(group: _Group) -> bool:
    if group.config.coder == "hevc":
        return False
    wanted = group.config.batch
    return group.fps.feature_type == FeatureType.FC if wanted is None else wanted


def _grid(config: EncoderConfig, shape: tuple[int, ...], qps: tuple[int, ...]) -> tuple[int, int]:
    """The tile grid: large enough for the channels of the commonest QP."""
    if config.packing == "frame":
        return 1, 1
    largest = len(qps) if config.lossless else int(np.bincount(qps).max())
    height, width = shape[1:] if len(shape) == 3 else (1, 1)
    return near_square(largest, height, width)


def _metadata(entries: Any) -> bytes:
    listed = [(str(key).encode(), str(value).encode()) for key, value in entries.items()]
    return METADATA.build_whole(
        {
            "entry_count": len(listed),
            "entries": [
                {"key_size": len(key), "key": key, "value_size": len(value), "value": value}
                for key, value in listed
            ],
        }
    )


def _choose_restoration(
    feature: Feature, parameters: Any, positions: Any, decoded: Any, fps: Any, wish: str
) -> None:
    """Set the restoration elements of ``parameters`` in place."""
    bits = fps.bits_minus1 + 1
    parameters.restoration_mode = Restoration.OFF
    if wish in ("tensor", "channel"):
        parameters.update(measure_moments(positions, Restoration[wish.upper()], bits))
        parameters.restored = len(parameters.restoration_mean)


# --- shortcuts -------------------------------------------------------------------------------------


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
