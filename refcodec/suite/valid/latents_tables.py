"""Entropy models whose tables show each constant, and latents at the limits of what tables reach."""

from __future__ import annotations

import io

import numpy as np

from refcodec.entropy.rans import LAST_STATE, encode_symbols
from refcodec.entropy.symbols import LANES, LANES_SIZE
from refcodec.probability.coding import TableChoice, encode_tables
from refcodec.probability.model import EntropyModel
from refcodec.suite.assemble import Edit, Insert, Set
from refcodec.suite.make.define import edited, vector
from refcodec.suite.make.edits import element
from refcodec.suite.valid.latents import FLAT, drawn, learned, model, peak
from refcodec.suite.vectors import Features
from refcodec.syntax.codes import UnitType
from refcodec.syntax.structures import ENTROPY_MODEL_UNIT
from refcodec.writer import concat

_LEVELS = (
    (40, 51, 37, 31, 38, 55, 44, 56, 41, 35, 15, 47, 4, 36, 26, 13),
    (51, 23, 17, 14, 56, 23, 6, 26, 26, 4, 18, 3, 29, 13, 22, 21),
    (45, 2, 23, 27, 12, 0, 34, 61, 52, 62, 39, 63, 49, 23, 44, 13),
    (63, 43, 11, 25, 22, 44, 11, 47, 18, 46, 24, 59, 48, 57, 44, 10),
    (50, 12),
)
"""Levels whose frequencies change with any of the 16 mantissas, by 1 in either direction."""


@vector(426, "8.10.1")
def latents_mantissas(_: Features) -> bytes:
    """tables whose frequencies depend on each mantissa to its last digit"""
    chosen = model([peak(*one, escape=None) for one in _LEVELS], range(len(_LEVELS)))
    base = chosen.distributions.base
    feature = [[base[c] + 7 * i % len(one) for c, one in enumerate(_LEVELS)] for i in range(16)]
    return learned(*np.array(feature, np.float32), chosen=chosen, joint=True)


@vector(427, "8.10.1", "8.10.5")
def latents_level_255(_: Features) -> bytes:
    """a table with a symbol of the greatest level, beside the least"""
    chosen = model([peak(0, 255, 128, escape=192)])
    return learned(np.array([0, 1, -1, 0, 0, 1, 9], np.float32), chosen=chosen, batch=False)


@vector(428, "8.10.1", "8.10.2")
def latents_excess_largest(_: Features) -> bytes:
    """the least and the greatest latent as far from their tables as an escape reaches"""
    chosen = model([peak(200)], contexts=(0, 0), shifts=(98303, -98305))
    values = np.array([-32768, 32767], np.float32)
    parts = [learned(values, chosen=chosen, batch=batch) for batch in (False, True)]
    target = io.BytesIO()
    concat(target, parts, index=False)
    return target.getvalue()


@vector(434, "8.10.2")
def latents_lanes_4096(_: Features) -> bytes:
    """the shortest payload of four lanes: 4096 bytes, where one lane would take fewer"""
    feature = drawn((4084,), 0, 255)
    states, words = np.full(LANES, LAST_STATE), np.zeros(2 * LANES_SIZE, np.int32)
    tables, symbols = FLAT.distributions.tables, feature.astype(np.int32)
    first = encode_symbols(states, words, np.zeros(1, np.int32), tables, symbols)
    payload = states.astype("<u4").tobytes() + words[first:].astype("<u2").tobytes()
    stream = learned(feature, chosen=FLAT, batch=False)
    return Set(3, "coded_feature.payload", payload.hex())(stream)


@edited(436, "latents-alone", "model_id is 255", "7.12")
def latents_model_255() -> list[Edit]:
    """an entropy model of the greatest number"""
    return [
        Set(1, "entropy_model_unit.model_id", 255),
        Set(2, "feature_parameter_set.model_id", 255),
    ]


@vector(439, "7.6")
def latents_sizes_of_one_bit(_: Features) -> bytes:
    """payloads of a batch whose sizes differ by a byte"""
    return learned(*drawn((3, 6), -2, 2))


@edited(441, "latents-separate", "a model in a file of its own comes first", "7.12")
def latents_external_unused() -> Edit:
    """a stream names a model that no parameter set uses, and that a decoder need not have"""
    unit = {"model_id": 9, "external_flag": 1, "sha256": bytes(range(32))}
    return Insert(1, UnitType.ENTROPY_MODEL, 0, ENTROPY_MODEL_UNIT.build_whole(unit).hex())


@vector(442)
def latents_uint8_limits(_: Features) -> bytes:
    """latents of uint8, the least and the greatest among them"""
    return learned(np.array([0, 255, 1], np.uint8), quantiser="none", batch=False)


@vector(443)
def latents_int8_hashes(_: Features) -> bytes:
    """hashes of negative samples that are latents as they are"""
    values = np.array([-128, 127, -1, 2], np.int8)
    return learned(values, quantiser="none", batch=False, hash_size=8, hashes=True)


_RICH = [0, 1, 1, 0, 0, 2, 2, 1, 0, 2, 2, 2, 3, 0, 3, 3, 1, 2, 0, 1, 3, 2, 1, 1, 0, 3, 3, 2]
"""Tables that repeat, are new, or come again from every place of the list, in all orders."""


@vector(445, "8.10.5")
def latents_contexts_mixed(_: Features) -> bytes:
    """500 contexts, most of which have one table, so that decisions are all but certain, or a surprise"""
    tables = [
        peak(0, escape=None),
        peak(10, 11, 12, 9, 9, 30, 29, 29, 31, 12, 13, 15, 2, 0, escape=1),
        peak(3, 4, 6, 5, 5, 3, 2, escape=None),
        peak(40, 39, 40, 38, 60),
    ]
    contexts = [*_RICH, *[0] * 230, *reversed(_RICH), *[0] * 186, *_RICH]
    shifts = [0 if i % 7 or 60 < i < 240 else (i % 5 - 2) * 3 for i in range(500)]
    chosen = model(tables, contexts, shifts)
    return learned(chosen.distributions.base.astype(np.float32), chosen=chosen, batch=False)


@vector(446, "8.10.5")
def latents_shift_largest(_: Features) -> bytes:
    """shifts of 2^17 and of -2^17, and latents as near to zero as an escape reaches"""
    chosen = model([peak(200)], contexts=(0, 0), shifts=(1 << 17, -1 << 17))
    return learned(np.array([1, 0], np.float32), chosen=chosen, batch=False)


@vector(447, "8.10.5")
def latents_values_8192(_: Features) -> bytes:
    """a table of 8192 values"""
    chosen = model([peak(*[0] * 8192, escape=None)])
    return learned(np.array([0, 5, 8191, 4096], np.float32), chosen=chosen, batch=False)


@vector(448, "8.10.5")
def latents_level_step(_: Features) -> bytes:
    """levels that are multiples of 8"""
    chosen = EntropyModel(encode_tables([0], [0], [peak(40, 120, 160, 120, 64, escape=8)], 3))
    return learned(drawn((9,), -2, 2), chosen=chosen, batch=False)


@vector(449, "8.10.1")
def latents_excess_order(_: Features) -> bytes:
    """excesses of a table of 32 values, whose codes have order 2, the greatest of them without an end"""
    lowest = 32767 - 131071 - 32
    chosen = model([peak(200, *[100] * 31)], contexts=(0, 0, 0), shifts=(lowest, lowest, 0))
    values = np.array([32767, 32766, 500], np.float32)
    parts = [learned(values, chosen=chosen, batch=batch) for batch in (False, True)]
    target = io.BytesIO()
    concat(target, parts, index=False)
    return target.getvalue()


@vector(454, "8.9.1")
def latents_tables_padded(_: Features) -> bytes:
    """tables of a model with zero bytes behind them, up to the last byte that is read"""
    stream = learned(drawn((8,), -2, 2), chosen=model([TableChoice(12, np.zeros(0, np.int64))]))
    path = "entropy_model_unit.tables.coded_tables"
    return Set(1, path, element(stream, 1, path).value.ljust(4, b"\0").hex())(stream)
