"""Features that wait to be coded: those of one parameter set and configuration are coded together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from refcodec.config import EncoderConfig
from refcodec.encoder.encoding import CodedFeature, FeatureEncoder, Request, is_batched
from refcodec.grouping import together
from refcodec.stream.features import LARGEST_BATCH
from refcodec.stream.limits import element_count
from refcodec.syntax.codes import UnitType
from refcodec.syntax.structures import FeatureParameterSet

__all__ = ["Waiting", "code_in_order", "units_of"]


class Waiting(NamedTuple):
    """A feature to code, its encoder, and the configuration that it came with, less its QP."""

    encoder: FeatureEncoder
    config: EncoderConfig
    request: Request


def code_in_order(waiting: Sequence[Waiting]) -> Iterator[CodedFeature]:
    """Code features; those of one parameter set together, in runs of one configuration."""

    def code(own: Sequence[Waiting]) -> Iterator[CodedFeature]:
        for config, run in groupby(own, key=lambda one: one.config):
            yield from own[0].encoder.code([one.request for one in run], config)

    return together(waiting, lambda one: id(one.encoder), code)


def units_of(
    fps: FeatureParameterSet, config: EncoderConfig, run: Sequence[CodedFeature]
) -> Iterator[tuple[UnitType, Sequence[CodedFeature]]]:
    """Split consecutive features of one parameter set into coded features and batches.

    A batch is filled up to its limits; a feature too large for one has a unit of its own.
    """
    if not is_batched(fps, config):
        yield from ((UnitType.CODED_FEATURE, [one]) for one in run)
        return
    fixed = 8 * fps.ranges + 64
    most = LARGEST_BATCH // element_count(fps)
    start = 0
    while start < len(run):
        size, stop = fixed, start
        while stop < min(len(run), start + most):
            size += len(run[stop].coded.data) + fps.sample_hash_size + 4
            if size > LARGEST_BATCH or not run[stop].shares(run[start]):
                break
            stop += 1
        if stop > start:
            yield UnitType.CODED_FEATURE_BATCH, run[start:stop]
        else:
            stop = start + 1
            yield UnitType.CODED_FEATURE, run[start:stop]
        start = stop
