"""Header: the mode of a payload, and common properties of its words (clause 8.3.8.1).

A payload begins with a byte that gives its mode and the fields of the header that follow::

    0x00            00000000  raw: the sample bytes follow
    0x40 | fields   01......  fast (8.3.8.3): frequencies, ranks, then raw bits from the end
    0x80 | fields   10......  context (8.3.8.2): decisions, then raw bits from the end

    0x20  ..1.....  a byte follows: trailing zero bits common to all mantissas
    0x10  ...1....  a byte follows: the reference exponent, otherwise the highest exponent
    0x08  ....0...  reserved
    0x04  .....1..  words may repeat their neighbours (context)
    0x02  ......1.  there are negative words
    0x01  .......1  there are words of magnitude zero (context)

The second byte is the highest exponent of a word that is not zero.
"""

from __future__ import annotations

import numpy as np

from refcodec.entropy.arrays import Int64
from refcodec.errors import PayloadError
from refcodec.syntax.codes import SourceType

__all__ = [
    "CONTEXT_MODE",
    "FAST_MODE",
    "HAS_NEGATIVES",
    "HAS_REFERENCE",
    "HAS_REPEATS",
    "HAS_TRAILING",
    "HAS_ZEROS",
    "KINDS",
    "RAW_MODE",
    "read_header",
    "refusal",
]

RAW_MODE, FAST_MODE, CONTEXT_MODE = 0x00, 0x40, 0x80
HAS_TRAILING, HAS_REFERENCE = 0x20, 0x10
HAS_REPEATS, HAS_NEGATIVES, HAS_ZEROS = 4, 2, 1

KINDS = {
    SourceType.FLOAT32: np.array([23, 31]),
    SourceType.FLOAT16: np.array([10, 15]),
    SourceType.BFLOAT16: np.array([7, 15]),
    SourceType.FLOAT8_E4M3FN: np.array([3, 7]),
    SourceType.FLOAT8_E5M2: np.array([2, 7]),
}
"""Bits of the mantissa, and position of the sign bit."""


# --- normative -------------------------------------------------------------------------------------


def read_header(payload: bytes, kind: Int64) -> tuple[Int64, int]:
    """(8.3.8.1) Read flags, highest and reference exponent and trailing zero bits; and the header's size."""
    fields = payload[0]
    size = 2 + bool(fields & HAS_REFERENCE) + bool(fields & HAS_TRAILING)
    if len(payload) < size:
        raise refusal("the payload ends within its header")
    high = reference = payload[1]
    trailing = 0
    if fields & HAS_REFERENCE:
        reference = payload[2]
    if fields & HAS_TRAILING:
        trailing = payload[size - 1]
    if max(high, reference) >> int(kind[1] - kind[0]) or trailing > kind[0]:
        raise refusal(
            f"exponents {high} and {reference}, or {trailing} trailing bits, are too large"
        )
    return np.array([fields & 7, high, reference, trailing]), size


def refusal(what: str) -> PayloadError:
    """The error of a payload that every decoder rejects."""
    return PayloadError(what, clause="8.3.8")
