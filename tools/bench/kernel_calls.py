"""Calls of decoding kernels: taken from the decoding of a stream, and made again, by numba or by C."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from refcodec.coders.native import payload as native
from refcodec.coders.native.blocks import ROOTS
from refcodec.coders.native.head import BLOCK, FREQUENCY_SLOPE, ORIGIN, POINTS
from refcodec.coders.native.transform import BASIS, BASIS_AT
from refcodec.coders.native_lossless import context, contexts, fast
from refcodec.entropy.mixing import RECIPROCAL, SQUASH, STRETCH

__all__ = ["Call", "load", "recorded"]

FLOAT_STRETCH = STRETCH.astype(np.int16)

Given = tuple[Any, ...]


@dataclass
class Call:
    """One call of a kernel.

    translate : from its arguments to the name of the C function, and the arguments of that.
    results   : from its arguments to the arrays that decide whether the call did right.
    """

    kernel: Callable[..., Any]
    arguments: Given
    translate: Callable[..., tuple[str, list[Any]]]
    results: Callable[..., list[Any]]

    def run(self, library: Any | None = None) -> tuple[float, list[Any]]:
        """Make the call on copies of the arguments, by the kernel or by a library.

        Returns the processor time of the call alone, in seconds, and its results.
        """
        own = tuple(map(_copy, self.arguments))
        function, given = self.kernel, own
        if library is not None:
            name, translated = self.translate(*own)
            function, given = getattr(library, name), tuple(map(_converted, translated))
        start = time.process_time()
        function(*given)
        return time.process_time() - start, self.results(*own)


def load(path: Path) -> Any:
    """A library of the translation, with the tables of the kernels."""
    library = ctypes.CDLL(str(path))
    library.set_tables(*map(_converted, (STRETCH, SQUASH, RECIPROCAL)))
    library.set_float_tables(*map(_converted, (FLOAT_STRETCH, contexts.LOGARITHMS)))
    return library


def _converted(value: Any) -> Any:
    """An argument as C takes it: an array by its address, None as no address."""
    if value is None:
        return ctypes.c_void_p(0)
    if isinstance(value, np.ndarray):
        return ctypes.c_void_p(value.ctypes.data)
    return ctypes.c_int64(int(value))


def _copy(value: Any) -> Any:
    """A copy of an argument, with copies of the arrays in it."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, tuple):
        return type(value)(*map(_copy, value))
    return value


# --- the kernels -----------------------------------------------------------------------------------


def _levels(coder: Any, data: Any, w: Any, setting: Any, planes: Any) -> tuple[str, list[Any]]:
    head, levels = setting.head, planes.levels
    return "decode_levels", [
        *(coder, data, data.size, w.states, w.weights, w.edges, w.edges.shape[1]),
        *(w.field, w.field.shape[1], w.channel, w.scans, w.scan_at, ROOTS, BASIS, BASIS_AT),
        *(head[BLOCK], head[FREQUENCY_SLOPE], head[POINTS : POINTS + 3], head[ORIGIN]),
        *(setting.steps, setting.largest, setting.ys, setting.ys.size - 1),
        *(setting.xs, setting.xs.size - 1, levels, planes.samples),
        *(planes.displaced if planes.displaced.size else None, *levels.shape),
    ]


def _floats(
    work: Any, data: Any, raw: Any, words: Any, shape: Any, kind: Any, header: Any, *model: Any
) -> tuple[str, list[Any]]:
    return "decode_floats", [work, data, data.size, raw, words, *shape, *kind, *header, *model]


def _ranks(
    work: Any, data: Any, raw: Any, words: Any, ranks: Any, shape: Any, kind: Any, header: Any,
    *tables: Any,
) -> tuple[str, list[Any]]:  # fmt: skip
    flags, _, reference, trailing = header
    properties = *shape, *kind, flags, reference, trailing
    return "decode_ranks", [work, data, data.size, raw, words, ranks, *properties, *tables]


_KERNELS: dict[str, tuple[Any, Callable[..., Any], Callable[..., list[Any]]]] = {
    "code_levels": (
        native,
        _levels,
        lambda coder, data, w, setting, planes: [
            *(coder[:4], w.states, w.weights, planes.levels, planes.samples)
        ],
    ),
    "decode_floats": (
        context,
        _floats,
        lambda work, data, raw, words, *rest: [work[2], work[5:], words, *rest[-2:]],
    ),
    "decode_ranks": (
        fast,
        _ranks,
        lambda work, data, raw, words, ranks, *rest: [work[5:], words, ranks],
    ),
}
"""Kernels by name: the module that calls one, its translation, and its results."""


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """The calls of the kernels that are made meanwhile."""
    calls: list[Call] = []

    def note(name: str) -> Any:
        module, translate, results = _KERNELS[name]
        kernel = getattr(module, name)

        def call(*given: Any) -> Any:
            calls.append(Call(kernel, tuple(map(_copy, given)), translate, results))
            return kernel(*given)

        return mock.patch.object(module, name, call)

    patches = [note(name) for name in _KERNELS]
    for patch in patches:
        patch.start()
    try:
        yield calls
    finally:
        for patch in patches:
            patch.stop()
