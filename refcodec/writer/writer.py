"""The writer: takes features, has them coded in groups, and closes the stream."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy.typing as npt

from refcodec.arrays import ArrayEntry, is_batch, with_entries
from refcodec.coders.native.encoder.advice import Advice
from refcodec.coders.native.encoder.choice import Choice
from refcodec.config import EncoderConfig
from refcodec.encoder.analysis import Latents, latents_for
from refcodec.encoder.encoding import CodedFeature, Request, whole_payload
from refcodec.encoder.features import Feature, as_feature, as_features
from refcodec.encoder.parameter_sets import is_signed
from refcodec.errors import CallerError
from refcodec.inputs import as_array
from refcodec.probability.hyperprior import HyperpriorModel
from refcodec.registry import coder_named, record_of
from refcodec.shapes import volume_of
from refcodec.syntax.codes import UnitType
from refcodec.syntax.structures import FeatureParameterSet
from refcodec.writer.advice import advice_of
from refcodec.writer.copying import Part, joined_metadata
from refcodec.writer.gathering import Waiting, code_in_order, units_of
from refcodec.writer.kinds import Kinds
from refcodec.writer.limits import StreamLimits
from refcodec.writer.output import Target, open_output
from refcodec.writer.sequences import TokenSequences
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
        names: Sequence[str] = (),
    ) -> None:
        """Open the target.

        alone : messages need not tell which feature they speak of.
        names : as of :func:`create`.
        """
        self._config = config
        self._alone = alone
        self._progress = progress
        self._kinds = Kinds(config)
        names = (names,) if isinstance(names, str) else tuple(names)
        self._sequences = TokenSequences(names)
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
                named = [ArrayEntry(name) for name in names]
                self._sink.begin(with_entries(config.metadata, named))
            elif names:
                raise CallerError(
                    "names of sequences precede all features: give them to a new stream"
                )
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

        feature  : numpy array or torch tensor, C x H x W or D; of tokens T x D or heads x T x D.
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
        number = self._count()
        with self._naming(number):
            base = config or self._config
            chosen = base if qp is None else base.but(qp=qp)
            array = as_feature(feature, chosen)
            waiting = self._admit(array, base, chosen, weights, spectral, choice, latents)
        self._add([waiting])
        return number

    def append(
        self,
        tokens: Any,
        name: str | None = None,
        *,
        qp: float | Sequence[int] | None = None,
        config: EncoderConfig | None = None,
    ) -> int:
        """Add tokens to a sequence, which a reader gives back as one array; returns the feature's number.

        tokens     : numpy array or torch tensor, T x D or heads x T x D; T may differ from call to call.
        name       : of the sequence, where the stream was created with names; its first tokens begin it.
        qp, config : as of `write`.

        Raises CallerError, also for tokens that do not fit to those before them.
        """
        self._require_open()
        number, base = self._count(), config or self._config
        with self._naming(number):
            chosen = base if qp is None else base.but(qp=qp)
            if not chosen.tokens:
                raise CallerError("append takes tokens", hint='choose the feature_type "tokens"')
            self._sequences.check(name)
            one = self._admit(as_feature(tokens, chosen), base, chosen, sequence=(name,))
            continues = self._sequences.goes_on(name, one.encoder)
        self._add([one._replace(request=one.request._replace(continues=continues))])
        return number

    def write_batch(
        self,
        features: Any,
        *,
        qp: float | Sequence[int] | None = None,
        config: EncoderConfig | None = None,
    ) -> range:
        """Add the features of an array; returns their numbers. Much quicker than one `write` for each.

        features   : numpy array or torch tensor, N x D or N x C x H x W; of tokens N x heads x T x D.
        qp, config : as of `write`, for all of them.

        The stream is, byte for byte, the one that `write` makes of them one by one, and so are errors: a
        CallerError names the number of the feature, and those that precede it have been added.
        """
        self._require_open()
        first, base = self._count(), config or self._config
        with self._naming(first):
            chosen = base if qp is None else base.but(qp=qp)
            rows = as_array(features, chosen.fill)
            if not is_batch(rows.ndim, tokens=chosen.tokens):
                raise CallerError(
                    f"a batch has rank 2, N x D, or 4, N x C x H x W, this one {rows.ndim} "
                    f"(shape {rows.shape})",
                    hint="write takes a single feature",
                )
        start = 0
        while start < len(rows):
            part = rows[start : start + self._room_for(rows[start])]
            if not self._add_alike(part, base, chosen):
                for one in part:
                    self.write(one, qp=qp, config=config)
            start += len(part)
        return range(first, first + len(rows))

    def _add_alike(
        self, part: npt.NDArray[Any], base: EncoderConfig, chosen: EncoderConfig
    ) -> bool:
        """Add features for which there is room; false, and none of them, if each has to be looked at."""
        if isinstance(chosen.model, HyperpriorModel):
            return False
        try:
            arrays = as_features(part, chosen)
        except CallerError:
            return False
        for _, run in groupby(arrays, key=partial(is_signed, chosen)):
            first, *others = run
            with self._naming(self._count()):
                one = self._admit(first, base, chosen)
            volumes = (volume_of(other, tokens=chosen.tokens) for other in others)
            requests = (one.request._replace(feature=volume) for volume in volumes)
            self._add([one, *(one._replace(request=request) for request in requests)])
        return True

    def _room_for(self, feature: npt.NDArray[Any]) -> int:
        """Number of features of this shape to add before those that wait are coded; at least 1."""
        if self._config.low_latency:
            return 1
        size = feature.size * min(feature.itemsize, 4)  # 64-bit numbers are narrowed
        bytes_left = -(-(_WAITING_BYTES - self._waiting_bytes) // max(size, 1))
        return max(1, min(_WAITING_FEATURES - len(self._waiting), bytes_left))

    def _count(self) -> int:
        """Number of features so far."""
        return self._sink.written + len(self._waiting)

    def _add(self, waiting: Sequence[Waiting]) -> None:
        """Let features of one shape wait; code all that wait if they are enough."""
        self._waiting += waiting
        self._waiting_bytes += len(waiting) * waiting[0].request.feature.nbytes
        if (
            self._config.low_latency
            or self._waiting_bytes >= _WAITING_BYTES
            or len(self._waiting) >= _WAITING_FEATURES
        ):
            self._put_waiting(flush=self._config.low_latency)

    def _admit(
        self,
        array: Feature,
        base: EncoderConfig,
        chosen: EncoderConfig,
        weights: Any = None,
        spectral: bool = False,
        choice: Choice | None = None,
        latents: Any = None,
        sequence: Hashable = None,
    ) -> Waiting:
        """A feature with its encoder. Raises CallerError.

        base, chosen : its configuration, without and with the QP of its own.
        sequence     : of tokens that it belongs to; None for a feature of its own.
        """
        volume = volume_of(array, tokens=chosen.tokens)
        channels = volume.shape[0]
        if chosen.order is not None and sorted(chosen.order) != list(range(channels)):
            raise CallerError(f"order is no permutation of {channels} channels")
        qps = chosen.qp if isinstance(chosen.qp, tuple) else (chosen.qp,) * channels
        if len(qps) != channels:
            raise CallerError(
                f"{len(qps)} QPs for {channels} channels", hint="give one QP, or one per channel"
            )
        advice: Advice | Latents = advice_of(chosen, volume.shape, weights, spectral, choice)
        if isinstance(chosen.model, HyperpriorModel):
            advice = latents_for(volume, chosen, latents)
        elif latents is not None:
            raise CallerError("latents are for the coder learned, under a hyperprior")
        kind = self._kinds.of(array, base, qps, self._put_waiting, sequence)
        fps = kind.encoder.fps
        if not kind.admitted:
            self._limits.admit(volume, fps, qps, chosen)
            kind.admitted = not record_of(fps.coder_id).video  # whose frames depend on the QPs, too
        return Waiting(kind.encoder, kind.rank, base, Request(volume, qps, advice))

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
                if run.contexts is not None:
                    number = self._sink.put_model(*run.contexts.unit())
                    own = replace(own, context_model_id=number)
                fps = self._sink.put_parameter_set(own, rank)
                for kind, unit in units_of(run):
                    with self._naming(self._sink.written):
                        self._put(kind, fps, unit, whole_payload(run, kind, unit))
                    if run.hashed:
                        self._sink.put_hashes(run, unit)
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
        features = self._count()
        try:
            warnings.warn(
                f"unclosed writer of {self._name}: {features} features are lost",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
        finally:
            self._abandon(CallerError("the writer was never closed"))
