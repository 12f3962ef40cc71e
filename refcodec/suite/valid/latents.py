"""Latents under entropy models, whose tables are chosen here level by level."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from refcodec.probability.coding import TableChoice, encode_tables
from refcodec.probability.model import EntropyModel
from refcodec.suite.make.define import vector
from refcodec.suite.make.native import pattern
from refcodec.suite.valid.build import coded
from refcodec.suite.valid.values import HALF, Feature
from refcodec.suite.vectors import Features
from refcodec.writer import concat

__all__ = ["FLAT", "NARROW", "drawn", "learned", "model", "peak"]

Levels = Sequence[int]


def peak(*levels: int, escape: int | None = 0) -> TableChoice:
    """A table of levels; None is one without an escape."""
    chosen = [*levels] if escape is None else [*levels, escape]
    return TableChoice(-1, np.array(chosen, np.int64), escape is not None)


def scale(member: int) -> TableChoice:
    """A table of the family."""
    return TableChoice(member, np.zeros(0, np.int64))


def model(
    tables: Sequence[TableChoice], contexts: Sequence[int] = (0,), shifts: Sequence[int] = ()
) -> EntropyModel:
    """An entropy model: the table of each context, and the value of its most frequent symbol."""
    return EntropyModel(encode_tables(contexts, shifts or [0] * len(contexts), tables, 0))


NARROW = model([peak(40, 120, 160, 120, 60)])
"""One context, with the values -2 to 2."""

MIXED = model(
    [peak(224), peak(20, 90, 130, 100), scale(20), peak(16, 16, 16, escape=None)],
    [0] * 40 + [1, 2] * 11 + [3, 0],
    [0] * 40 + [-1, 5] * 11 + [-1, -7],
)
"""A context for each of 64 elements: most are constant, the others have one of three tables."""


def drawn(shape: tuple[int, ...], low: int, high: int, seed: int = 0) -> Feature:
    """Float32 integers from ``low`` to ``high``, pseudo-random."""
    numbers = pattern((seed + 1, *shape), 1, 2**15)[seed] % (high - low + 1) + low
    return np.asarray(numbers, np.float32)


def _mixed(count: int) -> list[Feature]:
    """Vectors of 64 latents that suit ``MIXED``: few of them escape."""
    found = np.zeros((count, 64), np.float32)
    found[:, 40:62:2] = drawn((count, 11), -2, 0)
    found[:, 41:62:2] = drawn((count, 11), 2, 8, 1)
    found[:, 62] = drawn((count,), -1, 1, 2) % 3 - 1
    found[:, 63] = -7
    found[1::4, 3] = 1
    found[::3, 41] = 300
    return list(found)


def learned(*features: Feature, chosen: EntropyModel | None = NARROW, **options: object) -> bytes:
    """A stream of latents."""
    return coded(*features, coder="learned", model=chosen, **options)


@vector(395)
def latents_alone(_: Features) -> bytes:
    """latents of one context, each feature in a coded feature"""
    return learned(*drawn((3, 4, 5, 6), -2, 2), batch=False, index=False)


@vector(396)
def latents_separate(_: Features) -> bytes:
    """vectors of latents in a batch, each decodable alone; constant elements, shared tables, escapes"""
    return learned(*_mixed(9), chosen=MIXED)


@vector(397)
def latents_joint(_: Features) -> bytes:
    """vectors of latents in a joint batch"""
    return learned(*_mixed(9), chosen=MIXED, joint=True)


@vector(398)
def latents_each(_: Features) -> bytes:
    """vectors of latents, each in a coded feature"""
    return learned(*_mixed(3), chosen=MIXED, batch=False)


@vector(399)
def latents_escapes(_: Features) -> bytes:
    """latents from -32768 to 32767, far beyond their table, in all three forms"""
    far = np.array([-32768, 32767, 0, 3, -3, 4, -4, 100, -1000, 32766], np.float32)
    return _joined(far, NARROW)


def _joined(values: Feature, chosen: EntropyModel) -> bytes:
    """A stream of a coded feature, a batch and a joint batch of the same latents."""
    parts = [
        learned(values, values, chosen=chosen, batch=batch, joint=joint)
        for batch, joint in ((False, False), (True, False), (True, True))
    ]
    target = io.BytesIO()
    concat(target, parts, index=False)
    return target.getvalue()


@vector(400)
def latents_four_lanes(_: Features) -> bytes:
    """latents of one table in a payload of four lanes, with escapes in one round"""
    feature = drawn((2, 90, 131), -2, 2)
    feature[0, 40, 1:5] = [7, 1, -90, 30]
    return learned(feature, batch=False)


@vector(401)
def latents_four_lanes_each(_: Features) -> bytes:
    """latents of two tables in a payload of four lanes, with escapes; the last round is not full"""
    feature = drawn((3, 71, 79), -4, 5)
    chosen = model([peak(100, 130, 100), scale(30)], [0, 1, 0], [0, 2, -1])
    return learned(feature, chosen=chosen, batch=False)


@vector(402)
def latents_scales(_: Features) -> bytes:
    """every table of the family"""
    chosen = model([scale(number) for number in range(64)], range(64), [-64, 64] * 32)
    feature = np.array([[-64, 64] * 32, [-64, 65] * 32, [-60, 40] * 32], np.float32)
    return learned(*feature, chosen=chosen)


@vector(403, "8.6.5")
def latents_lattice(_: Features) -> bytes:
    """a step and an offset of all channels, without a power of two"""
    return learned(*(drawn((2, 3, 4, 4), -2, 2) * 0.3 + 0.1), step=0.3, offset=0.1)


@vector(404, "8.6.5")
def latents_lattice_channel(_: Features) -> bytes:
    """steps and offsets of their own for channels, rounded to float16"""
    steps, offsets = (0.1, 3.0, 1e-6, 2.5e4), (0.0, -100.1, 5e-7, 3.0)
    latents = drawn((4, 4, 4), -2, 2)
    step, offset = (np.array(one, np.float32)[:, None, None] for one in (steps, offsets))
    feature = latents * step + offset
    return learned(feature.astype(HALF), step=steps, offset=offsets)


@vector(405)
def latents_int16(_: Features) -> bytes:
    """latents of int16, as they are"""
    values = drawn((3, 5, 4), -3, 3).astype(np.int16)
    values[0, 0, :2] = 300, -32768
    return learned(values, quantiser="none")


@vector(406)
def latents_int8(_: Features) -> bytes:
    """latents of int8, the least and the greatest among them"""
    values = drawn((30,), -2, 2).astype(np.int8)
    values[:2] = -128, 127
    return learned(values, values, quantiser="none", joint=True)


@vector(407)
def latents_uint8(_: Features) -> bytes:
    """latents of uint8"""
    chosen = model([peak(160, 120, 60)])
    return learned(drawn((4, 4, 4), 0, 255).astype(np.uint8), chosen=chosen, quantiser="none")


@vector(408)
def latents_constant(_: Features) -> bytes:
    """latents that cost nothing: payloads are empty, or hold the last state alone"""
    return _joined(np.full(6, 3, np.float32), model([peak(0, escape=None)], shifts=[3]))


@vector(540)
def latents_substreams(_: Features) -> bytes:
    """maps in three substreams of 1, 2 and 2 channels, with a context for each channel and escapes"""
    chosen = model([peak(40, 120, 160, 120, 60), scale(30)], [0, 1, 0, 1, 0], [0, 2, -1, 0, 0])
    features = drawn((2, 5, 6, 7), -2, 2)
    features[1, 3, 2, 2:5] = [90, 1, -300]
    return learned(*features, chosen=chosen, substreams=3)


@vector(541)
def latents_substream_each(_: Features) -> bytes:
    """a vector with a substream for each element, on a lattice of one context"""
    return learned(drawn((7,), -2, 2) * 0.5 + 1, substreams=7, step=0.5, offset=1.0)


@vector(543)
def latents_two_substreams(_: Features) -> bytes:
    """maps in two substreams"""
    return learned(drawn((3, 4, 5), -2, 2), substreams=2)


@vector(542)
def latents_64_substreams(_: Features) -> bytes:
    """a vector of 70 elements in 64 substreams, as many as there can be"""
    return learned(drawn((70,), -2, 2), substreams=64)


@vector(409)
def latents_several_models(_: Features) -> bytes:
    """two models, and two parameter sets that share one of them"""
    target = io.BytesIO()
    parts = [
        learned(drawn((8,), -2, 2)),
        learned(drawn((8,), -2, 2), step=2.0),
        learned(drawn((8,), -2, 2), chosen=model([scale(12)])),
    ]
    concat(target, parts)
    return target.getvalue()


@vector(410)
def latents_hashes(_: Features) -> bytes:
    """sample hashes and hash units of latents, negative ones among them"""
    return learned(*_mixed(3), chosen=MIXED, hash_size=8, hashes=True)


@vector(411)
def latents_index(_: Features) -> bytes:
    """an index that lists an entropy model"""
    return learned(*drawn((4, 2, 3, 3), -2, 2), batch=False, index=True)


@vector(412)
def latents_model_alone(_: Features) -> bytes:
    """an entropy model in a file of its own: a stream without features"""
    return MIXED.to_bytes()


@vector(413)
def latents_beside_bytes(f: Features) -> bytes:
    """the learned profile with a lossless coder"""
    target = io.BytesIO()
    concat(target, [learned(drawn((8,), -2, 2)), coded(f.fc[0], coder="zlib")])
    return target.getvalue()


@vector(414)
def latents_lane_full(_: Features) -> bytes:
    """the longest payload of one lane: 4095 bytes"""
    return learned(drawn((4093,), 0, 255), chosen=FLAT, batch=False)


@vector(415)
def latents_lanes_short(_: Features) -> bytes:
    """a payload that one lane would not keep below 4096 bytes"""
    return learned(drawn((4094,), 0, 255), chosen=FLAT, batch=False)


FLAT = model([peak(*[0] * 256, escape=None)])
"""Bytes that are equally likely."""
