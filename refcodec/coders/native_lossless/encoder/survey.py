"""Survey of the words of a feature, for the header."""

from __future__ import annotations

import numpy as np

from refcodec.coders.native_lossless.header import HAS_NEGATIVES, HAS_REPEATS, HAS_ZEROS
from refcodec.entropy.arrays import Int32, Int64
from refcodec.kernel import kernel

__all__ = ["survey_floats"]

REPEATS_PAY = 128
"""Repeats are coded if at least one word in this many repeats a neighbour."""

OUTLIERS = 1024
"""At most one word in this many lies above the reference exponent, so that outliers do not determine it."""


@kernel
def survey_floats(words: Int32, shape: Int64, kind: Int64, header: Int64) -> None:
    """Find the header of a feature: flags, highest and reference exponent, trailing zero bits."""
    width = int(shape[2])
    mantissa_bits, sign_bit = int(kind[0]), int(kind[1])
    magnitudes = (1 << sign_bit) - 1
    exponents = np.zeros(256, np.int64)  # histogram, of words that are not zero
    count = words.shape[0]
    negative = 0
    union = 0
    repeats = 0
    nonzeros = 0
    for at in range(count):
        word = int(words[at])
        magnitude = word & magnitudes
        negative |= (word >> sign_bit) & 1
        union |= magnitude
        if magnitude != 0:
            nonzeros += 1
            exponents[magnitude >> mantissa_bits] = int(exponents[magnitude >> mantissa_bits]) + 1
            if at >= width and (int(words[at - 1]) == word or int(words[at - width]) == word):
                repeats += 1
    high = 255
    while high > 0 and int(exponents[high]) == 0:
        high -= 1
    reference = high
    above = int(exponents[reference])
    while reference > 0 and above * OUTLIERS < nonzeros:
        reference -= 1
        above += int(exponents[reference])
    if high - reference <= 3:
        reference = high
    trailing = 0
    while trailing < mantissa_bits and (union >> trailing) & 1 == 0:
        trailing += 1
    header[0] = negative * HAS_NEGATIVES
    if nonzeros < count:
        header[0] = int(header[0]) + HAS_ZEROS
    if repeats * REPEATS_PAY > count:
        header[0] = int(header[0]) + HAS_REPEATS
    header[1] = high
    header[2] = reference
    header[3] = trailing
