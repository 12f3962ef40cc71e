"""Latents under hyperpriors, whose networks are chosen here number by number."""

from __future__ import annotations

import io
from importlib.resources import files
from typing import Any

import numpy as np

from refcodec.probability.hyperprior import HyperpriorModel
from refcodec.probability.model import EntropyModel
from refcodec.suite.assemble import Edit, Insert
from refcodec.suite.make.define import edited, vector
from refcodec.suite.make.native import pattern
from refcodec.suite.make.networks import Integers, hyperprior, layer, network, spread, under
from refcodec.suite.valid.latents import model, peak, scale
from refcodec.suite.valid.values import HALF
from refcodec.suite.vectors import Features
from refcodec.syntax.codes import Activation, UnitType
from refcodec.syntax.structures import NETWORK_MODEL_UNIT
from refcodec.writer import concat

__all__ = ["MEANS", "SCALES", "SUMS", "SYNTHESIS", "TABLES", "WIDE"]

RELU, LEAKY, LINEAR = Activation.RELU, Activation.LEAKY_RELU, Activation.LINEAR

_TABLE = peak(40, 90, 130, 150, 130, 90, 40)
"""Hyper-latents from -3 to 3, without a context of their own."""

_EVEN = tuple(range(8, 8 + 63 * 3, 3))
"""Thresholds at equal distances."""


def drawn(shape: tuple[int, ...], most: int, seed: int = 0) -> Integers:
    """Integers from -``most`` to ``most``, pseudo-random."""
    return np.asarray(pattern((seed + 1, *shape), 1, most)[seed])


def _pairs(
    count: int, latents: tuple[int, ...], hyper: tuple[int, ...], most: int = 5
) -> list[tuple[Integers, Integers]]:
    """Latents and hyper-latents of some features."""
    return [(drawn(latents, most, i), drawn(hyper, 3, 20 + i)) for i in range(count)]


def _centred(contexts: int) -> EntropyModel:
    return model([_TABLE], [0] * contexts, [0] * contexts)


TABLES = _centred(1)


_HYPER = network(
    layer(spread(4, 3, 6, 20), stride=2, padding=1, biases=9, activation=RELU, shift=3),
    layer(spread(3, 6, 4, 9), padding=1, biases=(900, 700, 300, 100), bits=12, shift=4),
)
"""From 3 channels of hyper-latents to 4 channels of twice the height and width."""

SCALES = hyperprior(_HYPER, _centred(3), _EVEN)

MEANS = hyperprior(
    network(
        layer(spread(2, 2, 5, 30), stride=2, activation=LEAKY, bits=10, shift=2),
        layer(spread(1, 5, 6, 60), biases=(5, -9, 40, 900, 700, 300), bits=12, shift=5),
    ),
    _centred(2),
    _EVEN,
    fraction=3,
)
"""Means in eighths, and scales, of 3 channels."""

SYNTHESIS = hyperprior(
    _HYPER,
    _centred(3),
    _EVEN,
    fraction=1,
    synthesis=network(
        layer(spread(4, 2, 8, 60), stride=2, padding=1, biases=3, activation=RELU, shift=2),
        layer(spread(3, 8, 3, 90), padding=1, multipliers=(9000, 12000, 500), bits=14, shift=14),
        bits=9,
    ),
)
"""From 2 channels of latents to 3 channels of twice the height and width."""


@vector(480)
def hyperprior_scales(_: Features) -> bytes:
    """a scale of its own for each latent; each feature in a coded feature"""
    return under(SCALES, (4, 5, 7), _pairs(3, (4, 5, 7), (3, 3, 4)), batch=False, index=False)


@vector(481)
def hyperprior_means(_: Features) -> bytes:
    """a mean in eighths, and a scale, for each latent"""
    pairs = [(latents / 3, hyper) for latents, hyper in _pairs(2, (3, 4, 5), (2, 2, 3), 40)]
    return under(MEANS, (3, 4, 5), pairs, batch=False, step=0.125, index=False)


@vector(482)
def hyperprior_synthesis(_: Features) -> bytes:
    """samples by a synthesis, whose last row and column are left out"""
    pairs = _pairs(2, (2, 4, 5), (3, 2, 3))
    return under(SYNTHESIS, (3, 7, 9), pairs, batch=False, step=2.0**-7, index=False)


@vector(483)
def hyperprior_separate(_: Features) -> bytes:
    """features in a batch, each decodable alone"""
    return under(SYNTHESIS, (3, 7, 9), _pairs(5, (2, 4, 5), (3, 2, 3)), step=0.25)


@vector(484)
def hyperprior_joint(_: Features) -> bytes:
    """features in a joint batch: the hyper-latents of all of them, then their latents"""
    return under(SYNTHESIS, (3, 7, 9), _pairs(5, (2, 4, 5), (3, 2, 3)), step=0.25, joint=True)


_DENSE = hyperprior(
    network(layer(spread(1, 2, 9, 50), biases=60, activation=RELU, shift=1)),
    _centred(2),
    _EVEN,
    synthesis=network(
        layer(spread(1, 9, 12, 90), activation=LEAKY, bits=12, shift=4),
        layer(spread(1, 12, 20, 90), bits=16, shift=6),
    ),
)
"""Vectors of 20 values from 9 latents."""


@vector(485)
def hyperprior_vectors(_: Features) -> bytes:
    """vectors: networks of kernels of one weight"""
    return under(_DENSE, (20,), _pairs(7, (9, 1, 1), (2, 1, 1)), step=0.5, joint=True)


@vector(486)
def hyperprior_shapes(_: Features) -> bytes:
    """kernels of 3, 6, 7 and 8, strides of 1 to 4, paddings of all kinds, all activations"""
    synthesis = network(
        layer(spread(8, 1, 2, 20), stride=3, padding=2, activation=RELU, bits=6, shift=2),
        layer(spread(7, 2, 3, 9), padding=3, activation=LEAKY, bits=7, shift=3),
        layer(spread(6, 3, 2, 9), stride=4, padding=7, bits=9, shift=2),
        layer(spread(8, 2, 1, 9), padding=0, bits=16, shift=4),
        bits=4,
    )
    chosen = hyperprior(
        network(layer(spread(3, 1, 1, 90), stride=2, padding=1, activation=RELU, shift=2)),
        TABLES,
        _EVEN,
        synthesis=synthesis,
    )
    return under(chosen, (1, 20, 23), _pairs(1, (1, 2, 2), (1, 1, 1)), batch=False)


@vector(487)
def hyperprior_gaps(_: Features) -> bytes:
    """a kernel smaller than its stride, and a padding beyond the kernel: outputs that are a bias alone"""
    synthesis = network(
        layer(spread(2, 1, 1, 90), stride=4, padding=3, biases=14, shift=1),
        layer(spread(1, 1, 2, 90), padding=2, biases=(-40, 30), bits=10, shift=2),
        bits=4,
    )
    chosen = hyperprior(network(layer([[[[40]]]], biases=20)), TABLES, _EVEN, synthesis=synthesis)
    return under(chosen, (2, 8, 12), _pairs(1, (1, 2, 3), (1, 2, 3)), batch=False)


@vector(488)
def hyperprior_saturated(_: Features) -> bytes:
    """outputs beyond their bits, the smallest and the largest multiplier and shift"""
    synthesis = network(
        layer(
            [[[[1, -1, 127, -127, 1, 90]]]],
            multipliers=(1, 1, 65536, 65536, 65536, 333),
            bits=16,
            shift=1,
        ),
        layer(
            [[np.diag([127, 127, 127, 127, 1, -1])]],
            multipliers=(65536, 65535, 65536, 65536, 40000, 3),
            bits=16,
            weight_bits=16,
            shift=32,
        ),
        bits=8,
    )
    chosen = hyperprior(network(layer([[[[40]]]], biases=20)), TABLES, _EVEN, synthesis=synthesis)
    latents = np.arange(-128, 128, 8).reshape(1, 4, 8)
    return under(chosen, (6, 4, 8), [(latents, drawn((1, 4, 8), 3))], batch=False)


SUMS = hyperprior(
    network(layer([[[[9, 9]]]], biases=300, bits=10)),
    TABLES,
    _EVEN,
    synthesis=network(
        layer(
            [[[[32767, -32767], [32767, -32767]]]],
            biases=(2147483647 - 65536 * 32767, 65536 * 32767 - 2147483647),
            multipliers=(16384, 65536),
            weight_bits=16,
            bits=16,
            shift=32,
        ),
        bits=16,
    ),
)
"""Sums of at most 2147483647."""


@vector(489)
def hyperprior_sums(_: Features) -> bytes:
    """sums that reach 2147483647 and its negative"""
    latents = np.array([[[-32768, 32767, 0, 1]], [[-32768, 32767, 0, -1]]])
    return under(SUMS, (2, 1, 4), [(latents, np.zeros((1, 1, 4)))], batch=False)


@vector(490)
def hyperprior_escapes(_: Features) -> bytes:
    """latents and hyper-latents from the least to the greatest, far beyond their tables"""
    chosen = hyperprior(network(layer([[[[1]]]], biases=9)), model([peak(120, 0)]), _EVEN)
    latents = np.array([[[-32768, 32767, 100, -1, 1000, -1000, 0, 3, -4]]])
    hyper = np.array([[[-128, 127, 0, 1, -2, 90, 126, -127, 64]]])
    return under(chosen, (1, 1, 9), [(latents, hyper)] * 2, joint=True)


@vector(491)
def hyperprior_every_scale(_: Features) -> bytes:
    """every scale, at its threshold and next to it"""
    chosen = hyperprior(network(layer([[[[2]]]], bits=9)), model([scale(60)]), tuple(range(1, 64)))
    hyper = np.arange(-2, 70).reshape(1, 8, 9)
    return under(chosen, (1, 8, 9), [(drawn((1, 8, 9), 9), hyper)], batch=False)


@vector(492)
def hyperprior_equal_thresholds(_: Features) -> bytes:
    """thresholds that are equal: scales that no latent has; the greatest threshold"""
    steps = [0] * 20 + [5] * 20 + [9] * 20 + [40, 65535, 65535]
    chosen = hyperprior(network(layer([[[[2]]]], bits=9)), model([scale(30)]), steps)
    hyper = np.arange(-8, 48).reshape(1, 7, 8)
    return under(chosen, (1, 7, 8), [(drawn((1, 7, 8), 30), hyper)], batch=False)


@vector(493)
def hyperprior_contexts(_: Features) -> bytes:
    """hyper-latents with contexts, tables and shifts of their own"""
    tables = model(
        [peak(100, 200, 60), scale(30), peak(9, 9, 9, escape=None)], (0, 1, 2), (1, -4, 0)
    )
    pairs = [
        (latents, np.stack([hyper[0] + 1, 3 * hyper[1] - 4, hyper[2] % 3]))
        for latents, hyper in _pairs(4, (4, 3, 4), (3, 2, 2))
    ]
    return under(hyperprior(_HYPER, tables, _EVEN), (4, 3, 4), pairs)


@vector(494)
def hyperprior_four_lanes(_: Features) -> bytes:
    """a payload of four lanes: the first round of latents begins with the first lane"""
    chosen = hyperprior(
        network(layer(spread(2, 1, 2, 90), stride=2, biases=140, activation=RELU, shift=1)),
        TABLES,
        _EVEN,
    )
    pair = drawn((2, 37, 25), 60), drawn((1, 19, 13), 3)
    return under(chosen, (2, 37, 25), [pair], batch=False)


WIDE = hyperprior(
    network(
        layer(spread(1, 1, 33, 90), biases=20, activation=RELU, shift=1),
        layer(spread(1, 33, 1, 60), biases=90, bits=10, shift=6),
    ),
    TABLES,
    _EVEN,
)
"""Scales by a hidden layer of 33 channels."""


@vector(495)
def hyperprior_wide(_: Features) -> bytes:
    """a hidden layer of 33 channels"""
    return under(WIDE, (1, 5, 6), _pairs(2, (1, 5, 6), (1, 5, 6)), batch=False, index=False)


@vector(496)
def hyperprior_lattice(_: Features) -> bytes:
    """a synthesis to float16, with steps and offsets of their own for channels"""
    pairs = _pairs(2, (2, 3, 2), (3, 2, 1))
    options = {"step": (0.01, 3.0, 1e-5), "offset": (0.0, -1.5, 2e-4)}
    return under(SYNTHESIS, (3, 6, 4), pairs, HALF, **options)


@vector(497)
def hyperprior_model_alone(_: Features) -> bytes:
    """a model with networks in a file of its own: a stream without features"""
    return SYNTHESIS.to_bytes()


@edited(544, "hyperprior-scales", "a model in a file of its own comes first", "7.13")
def hyperprior_external_unused() -> Edit:
    """a stream names a model with networks that no parameter set uses, by the greatest number"""
    unit = {"model_id": 255, "external_flag": 1, "sha256": bytes(range(32))}
    return Insert(1, UnitType.NETWORK_MODEL, 0, NETWORK_MODEL_UNIT.build_whole(unit).hex())


@vector(498)
def hyperprior_several_models(_: Features) -> bytes:
    """models of both kinds in one stream, an index, sample hashes and hash units"""
    options: dict[str, Any] = {"hash_size": 16, "hashes": True}
    parts = [
        under(SCALES, (4, 5, 7), _pairs(2, (4, 5, 7), (3, 3, 4)), **options),
        under(MEANS, (3, 4, 5), _pairs(2, (3, 4, 5), (2, 2, 3)), step=0.125, **options),
        under(SYNTHESIS, (3, 7, 9), _pairs(2, (2, 4, 5), (3, 2, 3)), joint=True, **options),
        under(SCALES, (4, 2, 2), _pairs(1, (4, 2, 2), (3, 1, 1)), **options),
    ]
    target = io.BytesIO()
    concat(target, parts)
    return target.getvalue()


_DIGITS = (
    ((5, -6, 6, -5, 3, 3, 4, 5, 2, -2, 1, -1, 1, 0, 2, -1), (3, -2)),
    ((6, -7, 4, -4, 5, 3, 0, 5, 1, -2, 2, 2, 2, 1, 1, 0), (3, -2)),
    ((4, -6, 5, -5, 3, 1, 1, 0, 2, -1, 4, 4, -1, 1, 0, 1), (3, -2)),
)
"""Latents and hyper-latents of three digits, as ``tools/train_suite_codec.py`` prints them."""


@vector(499)
def hyperprior_converted(_: Features) -> bytes:
    """a trained codec whose float networks were converted to integers; features of a small network"""
    trained = HyperpriorModel.load(str(files(__package__) / "converted.dfcm"))
    pairs = [
        (np.reshape(latents, (4, 2, 2)), np.reshape(hyper, (2, 1, 1))) for latents, hyper in _DIGITS
    ]
    return under(trained, (16, 4, 4), pairs, step=2.0**-10)
