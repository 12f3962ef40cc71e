"""Features of the native coder with context models, most of chosen levels."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from refcodec.coders.native.coder import initial_of
from refcodec.contexts import Changes, ContextModel
from refcodec.probability.store import ModelStore
from refcodec.suite.assemble import Edit, Insert, Set
from refcodec.suite.make.contexts import changes_of, context_model
from refcodec.suite.make.define import edited, vector
from refcodec.suite.make.native import Content, pattern, payloads
from refcodec.suite.valid.build import coded
from refcodec.suite.valid.content import every_other
from refcodec.suite.valid.transforms import PLAIN
from refcodec.suite.vectors import Features
from refcodec.syntax.codes import UnitType
from refcodec.syntax.structures import CONTEXT_MODEL_UNIT
from refcodec.writer import concat

__all__ = ["SAMPLES"]

SAMPLES = context_model(changes_of("sample", "sample_sign", sparse=90))
"""For vectors."""

BLOCKS = context_model(
    changes_of(
        "coefficient", "dc", "dc_sign", "last", "split", "temporal", "correction", sparse=600
    )
)
"""For maps."""


def under(contexts: ContextModel, *contents: Content, **options: Any) -> bytes:
    """A stream of payloads of chosen content that begin with the states of a model."""
    tokens, predicted = options.get("feature_type") == "tokens", options.get("gop", 0) > 0
    shapes = [one.levels.shape for one in contents]
    blanks = [np.zeros((one[1], one[0]) if tokens else one, np.float32) for one in shapes]
    if "model" not in options:
        options |= {"clip": (-2.0, 2.0), "bits": 10}
    stream = coded(*blanks, coder="native", contexts=contexts, workers=1, index=False, **options)
    first = 4 if "model" in options else 3
    reference = None
    for number, (one, found) in enumerate(zip(contents, payloads(stream), strict=True)):
        initial = initial_of(found, ModelStore())
        payload, samples = one.code(found.fps, found.parameters, reference, initial)
        stream = Set(first + number, "coded_feature.payload", payload.hex())(stream)
        reference = samples if predicted else None
    return stream


_MAP = Content(
    pattern((3, 9, 13), 3, 6),
    block=8,
    split=every_other,
    points=(-2, -1, 0),
    mode=2,
    offsets=(4, -9, 700),
    gains=(3, 0, -7),
)


@vector(650)
def contexts_vectors(_: Features) -> bytes:
    """vectors in a batch, each of which begins with the states of a context model"""
    features = [row.astype(np.float32) for row in pattern((5, 24), 2, 60)]
    return coded(
        *features, coder="native", contexts=SAMPLES, qp=12, workers=1, clip=(-60, 60), speed="fast"
    )


@vector(651)
def contexts_map(_: Features) -> bytes:
    """a map with blocks, corrections and a context model"""
    return under(BLOCKS, _MAP, qp=20, batch=False)


@vector(652)
def contexts_saturate(_: Features) -> bytes:
    """the greatest changes, shifted by 15, of which probabilities are limited; counts of 127"""
    changes = changes_of("sample", sparse=400, most=2047)
    model = context_model(changes, state_shift=15, weight_shift=15, state_count=127)
    return under(model, Content(pattern((6, 4, 4), 2, 9), block=4), qp=20, batch=False)


@vector(653)
def contexts_finest(_: Features) -> bytes:
    """changes that are not shifted; counts of 0"""
    changes = changes_of("sample", "sample_sign", sparse=120, most=30)
    model = context_model(changes, state_shift=0, weight_shift=0, state_count=0)
    return under(model, Content(pattern((6, 4, 4), 2, 9), block=4), qp=20, batch=False)


@vector(654)
def contexts_transform(_: Features) -> bytes:
    """tokens with gains, of a transform over channels and a context model"""
    gained = Content(pattern((5, 6, 1), 4, 6), block=8, token_gains=(0, 5, -3, 8, -10, 23))
    model = context_model(changes_of("dc", "last", "coefficient", sparse=1500))
    return under(model, gained, model=PLAIN, qp=20, batch=False, feature_type="tokens")


@vector(655)
def contexts_predicted(_: Features) -> bytes:
    """a sequence: each payload begins with the states of the model"""
    first = Content(pattern((3, 8, 8), 4, 8), block=8)
    later = Content(pattern((3, 8, 8), 9, 3), block=8, temporal=lambda *_: True)
    return under(BLOCKS, first, later, qp=17, gop=2)


@vector(656)
def contexts_several(_: Features) -> bytes:
    """two context models, one of weights alone, one of nothing, and features of each and of neither"""
    content = Content(pattern((4, 3, 4), 2, 5), block=4)
    changes = changes_of("sample", "sample_sign")
    weights = context_model(Changes(changes.weights, 0 * changes.states))
    nothing = context_model(Changes(0 * changes.weights, 0 * changes.states))
    plain = coded(pattern((4,), 1, 3).astype(np.float32), coder="native", qp=20, index=False)
    target = io.BytesIO()
    parts = [under(one, content, qp=24, batch=False) for one in (weights, nothing)]
    concat(target, [*parts, plain, parts[0]], index=False)
    return target.getvalue()


@edited(657, "contexts-vectors", "a context model in a file of its own comes first", "7.17")
def contexts_external_unused() -> Edit:
    """a stream names a context model that no parameter set uses, by the greatest number"""
    unit = {"model_id": 255, "external_flag": 1, "sha256": bytes(range(32))}
    return Insert(1, UnitType.CONTEXT_MODEL, 0, CONTEXT_MODEL_UNIT.build_whole(unit).hex())


@vector(658)
def contexts_dependent(_: Features) -> bytes:
    """dependent quantisation with a context model of its family"""
    model = context_model(changes_of("dependent", "last", sparse=1500))
    content = Content(pattern((2, 8, 8), 3, 6), block=8, dependent=True)
    return under(model, content, qp=20, batch=False)
