"""Features waiting to be coded; those of one parameter set and configuration are coded together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, groupby, repeat
from typing import NamedTuple

import numpy as np

from refcodec.config import EncoderConfig
from refcodec.encoder.encoding import CodedFeature, CodedRun, FeatureEncoder, Request
from refcodec.grouping import by_key, in_order
from refcodec.stream.features import LARGEST_BATCH
from refcodec.stream.limits import element_count
from refcodec.syntax.codes import UnitType

__all__ = ["Waiting", "code_in_order", "units_of"]

_SHARED = ("qp", "qp_eighths", "qp_delta")
"""Elements of feature_parameters(), ranges apart, in which features of one parameter set may differ."""

_MOST_APART = (1 << 15) - 1
"""Greatest difference of the sizes of payloads of one batch."""


class Waiting(NamedTuple):
    """A feature to code, its encoder, and the configuration to use, without its QP.

    rank : distinguishes encoders whose parameter sets may be equal.
    """

    encoder: FeatureEncoder
    rank: int
    config: EncoderConfig
    request: Request


def code_in_order(waiting: Sequence[Waiting]) -> Iterator[tuple[int, CodedRun]]:
    """Code features, those of one parameter set together, in runs of one configuration.

    Yields runs of consecutive features in the order of ``waiting``, with the rank of their encoder.
    """
    keys = [id(one.encoder) for one in waiting]
    coded = {key: list(_code(own)) for key, own in by_key(waiting, keys).items()}
    owners = {
        key: chain.from_iterable(repeat(run, len(run.features)) for run in runs)
        for key, runs in coded.items()
    }
    features = {
        key: chain.from_iterable(run.features for run in runs) for key, runs in coded.items()
    }
    ranks = (one.rank for one in waiting)
    triples = zip(ranks, in_order(owners, keys), in_order(features, keys), strict=True)
    for _, group in groupby(triples, key=lambda triple: id(triple[1])):
        (rank, *_), runs, own = zip(*group, strict=True)
        yield rank, replace(runs[0], features=list(own))


def _code(waiting: Sequence[Waiting]) -> Iterator[CodedRun]:
    """Code the features of one parameter set, run by run."""
    for config, run in groupby(waiting, key=lambda one: one.config):
        yield waiting[0].encoder.code([one.request for one in run], config)


def units_of(run: CodedRun) -> Iterator[tuple[UnitType, Sequence[CodedFeature]]]:
    """Split consecutive features of one parameter set into coded features and batches.

    A batch is filled up to its limits; a feature too large for one has a unit of its own.
    """
    features = run.features
    if not run.batched:
        yield from ((UnitType.CODED_FEATURE, [one]) for one in features)
        return
    start = 0
    while start < len(features):
        stop = _end_of_batch(run, start)
        kind = UnitType.CODED_FEATURE_BATCH if stop > start else UnitType.CODED_FEATURE
        stop = max(stop, start + 1)
        yield kind, features[start:stop]
        start = stop


def _end_of_batch(run: CodedRun, start: int) -> int:
    """Number of the first feature that does not fit in the batch that begins at ``start``."""
    features, fps = run.features, run.fps
    ranges = 8 * fps.ranges
    codes = 0 if features[start].share.code_shift is None else ranges
    size = ranges + 64
    last = min(len(features), start + _most_of_batch(run))
    least = most = len(features[start].coded.data)
    for stop in range(start, last):
        payload = len(features[stop].coded.data)
        least, most = min(least, payload), max(most, payload)
        size += payload + codes + fps.sample_hash_size + 4
        full = size > LARGEST_BATCH or most - least > _MOST_APART
        if full or not _share(features[start], features[stop]):
            return stop
    return last


def _most_of_batch(run: CodedRun) -> int:
    """Most features of a batch; 0 for those that are too large for one."""
    most = LARGEST_BATCH // element_count(run.fps)
    model = None if run.model is None or not run.model.joint else run.model.latent_model
    if model is not None:
        from refcodec.coders.learned.hyperprior import most_joint

        most = min(most, most_joint(model, run.fps))
    return most


def _share(one: CodedFeature, other: CodedFeature) -> bool:
    """True if two features can share a batch: their feature_parameters() differ at most in codable ranges."""
    if one.share != other.share:
        return False
    if one.parameters is other.parameters:
        return True
    mine, theirs = vars(one.parameters), vars(other.parameters)
    return all(
        mine[name] is theirs[name] or np.array_equal(mine[name], theirs[name]) for name in _SHARED
    )
