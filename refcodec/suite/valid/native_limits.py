"""Native features: codes beyond every bound, which a decoder limits, and references outside the range."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from refcodec.suite.make.define import vector
from refcodec.suite.make.native import Content, pattern
from refcodec.suite.valid.build import native
from refcodec.suite.valid.content import checks, content, every_other
from refcodec.suite.valid.values import hills
from refcodec.suite.vectors import Features

_MOST = 1 << 25


def _beyond(shape: tuple[int, int, int], first: int) -> npt.NDArray[np.int32]:
    """Levels of which the first, and two others of each channel, exceed the greatest magnitude."""
    levels = pattern(shape, 6, 1)
    levels[0, 0, 0] = first
    levels[:, 2, 3], levels[:, 5, 2] = _MOST + 3, -_MOST - 3
    return levels


@vector(320, "8.3.7.5", "8.3.7.6")
def native_levels_beyond(_: Features) -> bytes:
    """first and other levels of blocks beyond 2^25 are limited"""
    return content(
        *(Content(_beyond((2, 8, 8), sign * (_MOST + 9)), block=8) for sign in (1, -1)),
        qp=51,
        bits=16,
    )


@vector(321, "8.3.7.8")
def native_samples_beyond(_: Features) -> bytes:
    """levels of samples without a transform beyond 2^25 are limited"""
    return content(Content(_beyond((3, 8, 9), -_MOST - 9), block=4, origin=300), qp=9, bits=16)


@vector(322, "8.3.7.1")
def native_slope_beyond(_: Features) -> bytes:
    """a frequency slope of 40 counts as 24"""
    return content(Content(pattern((2, 9, 13), 5, 5), slope=40, split=every_other), qp=20)


@vector(323, "8.3.7.1")
def native_slope_below(_: Features) -> bytes:
    """a frequency slope of -9 counts as -7"""
    return content(Content(pattern((2, 13, 9), 5, 5), slope=-9, split=every_other), qp=20)


@vector(324, "8.3.7.1")
def native_origin_beyond(_: Features) -> bytes:
    """an origin of 65,536 + 77 counts as 77"""
    return content(Content(abs(pattern((2, 5, 6), 2, 30)), block=4, origin=65536 + 77), qp=30)


@vector(325, "8.3.7.2")
def native_shift_beyond(_: Features) -> bytes:
    """displacements of 100 count as 64, in maps that are longer than that"""
    return content(
        Content(pattern((1, 3, 150), 2, 6), block=32),
        Content(pattern((1, 3, 150), 9, 3), block=32, temporal=checks, shift=(0, 100)),
        Content(pattern((1, 3, 150), 9, 3), block=32, temporal=checks, shift=(100, -100)),
        qp=36,
    )


@vector(326, "8.3.7.2")
def native_shift_down(_: Features) -> bytes:
    """displacements up and down by 64 rows and more"""
    return content(
        Content(pattern((1, 150, 3), 2, 6), block=32),
        Content(pattern((1, 150, 3), 9, 3), block=32, temporal=checks, shift=(65, -1)),
        Content(pattern((1, 150, 3), 9, 3), block=32, temporal=checks, shift=(-65, 2)),
        qp=36,
    )


@vector(327, "8.3.7.2", "8.3.7.9")
def native_reference_outside(_: Features) -> bytes:
    """a reference feature whose samples lie below 0 and above the largest"""
    return content(
        Content(pattern((2, 19, 22), 5, 9), split=every_other, mode=2, offsets=(-700, 9000)),
        Content(pattern((2, 19, 22), 9, 3), temporal=lambda *_: True, shift=(2, -3)),
        qp=36,
    )


@vector(328, "8.3.7.9")
def native_gains_beyond(_: Features) -> bytes:
    """gains beyond -24..32 are limited, and the contexts of the next ones are not; 40 channels"""
    gains = [(-1) ** c * (c * 7 % 45) for c in range(40)]
    return content(
        Content(pattern((40, 4, 5), 3, 30), block=8, mode=2, offsets=gains[::-1], gains=gains),
        qp=34,
    )


@vector(329, "8.3.7.9")
def native_offsets_largest(_: Features) -> bytes:
    """offsets that take samples beyond 2^24 in both directions"""
    offsets = (1 << 24, -(1 << 24), (1 << 26) - 9, 3 - (1 << 26))
    return content(
        Content(pattern((4, 6, 5), 3, 30), block=8, mode=1, offsets=offsets), qp=63, bits=16
    )


@vector(330, "8.3.7.7")
def native_points(_: Features) -> bytes:
    """reconstruction points at their bounds, for levels of blocks"""
    return content(Content(pattern((3, 11, 12), 2, 4), points=(7, -8, 7), split=every_other), qp=30)


@vector(331, "8.3.7.3")
def native_magnitudes(_: Features) -> bytes:
    """levels of every magnitude up to 240, and so every class of contexts"""
    ramp = np.arange(480).reshape(2, 15, 16) // 2 * (1 - 2 * (np.arange(16) % 3 > 1))
    return content(Content(ramp.astype(np.int32), block=4, origin=100), qp=20, bits=16, eighths=5)


@vector(332, "8.3.7.3")
def native_block_magnitudes(_: Features) -> bytes:
    """first levels, and others, of every class of contexts"""
    levels = pattern((5, 20, 20), 2, 2) * (np.arange(20) ** 2 // 3).astype(np.int32)
    levels[:, ::5, ::5] = pattern((5, 4, 4), 1, 250)
    return content(Content(levels, block=8, split=every_other), qp=40, bits=16)


@vector(333, "8.3.7.4")
def native_long_blocks(_: Features) -> bytes:
    """maps of two rows: blocks that are split in one direction alone"""
    return content(
        Content(pattern((2, 2, 33), 4, 6), block=32, split=every_other),
        Content(pattern((2, 2, 33), 4, 6), block=32, split=every_other, temporal=checks),
        qp=26,
    )


@vector(334, "8.3.7.9", "8.3.7.2")
def native_sequence_1_bit(_: Features) -> bytes:
    """a sequence of samples of one bit, with corrections"""
    maps = [hills(2, 8, 8, n) % 2 for n in range(3)]
    return native(*maps, qp=0, bits=1, gop=4, index=False, restoration="channel")


@vector(335, "8.6.4")
def native_sequence_range_ties(_: Features) -> bytes:
    """samples of a reference feature that lie halfway between two of the range predicted"""
    ramp = np.arange(128, dtype=np.float32).reshape(1, 8, 16) / 127
    return native(ramp, 2 * ramp, qp=0, bits=8, gop=2, index=False, restoration="off")


@vector(336, "8.6.4")
def native_sequence_log_unsigned(_: Features) -> bytes:
    """a sequence in which logarithmic steps change, without signs"""
    maps = [hills(2, 12, 12) * np.float32(factor) for factor in (1, 6, 0.4, 0.4)]
    return native(*maps, qp=14, gop=8, quantiser="log", bits=7, index=False)


@vector(337, "8.6.4")
def native_sequence_log_channel(_: Features) -> bytes:
    """a sequence of logarithmic steps per channel, of which one changes"""
    maps = [hills(3, 9, 9) - 9 for _ in range(3)]
    for number, one in enumerate(maps):
        one[1] *= np.float32(1 + number)
    return native(
        *maps, qp=18, gop=4, quantiser="log", bits=6, range="channel", index=False, hash_size=8
    )


def _predicted(*_: int) -> bool:
    return True


def _range(low: float, high: float) -> dict[str, list[str]]:
    """A range, as words of binary32."""
    words = np.array([low, high], np.float32).view(np.uint32).tolist()
    return {"range_min": [f"{words[0]:08x}"], "range_max": [f"{words[1]:08x}"]}


@vector(338, "8.6.4")
def native_reference_ranges(_: Features) -> bytes:
    """predicted features whose ranges differ in one bound, in both, in none, and to and from a constant"""
    spans = ((-1, 7), (-1, 9), (-3, 9), (-3, 9), (2, 2), (0, 4), (-2, 2), (-2, -1))
    first = Content(pattern((2, 8, 12), 2, 9), mode=2, offsets=(-300, 900), gains=(3, 9))
    later = Content(pattern((2, 8, 12), 9, 2), temporal=_predicted)
    ranges = [_range(*span) for span in spans]
    return content(first, *[later] * (len(spans) - 1), ranges=ranges, qp=34, bits=10)


@vector(339, "8.6.4")
def native_reference_levels(_: Features) -> bytes:
    """predicted features whose signed logarithmic steps grow and shrink, from samples outside the range"""
    return _levels_in_turn(-2.5)


@vector(340, "8.6.4")
def native_reference_unsigned(_: Features) -> bytes:
    """predicted features whose logarithmic steps grow and shrink, without signs"""
    return _levels_in_turn(2.5)


def _levels_in_turn(value: float) -> bytes:
    first = Content(pattern((2, 8, 12), 2, 9), mode=2, offsets=(-900, 3000), gains=(3, 9))
    later = Content(pattern((2, 8, 12), 9, 2), temporal=_predicted, mode=1, offsets=(-700, 2000))
    steps = [{"log_step": [step]} for step in (300000, 450001, 90000, 90000, 17000000, 3)]
    return content(first, *[later] * 5, ranges=steps, value=value, quantiser="log", qp=34, bits=7)


@vector(341, "8.3.7.5")
def native_block_of_one(_: Features) -> bytes:
    """maps of one sample that are blocks: a first level and no others"""
    levels = np.array([3, -2, 0, 40, 5], np.int32).reshape(5, 1, 1)
    return content(
        Content(levels, block=8), Content(levels // 2, block=8, temporal=_predicted), qp=24
    )


@vector(342, "8.3.7.5", "8.3.7.6")
def native_block_of_two(_: Features) -> bytes:
    """maps of two samples that are blocks, in a row and in a column"""
    levels = np.array([3, -2, 0, 40, 5, 1], np.int32)
    return content(
        Content(levels.reshape(3, 1, 2), block=8),
        Content(levels[::-1].reshape(3, 1, 2).copy(), block=8, temporal=_predicted),
        qp=24,
    )


@vector(343, "8.3.7.5")
def native_temporal_blocks(_: Features) -> bytes:
    """blocks of all sizes, predicted or not, beside others that are or are not, busy and calm"""
    busy = (np.arange(44) // 9).astype(np.int32)
    shape = (3, 37, 44)

    def chosen(c: int, y: int, x: int, height: int, width: int) -> bool:
        return (5 * c + 3 * y + x * y // 4 + height) % 5 > 1

    return content(
        Content(pattern(shape, 4, 1) * busy, block=32, split=every_other),
        Content(pattern(shape, 9, 1) * busy[::-1], split=every_other, temporal=chosen),
        qp=36,
    )
