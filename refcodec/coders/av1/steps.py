"""Quantisers of libaom for QPs. Nothing here is normative: a decoder finds base_q_idx in each frame."""

from __future__ import annotations

from functools import cache
from math import log2

__all__ = ["quantiser_of"]

_LOSSLESS = 0
"""The quantiser of base_q_idx 0, which codes frames without loss: that of QP 0."""

_ONE = 8
"""The step of one sample."""

_STEPS = {
    8: (
        4, 11, 15, 19, 23, 27, 31, 35, 39, 43, 47, 51, 55, 59, 63, 67, 71, 75, 79, 83, 87, 91, 95, 99,
        104, 112, 120, 128, 136, 144, 152, 164, 176, 188, 200, 215, 231, 247, 265, 285, 305, 329, 353,
        380, 408, 440, 474, 510, 550, 593, 639, 689, 743, 801, 864, 933, 1007, 1087, 1173, 1267, 1369,
        1479, 1628, 1828,
    ),
    10: (
        4, 16, 27, 40, 55, 71, 88, 105, 122, 140, 158, 177, 195, 213, 231, 249, 267, 284, 302, 319, 337,
        354, 371, 388, 409, 441, 474, 506, 539, 571, 604, 652, 700, 749, 797, 857, 922, 986, 1058, 1138,
        1218, 1314, 1411, 1519, 1631, 1759, 1895, 2039, 2199, 2371, 2555, 2755, 2971, 3203, 3455, 3731,
        4028, 4348, 4692, 5068, 5476, 5916, 6512, 7312,
    ),
    12: (
        4, 35, 75, 126, 183, 247, 314, 384, 456, 530, 604, 679, 753, 828, 902, 976, 1049, 1121, 1193,
        1264, 1335, 1405, 1474, 1543, 1627, 1758, 1889, 2020, 2150, 2281, 2411, 2605, 2798, 2992, 3185,
        3426, 3684, 3941, 4230, 4550, 4871, 5256, 5641, 6073, 6522, 7034, 7579, 8155, 8795, 9484, 10220,
        11020, 11885, 12813, 13821, 14925, 16110, 17390, 18766, 20270, 21902, 23662, 26047, 29247,
    ),
}  # fmt: skip
"""Steps of the 64 quantisers of libaom, by bit depth: Ac_Qlookup of clause 7.12.2 of the AV1 specification at
base_q_idx 0, 4, ..., 244, 249 and 255."""


@cache
def quantiser_of(qp: int, depth: int) -> int:
    """The quantiser, 0 to 63, whose step is nearest to that of a QP, by ratio.

    qp    : 0 to 51; 0 is lossless.
    depth : bit depth of the frames, 8, 10 or 12.
    """
    if qp == 0:
        return _LOSSLESS
    wanted = (qp - 4) / 6 + depth - 8  # binary logarithm of the step in samples, as HEVC has it
    steps = _STEPS[depth]
    return min(
        range(_LOSSLESS + 1, len(steps)), key=lambda one: abs(log2(steps[one] / _ONE) - wanted)
    )
