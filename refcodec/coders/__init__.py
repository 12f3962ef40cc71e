"""Payload coders: integer samples to payload bytes and back (clause 8.3), one module a family.

``lossless`` holds raw and the byte compressors, ``hevc`` the borrowed video coder with ``ffmpeg`` as
its process, the packages ``native`` and ``native_lossless`` the format's own coders. They serve the two
functions below, among which the parameter set chooses. The native ones are loaded when they are needed: their
kernels, and the compiler behind them, take their time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from refcodec.coders import hevc, lossless
from refcodec.coders.coded import CodedFeature
from refcodec.coders.hevc import Machine
from refcodec.coders.native.encoder.advice import Advice
from refcodec.syntax.codes import Coder

__all__ = [
    "Advice",
    "CodedFeature",
    "Encoded",
    "Machine",
    "Wanted",
    "decode_payloads",
    "encode_payloads",
]

Samples = npt.NDArray[np.int32]
Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4
"""Features for each thread that are begun before their turn: bounds what waits in memory."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a coder made of some features that share a parameter set.

    payloads       : one a feature.
    decoded        : the samples that a decoder will return, int32, C x H x W each.
    access_points  : whether decoding can begin at the feature.
    parameter_sets : HEVC parameter sets, to stand in the feature parameter set.
    """

    payloads: list[bytes]
    decoded: list[Samples]
    access_points: list[bool] = field(default_factory=list)
    parameter_sets: bytes = b""


def decode_payloads(run: Sequence[CodedFeature], machine: Machine) -> Iterator[Samples]:
    """(8.3) Decode consecutive features of one parameter set, the first of them an access point.

    Yields int32 samples, C x H x W. Raises PayloadError, SyntaxViolation or ConstraintError, with the
    place of the payload; EnvironmentFault where ffmpeg fails to run.
    """
    coder = run[0].fps.coder_id
    if coder == Coder.HEVC:
        return hevc.decode(run, machine)
    if coder == Coder.NATIVE:
        from refcodec.coders.native import payload as native

        if run[0].fps.temporal_prediction_flag:
            return native.decode(run)
        return _in_parallel(native.decode_payload, run, machine.workers)
    if coder == Coder.NATIVE_LOSSLESS:
        from refcodec.coders.native_lossless import payload as native_lossless

        return _in_parallel(native_lossless.decode_payload, run, machine.workers)
    return (lossless.decode_payload(one) for one in run)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an encoder is asked for, beyond what a parameter set says.

    gop         : features from one access point to the next, for temporal prediction; 0 for none.
    speed       : ``fast``, ``default`` or ``best`` (native coders).
    restoration : what decoders shall restore (native); see EncoderConfig.
    """

    gop: int = 0
    speed: str = "default"
    restoration: str = "auto"


def encode_payloads(
    samples: Sequence[Samples],
    positions: Sequence[npt.NDArray[np.float64] | None],
    advice: Sequence[Advice],
    parameters: Sequence[Any],
    fps: Any,
    machine: Machine,
    wanted: Wanted,
) -> Encoded:
    """Code consecutive features of one parameter set.

    positions : the samples before rounding, float64, C x H x W each; None where rounding is all there is.
    advice    : on each (native).
    """
    if fps.coder_id == Coder.HEVC:
        return Encoded(*hevc.encode(samples, parameters, fps, machine, wanted.gop))
    everywhere = [True] * len(samples)
    if fps.coder_id == Coder.NATIVE:
        from refcodec.coders.native.encoder import feature as native_encoder
        from refcodec.coders.native.encoder.tuning import tuning_of

        tuning = tuning_of(wanted.speed, wanted.restoration)
        exact = [
            whole if own is None else own for whole, own in zip(samples, positions, strict=True)
        ]
        if wanted.gop:
            sequence = native_encoder.encode(exact, fps, parameters, tuning, advice, wanted.gop)
            payloads, decoded = zip(*sequence, strict=True)
            access = [number % wanted.gop == 0 for number in range(len(payloads))]
            return Encoded(list(payloads), list(decoded), access)
        jobs = [
            (one, fps, own, tuning, hint)
            for one, own, hint in zip(exact, parameters, advice, strict=True)
        ]
        coded = _in_parallel(lambda job: native_encoder.encode_payload(*job), jobs, machine.workers)
        payloads, decoded = zip(*coded, strict=True)
        return Encoded(list(payloads), list(decoded), everywhere)
    if fps.coder_id == Coder.NATIVE_LOSSLESS:
        from refcodec.coders.native_lossless.encoder import payload as native_lossless

        effort = "fast" if wanted.speed == "fast" else "default"
        payloads = tuple(
            _in_parallel(
                lambda one: native_lossless.encode_payload(one, fps, effort),
                samples,
                machine.workers,
            )
        )
    else:
        payloads = tuple(lossless.encode_payload(one, fps) for one in samples)
    return Encoded(list(payloads), list(samples), everywhere)


def _in_parallel(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> Iterator[Result]:
    """Map over items in order, by threads: kernels run without the interpreter's lock."""
    if workers < 2 or len(items) < 2:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(min(workers, len(items))) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
