"""Features coded by the native coder with static tables, most of chosen content."""

from __future__ import annotations

from typing import Any

import numpy as np

from refcodec.coders.native_static.contexts import CHANGEABLE, OFFSET
from refcodec.suite.assemble import Set
from refcodec.suite.make.define import vector
from refcodec.suite.make.edits import header
from refcodec.suite.make.native import Content, pattern, payloads
from refcodec.suite.valid.build import coded
from refcodec.suite.valid.content import every_other
from refcodec.suite.valid.values import hills
from refcodec.suite.vectors import Features


def static(*features: Any, bits: int = 12, **options: Any) -> bytes:
    """A stream of features under the native coder with static tables."""
    return coded(*features, coder="native-static", workers=1, bits=bits, **options)


def static_content(one: Content, changes: Any = None, eighths: int = 0, **options: Any) -> bytes:
    """A stream of one payload of chosen content; see `Content.code_static`."""
    blank = np.zeros(one.levels.shape, np.float32)
    stream = static(blank, clip=(-1, 7), batch=False, index=False, **options)
    if eighths:
        stream = Set(2, "coded_feature.parameters.qp_eighths", eighths)(stream)
    (found,) = payloads(stream)
    payload, _ = one.code_static(found.fps, found.parameters, changes=changes)
    return Set(2, "coded_feature.payload", payload.hex())(stream)


@vector(460)
def static_blocks_8(_: Features) -> bytes:
    """blocks of up to 8 x 8, some of them split"""
    return static_content(Content(pattern((3, 12, 20), 6, 3), block=8, split=every_other), qp=22)


@vector(461)
def static_blocks_16(_: Features) -> bytes:
    """blocks of up to 16 x 16, some of them split once or twice, with points and a frequency slope"""
    one = Content(pattern((3, 31, 18), 9, 3), split=every_other, points=(-3, -1, 2), slope=5)
    return static_content(one, qp=25)


@vector(462)
def static_blocks_32(_: Features) -> bytes:
    """blocks of up to 32 x 32, some of them split up to three times; the frequency slope is -7"""
    one = Content(pattern((1, 33, 32), 9, 2), block=32, split=every_other, slope=-7)
    return static_content(one, qp=25)


@vector(463)
def static_block_whole(_: Features) -> bytes:
    """one block of 32 x 32, whole, its last coefficient not 0"""
    levels = pattern((1, 32, 32), 30, 1)
    levels[..., -1, -1] = 1
    return static_content(Content(levels, block=32), qp=25)


@vector(464)
def static_escapes(_: Features) -> bytes:
    """levels of all classes of magnitudes, up to the greatest"""
    magnitudes = [min(1 << n, 131135) + k for n in range(18) for k in (-1, 0)]
    levels = np.zeros((2, 7, 9), np.int32)
    levels.flat[1 : 2 * len(magnitudes) : 2] = magnitudes
    levels.flat[2 : 2 * len(magnitudes) : 7] *= -1
    return static_content(Content(-levels, split=every_other), qp=2)


@vector(465)
def static_offsets(_: Features) -> bytes:
    """offsets of channels, large ones, positive and negative"""
    offsets = (0, 1, -1, 70000, -3, 12, -131135)
    return static_content(Content(pattern((7, 4, 5), 9, 2), mode=1, offsets=offsets), qp=30)


@vector(466)
def static_gains(_: Features) -> bytes:
    """offsets and gains of channels, among them gains beyond their limits"""
    one = Content(
        pattern((6, 5, 4), 5, 3), mode=2, offsets=(3, -5, 0), gains=(-24, 32, 40, -60, 1, 0)
    )
    return static_content(one, qp=32)


@vector(467)
def static_changes(_: Features) -> bytes:
    """all contexts have other tables, in turn the last and the first of their group"""
    changes = np.where(np.arange(CHANGEABLE) % 2, 90, -90).astype(np.int32)
    return static_content(Content(pattern((2, 8, 8), 3, 5)), changes, qp=20)


@vector(468)
def static_lanes(_: Features) -> bytes:
    """a payload of four lanes"""
    return static_content(Content(pattern((3, 36, 51), 1, 20), split=every_other), qp=30)


@vector(469)
def static_substreams(_: Features) -> bytes:
    """three substreams of a feature of five channels"""
    return static(hills(5, 9, 11), qp=24, substreams=3, batch=False, index=False)


@vector(470)
def static_batch(_: Features) -> bytes:
    """features that share a batch"""
    return static(*(hills(2, 6, 7) * (k + 1) for k in range(3)), qp=26, batch=True)


@vector(471)
def static_fc(f: Features) -> bytes:
    """vectors"""
    return static(*f.fc[:2], qp=20, batch=False)


@vector(472)
def static_1x33(_: Features) -> bytes:
    """maps of one row, longer than a block"""
    return static_content(Content(pattern((2, 1, 33), 4, 2), split=every_other), qp=24)


@vector(473)
def static_1_bit(_: Features) -> bytes:
    """samples of one bit"""
    return static_content(Content(pattern((2, 6, 6), 4, 1)), bits=1, qp=40)


@vector(474)
def static_16_bit(_: Features) -> bytes:
    """samples of 16 bits, QPs 63 and an eighth less than 1"""
    one = Content(pattern((2, 9, 9), 4, 9))
    return static_content(one, bits=16, qp=(63, 0), eighths=7)


@vector(475)
def static_logarithmic(f: Features) -> bytes:
    """the logarithmic quantiser, and a sample hash"""
    return static(f.conv[0], quantiser="log", qp=24, hash_size=8, batch=False)


@vector(476)
def static_nothing(_: Features) -> bytes:
    """all levels are 0"""
    return static_content(Content(np.zeros((3, 20, 20), np.int32)), qp=51)


@vector(477)
def static_beside_raw(_: Features) -> bytes:
    """a stream of the real-time profile whose feature is raw"""
    return header("profile_idc", 5)(coded(hills(1, 2, 3), coder="raw"))


@vector(660)
def static_activities(_: Features) -> bytes:
    """activities beyond 4095, and whole blocks of 32 beside smaller ones"""
    levels = pattern((1, 64, 64), 200, 3)
    levels[0, ::16, ::24] = 5000
    whole = Content(levels, block=32, split=lambda c, y, x, height, width: (x + y) % 64 == 32)
    return static_content(whole, qp=26)


@vector(661)
def static_corrections(_: Features) -> bytes:
    """offsets of all sizes on maps of 32 samples, and gains after them, two of them beyond their limits"""
    offsets = (1 << 20, -(1 << 20), 9, -70000, 100, 3, 1 << 20)
    one = Content(
        pattern((7, 4, 8), 9, 3), mode=2, offsets=offsets, gains=(40, 7, -60, 2, 32, -5, 1)
    )
    changes = np.zeros(CHANGEABLE, np.int32)
    changes[OFFSET:] = np.resize([90, -90], CHANGEABLE - OFFSET)  # neighbouring contexts differ
    return static_content(one, changes, bits=16, qp=44)


@vector(662)
def static_fine_steps(_: Features) -> bytes:
    """samples of three bits: steps are small parts of a sample, and rounded down"""
    return static_content(Content(pattern((2, 9, 12), 1, 200)), bits=3, qp=(0, 1), eighths=5)


@vector(663)
def static_levels_cancel(_: Features) -> bytes:
    """levels beyond 2^17, and coefficients beyond 2^26, of sums within the range of samples"""
    levels = np.zeros((2, 8, 8), np.int32)
    levels[0, 0, 1:3] = 131135, -28200
    levels[1, 0, 1:3] = 400, -61
    return static_content(Content(levels, block=8), qp=(0, 63))


@vector(664)
def static_edges(_: Features) -> bytes:
    """small activities, whose sums in edges are odd"""
    return static_content(Content(pattern((1, 40, 40), 12, 1), split=every_other), qp=26)
