"""Tokens: their number differs from feature to feature, and features may continue one another."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from refcodec.suite.assemble import Copy, Set
from refcodec.suite.make.define import edited, vector
from refcodec.suite.valid.values import BRAIN, E4M3, HALF, SPECIAL_32, Feature, hills
from refcodec.suite.vectors import Features
from refcodec.writer import create


def tokens(*features: Feature, **options: Any) -> bytes:
    """A stream of features of tokens."""
    target = io.BytesIO()
    with create(target, feature_type="tokens", **options) as writer:
        for one in features:
            writer.write(one)
    return target.getvalue()


def sequences(pieces: Sequence[tuple[Feature, str | None]], **options: Any) -> bytes:
    """A stream of token sequences: tokens, and the name of the sequence that they are appended to."""
    target = io.BytesIO()
    with create(target, feature_type="tokens", **options) as writer:
        for one, name in pieces:
            writer.append(one, name)
    return target.getvalue()


def values(count: int, width: int, first: int = 0) -> Feature:
    """Tokens of both signs, float32, of which the third channel is ten times the others."""
    found = hills(width, first + count, 1)[:, first:, 0].T - np.float32(20.25)
    found[:, 2] *= 10
    return found


def heads(count: int, number: int, width: int, first: int = 0) -> Feature:
    """The same tokens, heads x T x D."""
    found = values(count, number * width, first).reshape(count, number, width)
    return found.transpose(1, 0, 2)


@vector(600, "8.1")
def tokens_raw(_: Features) -> bytes:
    """5, 1 and 12 tokens of one parameter set, float16 as it is"""
    return tokens(*(values(count, 9).astype(HALF) for count in (5, 1, 12)), coder="raw")


@vector(601, "8.1")
def tokens_zlib(_: Features) -> bytes:
    """samples of 7 bits with a range for each channel, and hash units"""
    return tokens(
        *(values(count, 7) for count in (6, 3)),
        coder="zlib",
        quantiser="uniform",
        bits=7,
        range="channel",
        hashes=True,
        hash_size=8,
    )


@vector(602, "8.1")
def tokens_lzma_log(_: Features) -> bytes:
    """logarithmic samples of float8_e4m3fn tokens of one sign, coded with a sign"""
    positive = (np.abs(values(6, 5)) / 8).astype(E4M3)
    return tokens(positive, coder="lzma", quantiser="log", bits=6)


@vector(603, "8.1")
def tokens_exact(_: Features) -> bytes:
    """float32 tokens in the context mode, special values among them"""
    special = values(5, 12)
    special[3] = SPECIAL_32
    return tokens(special, values(2, 12), coder="native-lossless", workers=1)


@vector(604, "8.1")
def tokens_exact_heads(_: Features) -> bytes:
    """bfloat16 keys of three heads in the fast mode, with hash units"""
    keys = heads(7, 3, 6).astype(BRAIN)
    return tokens(keys, coder="native-lossless", speed="fast", workers=1, hashes=True)


@vector(605, "8.1")
def tokens_native(_: Features) -> bytes:
    """40, 1 and 9 tokens under the native coder"""
    return tokens(
        *(values(count, 12) for count in (40, 1, 9)), coder="native", bits=12, qp=18, workers=1
    )


@vector(606, "8.1")
def tokens_native_heads(_: Features) -> bytes:
    """values of two heads, with a range for each channel and a QP for each"""
    return tokens(
        heads(20, 2, 5),
        coder="native",
        bits=12,
        range="channel",
        qp=(20, 22, 24, 20, 21, 26, 20, 20, 23, 20),
        workers=1,
        hashes=True,
    )


@vector(607, "8.1")
def tokens_static(_: Features) -> bytes:
    """33 and 2 tokens under the native coder with static tables, in three substreams"""
    return tokens(
        *(values(count, 10) for count in (33, 2)),
        coder="native-static",
        bits=12,
        qp=20,
        substreams=3,
        workers=1,
    )


@vector(608, "7.5.1", "9.1")
def tokens_continued(_: Features) -> bytes:
    """a token sequence of 4, 1, 1 and 6 tokens, with an index"""
    pieces = [(values(count, 8, first), None) for first, count in ((0, 4), (4, 1), (5, 1), (6, 6))]
    return sequences(pieces, coder="raw", hash_size=8)


@vector(609, "7.5.1", "9.1")
def tokens_keys_and_values(_: Features) -> bytes:
    """two token sequences with names, whose features alternate; their parameter sets say the same"""
    pieces = [
        (heads(count, 2, 4, first).astype(HALF) * sign, name)
        for first, count in ((0, 3), (3, 2), (5, 1))
        for name, sign in (("k", np.float16(1)), ("v", np.float16(-1)))
    ]
    return sequences(pieces, coder="native-lossless", workers=1, names=("k", "v"))


@vector(610, "7.5.1")
def tokens_begin_again(_: Features) -> bytes:
    """two token sequences of one parameter set, one after the other"""
    pieces = [(values(count, 6, 2 * count), None) for count in (2, 3, 1, 2)]
    stream = sequences(pieces, coder="raw", index=False)
    return Set(4, "coded_feature.continuation_flag", 0)(stream)


@vector(611, "7.5.1", "A.3")
def tokens_most(_: Features) -> bytes:
    """65,536 tokens of one value, the most of a feature, and of level 1"""
    return tokens(np.full((65536, 1), 7, np.uint8), coder="zlib")


@edited(612, "tokens-begin-again", "the parameter set is repeated before the third feature", "9.1")
def tokens_parameter_set_repeated() -> Copy:
    """a parameter set replaces one that says the same, and a token sequence begins"""
    return Copy(1, 4)


@vector(613, "7.5.2")
def tokens_one(_: Features) -> bytes:
    """single tokens of which each element has a range"""
    return tokens(
        *(values(1, 9, first) for first in range(4)), coder="native", bits=12, range="channel", qp=8
    )


@vector(614, "8.1")
def tokens_one_head(_: Features) -> bytes:
    """tokens of one head, whose reconstruction has three axes, and of as many heads as values"""
    return tokens(heads(4, 1, 5), heads(3, 5, 1), coder="raw")
