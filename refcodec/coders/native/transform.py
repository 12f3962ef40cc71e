"""Block transforms: integer cosine transforms of every length from 1 to 32 (clause 8.3.7.10).

A side of any length is divided into blocks of nearly equal length, so that no map is padded: 14 becomes 7 and
7, 13 becomes 7 and 6, and a map of 1x1 is a block of 1x1. The normative inverse comes first.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.entropy.arrays import Int32, Int64
from refcodec.kernel import inlined, kernel

__all__ = [
    "BASIS",
    "BASIS_AT",
    "LARGEST_BLOCK",
    "add_coefficient",
    "cosine_basis",
    "forward",
    "inverse_block",
]

LARGEST_BLOCK = 32
"""Longest side of a block."""

COEFFICIENT_LIMIT = 1 << 26
"""Bound of a coefficient, in units of 2^-4 samples: more than 16-bit samples need."""


@cache
def cosine_basis(length: int) -> Int64:
    """(8.3.7.10) The basis of one length, frequency x position, in units of 2^-14.

    ``rint(2^14 * s * cos(pi * (2 x + 1) * u / (2 n)))`` with ``s = sqrt(1 / n)`` for u = 0 and
    ``sqrt(2 / n)`` else. No entry is so close to a half that its rounding could differ between machines.
    """
    rows = [
        [
            round(
                16384
                * math.sqrt((2 if u else 1) / length)
                * math.cos(math.pi * ((2 * x + 1) * u % (4 * length)) / (2 * length))
            )
            for x in range(length)
        ]
        for u in range(length)
    ]
    return np.array(rows, dtype=np.int64)


BASIS_AT = np.array([sum(m * m for m in range(n)) for n in range(LARGEST_BLOCK + 2)])
"""Index of the first entry of each length in :data:`BASIS`."""

BASIS = np.concatenate([cosine_basis(n).ravel() for n in range(1, LARGEST_BLOCK + 1)])
"""The bases of the lengths 1 to 32, concatenated."""


# --- normative -------------------------------------------------------------------------------------


@inlined
def add_coefficient(rows: Int64, u: int, v: int, width: int, coefficient: int) -> None:
    """(8.3.7.10) Add a coefficient, transformed along its row, to the intermediate values of a block.

    coefficient : in units of 2^-4 samples, within 2^26.
    """
    at = int(BASIS_AT[width]) + v * width
    for j in range(width):
        rows[u, j] = int(rows[u, j]) + coefficient * int(BASIS[at + j])


@kernel
def inverse_block(
    rows: Int64, samples: Int32, y: int, x: int, height: int, width: int, used_rows: int,
    used_columns: int, least: int, most: int,
) -> None:  # fmt: skip
    """(8.3.7.10) The inverse transform of a block, limited to ``least``.. ``most``, at its place in samples.

    rows : intermediate values, in units of 2^-18 samples, within 2^43; is 0 again afterwards. Its last two
           rows are work space.

    Only coefficients of ``used_rows`` rows and ``used_columns`` columns, at least one each, differ from 0.
    Two rows of samples, as far from the middle, share the sums over even and odd u (8.3.7.10).
    """
    at = int(BASIS_AT[height])
    for u in range(used_rows):
        for j in range(width):
            rows[u, j] = (int(rows[u, j]) + 512) >> 10  # within 2^33
    if used_rows == 1 and used_columns == 1:  # the same everywhere
        total = (int(rows[0, 0]) * int(BASIS[at]) + (1 << 21)) >> 22
        total = min(max(total, least), most)
        for i in range(y, y + height):
            for j in range(x, x + width):
                samples[i, j] = total
    else:
        even = rows.shape[0] - 2
        odd = even + 1
        u = (used_rows - 1) & -4
        for i in range((height + 1) >> 1):
            if i == 0 or u > 0:
                for j in range(width):
                    rows[even, j] = 1 << 21
                    rows[odd, j] = 0
                for n in range(0, u, 2):
                    f0 = int(BASIS[at + i + n * height])
                    f1 = int(BASIS[at + i + (n + 1) * height])
                    for j in range(width):
                        rows[even, j] = int(rows[even, j]) + f0 * int(rows[n, j])
                        rows[odd, j] = int(rows[odd, j]) + f1 * int(rows[n + 1, j])
            f0 = int(BASIS[at + i + u * height])
            f1 = int(BASIS[at + i + (u + 1) * height]) if u + 1 < used_rows else 0
            f2 = int(BASIS[at + i + (u + 2) * height]) if u + 2 < used_rows else 0
            f3 = int(BASIS[at + i + (u + 3) * height]) if u + 3 < used_rows else 0
            top = y + i
            bottom = y + height - 1 - i
            for j in range(width):
                one = int(rows[even, j]) + f0 * int(rows[u, j]) + f2 * int(rows[u + 2, j])
                other = int(rows[odd, j]) + f1 * int(rows[u + 1, j]) + f3 * int(rows[u + 3, j])
                samples[bottom, x + j] = min(max((one - other) >> 22, least), most)
                samples[top, x + j] = min(max((one + other) >> 22, least), most)
    for u in range(used_rows):
        for j in range(width):
            rows[u, j] = 0


# --- informative: the encoder's half ---------------------------------------------------------------


def forward(plane: npt.NDArray[Any], ys: Any, xs: Any) -> npt.NDArray[Any]:
    """Orthonormal transform of planes (..., H, W), cut into blocks at ``ys`` and ``xs``.

    plane  : float32, or float64 for integers below 2^12 in magnitude, for which all but the final scaling is
             exact, whatever the order of summation.
    ys, xs : boundaries, from 0 to H and W.
    """
    across = _forward(plane, xs)
    down = _forward(across.swapaxes(-1, -2), ys).swapaxes(-1, -2)
    scaled: npt.NDArray[Any] = np.ascontiguousarray(down) * plane.dtype.type(2.0**-28)
    return scaled


def _forward(plane: npt.NDArray[Any], cuts: Any) -> npt.NDArray[Any]:
    """Transform along the last axis, in units of 2^-14."""
    lengths = np.diff(cuts)
    if (lengths == lengths[0]).all():  # one product for all blocks
        n = int(lengths[0])
        rows = np.ascontiguousarray(plane).reshape(-1, n)
        product: npt.NDArray[Any] = rows @ _upright(n, plane.dtype)
        return product.reshape(plane.shape)
    parts = [
        plane[..., start:stop] @ _upright(int(stop - start), plane.dtype)
        for start, stop in pairwise(cuts)
    ]
    return np.concatenate(parts, axis=-1)


@cache
def _upright(length: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The basis of one length, position x frequency, in units of 2^-14."""
    return cosine_basis(length).T.astype(dtype)
