"""What people store tokens with today: uniform samples, whole or compressed by zstd.

Every function takes rows, float32 N x D, and returns the number of bytes and the rows that come back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from features import Floats
from numcodecs.zstd import Zstd

Coded = tuple[int, Floats]


def uniform(rows: Floats, bits: int) -> Coded:
    """Steps for each dimension over its range, column after column, compressed by zstd -19.

    The range of a dimension is two float32.
    """
    low, high = rows.min(axis=0), rows.max(axis=0)
    step = np.maximum(high - low, 1e-12) / (2**bits - 1)
    samples = np.rint((rows - low) / step).astype(np.uint8)
    data = Zstd(level=19).encode(np.ascontiguousarray(samples.T).tobytes())
    return len(data) + low.nbytes + high.nbytes, (samples * step + low).astype(np.float32)


def scaled(rows: Floats, bits: int, axis: int) -> Coded:
    """Signed integers with one float16 as scale for each token (axis 1), or each channel (axis 0)."""
    top = 2 ** (bits - 1) - 1
    scale = (np.abs(rows).max(axis=axis, keepdims=True) / top).astype(np.float16).astype(np.float32)
    scale = np.maximum(scale, np.float32(6e-8))  # the smallest float16
    samples = np.rint(rows / scale).clip(-top - 1, top)
    return rows.size * bits // 8 + 2 * scale.size, (samples * scale).astype(np.float32)


PEERS: Mapping[str, Mapping[str, Callable[[Any], Coded]]] = {
    "uniform, zstd": {f"{bits} bits": partial(uniform, bits=bits) for bits in range(2, 9)},
    "integers for each token": {
        f"int{bits}": partial(scaled, bits=bits, axis=1) for bits in (4, 8)
    },
    "integers for each channel": {
        f"int{bits}": partial(scaled, bits=bits, axis=0) for bits in (4, 8)
    },
}
"""Points of each way, by its name."""
