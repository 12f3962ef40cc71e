"""The writer: takes features, has them coded in groups, and closes the stream."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.encoder.advice import Advice
from refcodec.coders.native.encoder.choice import Choice
from refcodec.config import EncoderConfig
from refcodec.encoder.analysis import Latents, latents_for
from refcodec.encoder.encoding import CodedFeature, FeatureEncoder, Request, whole_payload
from refcodec.encoder.features import Feature, as_feature
from refcodec.encoder.parameter_sets import (
    always_differ,
    is_signed,
    kind_of,
    make_parameter_set,
)
from refcodec.errors import CallerError
from refcodec.probability.hyperprior import HyperpriorModel
from refcodec.registry import coder_named
from refcodec.syntax.codes import Coder, UnitType
from refcodec.syntax.structures import FPS_IDS, FeatureParameterSet
from refcodec.writer.copying import Part, joined_metadata
from refcodec.writer.gathering import Waiting, code_in_order, units_of
from refcodec.writer.limits import StreamLimits
from refcodec.writer.output import Target, open_output
from refcodec.writer.sink import Sink

__all__ = ["Writer"]

_WAITING_BYTES = 32 << 20
"""Bytes of features to gather before they are coded together."""

_WAITING_FEATURES = 1024


class Writer:
    """Writes features to a stream, in order. Made by :func:`create`; closed by ``with``.

    A path is written under a hidden name and renamed at the end, so that an old file stays until the new one
    is whole. After an error the new file is deleted; so it is with a ResourceWarning if the writer is never
    closed.
    """

    def __init__(
        self,
        target: Target,
        config: EncoderConfig,
        progress: Callable[[int], None] | None = None,
        *,
        mode: str = "w",
        exist_ok: bool | None = None,
        alone: bool = False,
    ) -> None:
        """Open the target. ``alone``: messages need not tell which feature they speak of."""
        self._config = config
        self._alone = alone
        self._progress = progress
        self._encoders: dict[Hashable, _Known] = {}  # by kind
        self._kinds: dict[Hashable, _Known] = {}  # by a key that is quick to compute
        self._admitted: set[Hashable] = set()  # kinds that keep to the limits, by such a key
        self._serial = count(1)
        self._waiting: list[Waiting] = []
        self._waiting_bytes = 0
        self._process = os.getpid()
        self._closed = False
        self._stack = ExitStack()
        try:
            old = self._old_stream(target, mode)
            output = open_output(self._stack, target, exist_ok if old is None else True)
            self._name = output.name
            coder = coder_named(config.coder).coder_id
            self._limits = StreamLimits(config, coder, revisable=output.seekable)
            self._sink = Sink(output.file, output.name, self._limits, seekable=output.seekable)
            if old is None:
                self._sink.begin(config.metadata)
            else:
                self._limits.join(old.header, old.name)
                self._sink.begin(joined_metadata([old], config.metadata))
                old.copy(self._sink)
            if config.low_latency:
                self._sink.flush()
        except BaseException as error:
            self._abandon(error)
            raise

    def _old_stream(self, target: Target, mode: str) -> Part | None:
        """The stream to add to; None for a new one."""
        if mode not in ("w", "a"):
            raise CallerError(f"mode is {mode!r}; it is 'w', a new stream, or 'a', to add to one")
        if mode == "w":
            return None
        if not isinstance(target, (str, os.PathLike)):
            raise CallerError("mode 'a' takes a path: what is added to is read first")
        return Part.open(self._stack, target) if Path(target).exists() else None

    def write(
        self,
        feature: Any,
        *,
        qp: float | Sequence[int] | None = None,
        weights: Any = None,
        spectral: bool = False,
        choice: Choice | None = None,
        latents: Any = None,
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
        latents  : latents C x H x W, before rounding, and hyper-latents C x H x W, integers, instead of those
                   of the configuration's analysis (learned, under a hyperprior).
        config   : a configuration for this feature; its options of the stream (index, level, metadata)
                   are not used. Features that cannot share a feature parameter set get one of their own.

        Raises CallerError, which names the number of the feature. Features are coded in groups, so that other
        errors may be raised by a later call.
        """
        self._require_open()
        number = self._sink.written + len(self._waiting)
        with self._naming(number):
            waiting = self._admit(feature, qp, weights, spectral, choice, latents, config)
        self._waiting.append(waiting)
        self._waiting_bytes += waiting.request.feature.nbytes
        if (
            self._config.low_latency
            or self._waiting_bytes >= _WAITING_BYTES
            or len(self._waiting) >= _WAITING_FEATURES
        ):
            self._put_waiting(flush=self._config.low_latency)
        return number

    def _admit(
        self,
        feature: Any,
        qp: float | Sequence[int] | None,
        weights: Any,
        spectral: bool,
        choice: Choice | None,
        latents: Any,
        config: EncoderConfig | None,
    ) -> Waiting:
        """A feature, checked, with its encoder. Raises CallerError."""
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
        advice: Advice | Latents = _advice(chosen, volume.shape, weights, spectral, choice)
        if isinstance(chosen.model, HyperpriorModel):
            advice = latents_for(volume, chosen, latents)
        elif latents is not None:
            raise CallerError("latents are for the coder learned, under a hyperprior")
        glance = self._glance(array, base)
        encoder, rank = self._encoder_of(glance, array, base, qps)
        if glance not in self._admitted:
            self._limits.admit(volume, encoder.fps, qps, chosen)
            if encoder.fps.coder_id != Coder.HEVC:  # whose frames depend on the QPs, too
                self._admitted.add(glance)
        return Waiting(encoder, rank, base, Request(volume, qps, advice))

    def _glance(self, array: Feature, config: EncoderConfig) -> Hashable:
        """What a feature shares with those of its kind, quick to compute."""
        own = None if config is self._config else repr(config)
        return own, array.shape, array.dtype, is_signed(config, array)

    def _encoder_of(
        self, glance: Hashable, array: Feature, config: EncoderConfig, qps: tuple[float, ...]
    ) -> _Known:
        """The encoder of a feature's kind; the first feature of a kind decides the grid of tiles."""
        if glance not in self._kinds:
            fps = make_parameter_set(config, array, qps)
            kind = kind_of(fps, config)
            # one encoder per fps_id, as sequences that alternate need
            if kind not in self._encoders and len(self._encoders) == FPS_IDS:
                self._put_waiting()
                self._encoders.clear()
                self._kinds.clear()
                self._admitted.clear()
            if kind not in self._encoders:
                self._encoders[kind] = _Known(FeatureEncoder(fps), self._rank_of(fps))
            self._kinds[glance] = self._encoders[kind]
        return self._kinds[glance]

    def _rank_of(self, fps: FeatureParameterSet) -> int:
        """Number of an encoder: 0, unless another encoder may have an equal parameter set.

        Those two can differ only in the grid of tiles and in HEVC's own parameter sets.
        """
        alone = all(always_differ(fps, known.encoder.fps) for known in self._encoders.values())
        return 0 if alone else next(self._serial)

    def flush(self) -> None:
        """Code the waiting features, and flush the file.

        A batch, and a sequence of predicted features, ends here.
        """
        self._require_open()
        self._put_waiting(flush=True)

    def _put_waiting(self, *, flush: bool = False) -> None:
        """Code the waiting features and write them in order."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        try:
            for rank, run in code_in_order(waiting):
                own = run.fps
                if run.model is not None:
                    own = replace(own, model_id=self._sink.put_model(*run.model.unit()))
                fps = self._sink.put_parameter_set(own, rank)
                for kind, unit in units_of(run):
                    with self._naming(self._sink.written):
                        self._put(kind, fps, unit, whole_payload(run, kind, unit))
                    if run.hashed:
                        self._sink.put_hashes(fps, unit)
            if flush:
                self._sink.flush()
        except BaseException as error:  # what waited is lost: no whole file can come of it
            self._abandon(error)
            raise
        if self._progress and waiting:
            self._progress(self._sink.written)

    def _put(
        self,
        kind: UnitType,
        fps: FeatureParameterSet,
        unit: Sequence[CodedFeature],
        whole: bytes | None,
    ) -> None:
        if kind == UnitType.CODED_FEATURE_BATCH:
            self._sink.put_batch(fps, unit, whole)
        else:
            self._sink.put_feature(fps, unit[0], whole)

    @contextmanager
    def _naming(self, number: int) -> Iterator[None]:
        """Name the feature in errors of the caller."""
        try:
            yield
        except CallerError as error:
            what = error.what if self._alone else f"feature {number}: {error.what}"
            raise CallerError(what, hint=error.hint) from None

    def _require_open(self) -> None:
        if self._closed:
            raise CallerError("the writer is closed")

    def close(self) -> None:
        """Code the waiting features, write the index and the end unit, and give the file its name."""
        if self._closed:
            return
        self._put_waiting()
        try:
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

    def __del__(self) -> None:
        if getattr(self, "_closed", True) or self._process != os.getpid():
            return
        features = self._sink.written + len(self._waiting)
        try:
            warnings.warn(
                f"unclosed writer of {self._name}: {features} features are lost",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
        finally:
            self._abandon(CallerError("the writer was never closed"))


class _Known(NamedTuple):
    """An encoder that features were coded by, and the rank of its parameter set."""

    encoder: FeatureEncoder
    rank: int


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
