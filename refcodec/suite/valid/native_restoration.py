"""Native features: corrections of channels, and the largest levels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from refcodec.suite.assemble import Value
from refcodec.suite.make.define import vector
from refcodec.suite.make.native import Content, pattern
from refcodec.suite.valid.build import native
from refcodec.suite.valid.content import content, every_other
from refcodec.suite.vectors import Features

_BOUNDS = Content(
    pattern((8, 5, 5), 3, 30),
    block=8,
    mode=2,
    offsets=(0, 3, -3, 3, 250, -4000, 17, -1),
    gains=(0, 1, -24, 32, 5, 0, -7, 20),
)
"""Corrections that take samples out of 0..2^bits - 1."""


def large_levels() -> npt.NDArray[np.int32]:
    """Levels near and beyond every bound of their codes, 3 x 9 x 9."""
    levels = pattern((3, 9, 9), 5, 40)
    sizes = [1 << n for n in range(26)]
    for c in range(3):
        levels[c].ravel()[c : 78 + c : 3] = [
            size * (1 - 2 * ((n + c) % 2)) - c % 2 * (n < 25) for n, size in enumerate(sizes)
        ]
    return levels


@vector(114)
def native_restoration_off(f: Features) -> bytes:
    """no corrections"""
    return native(f.conv[0], qp=40, restoration="off")


@vector(115)
def native_restoration_mean(f: Features) -> bytes:
    """the mean of each channel is corrected"""
    return native(f.conv[0], qp=40, restoration="mean")


@vector(116)
def native_restoration_channel(f: Features) -> bytes:
    """mean and deviation of each channel are corrected"""
    return native(f.conv[0], qp=40, restoration="channel")


@vector(117)
def native_restoration_bounds(_: Features) -> bytes:
    """corrections at their bounds: samples leave the range and stay outside it"""
    return content(_BOUNDS, qp=34)


@vector(133, "8.6.2")
def native_log_bounds(_: Features) -> bytes:
    """logarithmic samples that corrections take out of the range"""
    return content(_BOUNDS, qp=34, quantiser="log")


@vector(134, "8.6.2")
def native_log_signed_bounds(_: Features) -> bytes:
    """logarithmic samples with a sign that corrections take out of the range"""
    return content(_BOUNDS, qp=34, quantiser="log", value=-2.5)


@vector(118)
def native_escapes(_: Features) -> bytes:
    """levels of coefficients up to 2^25, with a coarse step"""
    return content(Content(large_levels(), split=every_other), qp=51, bits=16)


@vector(119)
def native_escapes_samples(_: Features) -> bytes:
    """levels of samples without a transform up to 2^25"""
    return content(Content(large_levels(), block=4, origin=9), qp=0, bits=16)


@vector(432, "8.6.4")
def native_log_bounds_steps(_: Features) -> bytes:
    """levels beyond the range, which corrections leave, are limited before they change to another step"""
    later = Content(pattern((8, 5, 5), 4, 3), block=8, temporal=lambda *_: True)
    twice: list[dict[str, Value]] = [{}, {"log_step": [24584]}]
    return content(_BOUNDS, later, qp=34, quantiser="log", ranges=twice)
