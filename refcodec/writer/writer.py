"""The writer: takes features, has them coded in groups, and closes the stream."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.encoder.advice import Advice
from refcodec.coders.native.encoder.choice import Choice
from refcodec.config import EncoderConfig
from refcodec.encoder.encoding import FeatureEncoder, Request
from refcodec.encoder.features import Feature, as_feature
from refcodec.encoder.parameter_sets import is_signed, kind_of, make_parameter_set
from refcodec.errors import CallerError
from refcodec.files import atomic_file
from refcodec.registry import coder_named
from refcodec.syntax.codes import UnitType
from refcodec.writer.gathering import Waiting, code_in_order, units_of
from refcodec.writer.limits import StreamLimits
from refcodec.writer.sink import Sink

__all__ = ["Writer"]

_WAITING_BYTES = 32 << 20
"""Bytes of features to gather before they are coded together."""

_WAITING_FEATURES = 1024

_MOST_PARAMETER_SETS = 256


class Writer:
    """Writes features to a stream, in order. Made by :func:`create`; closed by ``with``.

    A path is written under a hidden name and renamed at the end, so that an old file stays until the new one
    is whole. After an error the new file is deleted.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        config: EncoderConfig,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._config = config
        self._progress = progress
        self._encoders: dict[Hashable, FeatureEncoder] = {}  # by kind
        self._kinds: dict[Hashable, FeatureEncoder] = {}  # by a key that is quick to compute
        self._waiting: list[Waiting] = []
        self._waiting_bytes = 0
        self._closed = False
        self._stack = ExitStack()
        if isinstance(target, (str, os.PathLike)):
            name = os.fspath(target)
            file: BinaryIO = self._stack.enter_context(atomic_file(target))
        else:
            name = str(getattr(target, "name", "the output"))
            file = target
        appends = "a" in str(getattr(file, "mode", ""))  # every write goes to the end of the file
        seekable = file.seekable() and not appends
        try:
            coder = coder_named(config.coder).coder_id
            self._limits = StreamLimits(config, coder, revisable=seekable)
            self._sink = Sink(file, name, self._limits, seekable=seekable)
            self._sink.begin(config.metadata)
        except BaseException as error:
            self._abandon(error)
            raise

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
        qp       : QP of this feature, one or one per channel; None for the configuration's.
        weights  : costs of a squared error, relative to each other: one per channel, or C x H x W (native;
                   of no effect on vectors, and with the speed ``fast``, which only rounds).
        spectral : true if weights C x H x W are of the frequencies of the whole map (its cosine transform)
                   instead of its samples.
        choice   : levels and blocks to code instead of those that the encoder would choose (native).
        config   : a configuration for this feature; its options of the stream (index, level, metadata)
                   are not used. Features that cannot share a feature parameter set get one of their own.

        Raises CallerError. Features are coded in groups, so that other errors may be raised by a later call.
        """
        if self._closed:
            raise CallerError("the writer is closed")
        base = config or self._config
        chosen = base if qp is None else base.but(qp=qp)
        array = as_feature(feature, chosen)
        channels = array.shape[0]
        if chosen.order is not None and sorted(chosen.order) != list(range(channels)):
            raise CallerError(f"order is no permutation of {channels} channels")
        qps = chosen.qp if isinstance(chosen.qp, tuple) else (chosen.qp,) * channels
        if len(qps) != channels:
            raise CallerError(
                f"{len(qps)} QPs for {channels} channels", hint="give one QP, or one per channel"
            )
        volume = array if array.ndim == 3 else array.reshape(-1, 1, 1)
        advice = _advice(chosen, volume.shape, weights, spectral, choice)
        encoder = self._encoder_of(array, base, qps)
        self._limits.admit(volume, encoder.fps, qps, chosen)
        self._waiting.append(Waiting(encoder, base, Request(volume, qps, advice)))
        self._waiting_bytes += array.nbytes
        number = self._sink.written + len(self._waiting) - 1
        if self._waiting_bytes >= _WAITING_BYTES or len(self._waiting) >= _WAITING_FEATURES:
            try:
                self._flush()
            except (
                BaseException
            ) as error:  # waiting features are lost, so the file cannot be completed
                self._abandon(error)
                raise
        return number

    def _encoder_of(
        self, array: Feature, config: EncoderConfig, qps: tuple[float, ...]
    ) -> FeatureEncoder:
        """The encoder of a feature's kind; the first feature of a kind decides the grid of tiles."""
        own = None if config is self._config else repr(config)
        glance = (own, array.shape, array.dtype, is_signed(config, array))
        if glance not in self._kinds:
            fps = make_parameter_set(
                config, array, qps, fps_id=len(self._encoders) % _MOST_PARAMETER_SETS
            )
            kind = kind_of(fps, config)
            if kind not in self._encoders:
                if len(self._encoders) == _MOST_PARAMETER_SETS:
                    raise CallerError(f"a stream has at most {_MOST_PARAMETER_SETS} parameter sets")
                self._encoders[kind] = FeatureEncoder(fps)
            self._kinds[glance] = self._encoders[kind]
        return self._kinds[glance]

    def _flush(self) -> None:
        """Code the waiting features and write them in order."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        for run in code_in_order(waiting):
            self._sink.put_parameter_set(run.fps)
            for kind, unit in units_of(run):
                if kind == UnitType.CODED_FEATURE_BATCH:
                    self._sink.put_batch(run.fps, unit)
                else:
                    self._sink.put_feature(run.fps, unit[0])
                if run.hashed:
                    self._sink.put_hashes(run.fps, unit)
        if self._progress and waiting:
            self._progress(self._sink.written)

    def close(self) -> None:
        """Code the waiting features, write the index and the end unit, and give the file its name."""
        if self._closed:
            return
        try:
            self._flush()
            self._sink.finish(index=self._config.index, level=self._config.level)
        except BaseException as error:
            self._abandon(error)
            raise
        self._closed = True
        self._stack.close()

    def _abandon(self, error: BaseException) -> None:
        """Delete the new file; an old one under its name stays."""
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


def _advice(
    config: EncoderConfig,
    shape: tuple[int, ...],
    weights: Any,
    spectral: bool,
    choice: Choice | None,
) -> Advice:
    """Advice on one feature. Raises CallerError for advice that its coder does not use."""
    if (weights is not None or choice is not None) and config.coder != "native":
        raise CallerError(
            f"weights and chosen levels are for the coder native; this is {config.coder}"
        )
    if choice is not None and (config.aims or config.gop or choice.levels.shape != shape):
        raise CallerError("chosen levels have the feature's shape, and neither target nor gop")
    return Advice(None if weights is None else _as_weights(weights, shape), spectral, choice)


def _as_weights(weights: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Weights of squared errors, C x 1 x 1 or C x H x W, 1 on average. Raises CallerError."""
    try:
        array = np.asarray(weights, np.float64)
    except (TypeError, ValueError) as error:
        raise CallerError(f"weights are not an array of numbers: {error}") from None
    if array.shape == shape[:1]:
        array = array[:, None, None]
    elif array.shape != shape:
        raise CallerError(
            f"weights of shape {array.shape} for a feature of {shape}: one per channel, or per element"
        )
    if not (np.isfinite(array).all() and (array >= 0).all() and array.max() > 0):
        raise CallerError("weights are finite, not negative, and not all 0")
    array = array / array.max()
    return np.ascontiguousarray(array / array.mean(), dtype=np.float32)
