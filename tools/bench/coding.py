"""Files in memory, written and read by refcodec, and the seconds that something takes."""

from __future__ import annotations

import io
import resource
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar

import numpy as np

import refcodec
from refcodec.config import EncoderConfig

__all__ = ["apart", "children", "decode_all", "processor", "read", "timed", "write"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def write(
    features: Iterable[Any],
    config: EncoderConfig | None = None,
    *,
    advice: Iterable[Mapping[str, Any]] | None = None,
    **choices: Any,
) -> bytes:
    """One file with all features, coded on one thread.

    advice  : what the writer takes with each feature; None for nothing.
    choices : fields of `refcodec.EncoderConfig`, in place of those of ``config``.
    """
    target, features = io.BytesIO(), list(features)
    advice = advice if advice is not None else [{}] * len(features)
    with refcodec.create(target, config, workers=1, **choices) as writer:
        for one, arguments in zip(features, advice, strict=True):
            writer.write(one, **arguments)
    return target.getvalue()


def read(data: bytes, models: Any = None, join: Callable[[list[Any]], Any] = np.stack) -> Any:
    """All features of a file, which have one shape, N x C x H x W or N x D.

    models : that the file names without holding them.
    join   : of the features to one array; ``numpy.concatenate`` for token sequences.
    """
    with refcodec.open(io.BytesIO(data), models=models) as reader:
        return join(list(reader))


def timed(
    action: Callable[Arguments, Result], *arguments: Arguments.args, **options: Arguments.kwargs
) -> tuple[Result, float]:
    """The result of a call, and the seconds on the clock that it took."""
    begin = time.perf_counter()
    return action(*arguments, **options), time.perf_counter() - begin


def decode_all(data: bytes) -> None:
    """Decode all features of a file, on one thread, and keep none."""
    with refcodec.open(io.BytesIO(data), workers=1) as reader:
        for _ in reader:
            pass


# --- processor time --------------------------------------------------------------------------------


def processor(action: Callable[[], object]) -> float:
    """Seconds of the processor that an action takes in this process."""
    begin = time.process_time()
    action()
    return time.process_time() - begin


def children(action: Callable[[], object]) -> float:
    """Seconds of the processor that an action takes in other processes, which end with it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    action()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def apart(whole: Callable[[], object], part: Callable[[], object]) -> float:
    """Seconds of the processor that one action takes in other processes more than another one."""
    return children(whole) - children(part)
