"""Samples and bit patterns of several textures, for coders that keep them as they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from refcodec.suite.drawn.chance import Chance

__all__ = ["draw_samples", "draw_words"]

Samples = npt.NDArray[np.int32]


def draw_samples(chance: Chance, shape: tuple[int, ...], bits: int) -> Samples:
    """Samples of so many bits, at most 16: noise, one value, rare values, ramps, or the bounds."""
    count, top = int(np.prod(shape)), (1 << bits) - 1
    words = chance.words(count)
    noise = (words >> np.uint64(64 - bits)).astype(np.int64)
    match chance.below(5):
        case 0:
            samples = noise
        case 1:
            samples = np.full(count, chance.number(0, top), np.int64)
        case 2:
            rare = words % np.uint64(chance.between(2, 40)) == 0
            samples = np.where(rare, noise, chance.number(0, top))
        case 3:
            slope = chance.between(1, 1 + top)
            samples = np.arange(count, dtype=np.int64) * slope // 16 % (top + 1)
        case _:
            samples = np.where(words & np.uint64(1) > 0, top, 0)
    return samples.astype(np.int32).reshape(shape)


def draw_words(
    chance: Chance, shape: tuple[int, ...], mantissa_bits: int, sign_bit: int
) -> Samples:
    """Bit patterns of floating-point numbers or integers, as int32, of every kind of value.

    mantissa_bits : 0 for integers, whose words are noise.
    sign_bit      : number of the highest bit.
    """
    count, width = int(np.prod(shape)), sign_bit + 1
    noise = chance.words(count) >> np.uint64(64 - width)
    words = noise.astype(np.int64)
    if mantissa_bits and chance.below(4):
        words = _numbers(chance, words, mantissa_bits, sign_bit)
    if chance.one_in(3):
        words = _with_zeros_and_repeats(chance, words, sign_bit)
    if mantissa_bits and chance.one_in(3):
        words = _with_special(chance, words, mantissa_bits, sign_bit)
    return words.astype(np.uint32).view(np.int32).reshape(shape)


Words = npt.NDArray[np.int64]


def _numbers(chance: Chance, words: Words, mantissa_bits: int, sign_bit: int) -> Words:
    """Numbers of neighbouring exponents, with common zero bits and signs or without."""
    highest = (1 << (sign_bit - mantissa_bits)) - 1
    exponent = chance.number(0, highest)
    spread = chance.choose([1, 2, 4, 16, 64])
    exponents: Words = np.clip(exponent - (words >> 3) % spread, 0, highest)
    trailing = chance.choose([0, 0, chance.between(0, mantissa_bits), mantissa_bits])
    mantissas = (words & ((1 << mantissa_bits) - 1)) >> trailing << trailing
    signs = words >> sign_bit if chance.below(2) else np.zeros_like(words)
    return signs << sign_bit | exponents << mantissa_bits | mantissas


def _with_zeros_and_repeats(chance: Chance, words: Words, sign_bit: int) -> Words:
    """Some words zero, of either sign, and runs of words that repeat."""
    lots = chance.words(len(words))
    zeros = (lots >> np.uint64(63)).astype(np.int64) << sign_bit
    words = np.where(lots % np.uint64(chance.between(2, 30)) == 0, zeros, words)
    if chance.below(2):
        length = chance.between(2, 9)
        words = words[np.arange(len(words)) // length * length]
    return words


def _with_special(chance: Chance, words: Words, mantissa_bits: int, sign_bit: int) -> Words:
    """Infinities, NaN of every payload, subnormal numbers and the largest ones among the others."""
    highest = (1 << (sign_bit - mantissa_bits)) - 1
    mantissas = (1 << mantissa_bits) - 1
    kinds = np.array(
        [
            highest << mantissa_bits,
            highest << mantissa_bits | 1,
            highest << mantissa_bits | mantissas,
            (highest - 1) << mantissa_bits | mantissas,
            1,
            mantissas,
            1 << mantissa_bits,
        ]
    )
    lots = chance.words(len(words))
    chosen = kinds[(lots % np.uint64(len(kinds))).astype(np.int64)]
    chosen |= (lots >> np.uint64(63)).astype(np.int64) << sign_bit
    return np.where(lots >> np.uint64(8) & np.uint64(15) == 0, chosen, words)
