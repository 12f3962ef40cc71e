"""Native features whose quantisation is dependent."""

from __future__ import annotations

from refcodec.suite.make.define import vector
from refcodec.suite.make.native import Content, pattern
from refcodec.suite.valid.build import native
from refcodec.suite.valid.content import content, every_other
from refcodec.suite.valid.native_restoration import large_levels
from refcodec.suite.valid.transforms import PLAIN, under
from refcodec.suite.vectors import Features


@vector(565)
def native_dependent(f: Features) -> bytes:
    """dependent quantisation, chosen by an encoder"""
    return native(f.conv[0, :4], qp=30, dependent=True)


@vector(566, "8.3.7.6")
def native_dependent_blocks(_: Features) -> bytes:
    """dependent quantisation in blocks of many sizes, with points, a slope and corrections"""
    chosen = Content(
        pattern((3, 19, 22), 3, 5), block=32, split=every_other, points=(-3, 2, 1), slope=5, mode=2,
        offsets=(7, -30, 0), gains=(1, 0, -2), dependent=True,
    )  # fmt: skip
    return content(chosen, qp=33)


@vector(567, "8.3.7.7")
def native_dependent_magnitudes(_: Features) -> bytes:
    """levels of both quantisers beyond 2^18 half steps"""
    chosen = Content(large_levels()[:2], block=8, points=(7, -8, 3), dependent=True)
    return content(chosen, qp=0, bits=16)


@vector(568, "8.3.7.6")
def native_dependent_sequence(_: Features) -> bytes:
    """a sequence whose features are dependent, usual, and dependent again"""
    levels = pattern((2, 9, 14), 4, 4)
    return content(
        Content(levels, dependent=True),
        Content(levels, temporal=every_other),
        Content(levels, temporal=every_other, dependent=True, shift=(1, -1)),
        qp=30,
    )


@vector(569, "8.3.7.6")
def transform_dependent(_: Features) -> bytes:
    """dependent quantisation of the coefficients of a transform over channels"""
    return under(
        PLAIN, Content(pattern((5, 7, 6), 3, 9), block=8, dependent=True), qp=11, batch=False
    )
