"""Kinds of features: those of one kind share a parameter set, and the encoder that made it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import count

from refcodec.config import EncoderConfig
from refcodec.encoder.encoding import FeatureEncoder
from refcodec.encoder.features import Feature
from refcodec.encoder.parameter_sets import (
    always_differ,
    is_signed,
    kind_of,
    make_parameter_set,
)
from refcodec.syntax.structures import FPS_IDS, FeatureParameterSet

__all__ = ["Kind", "Kinds"]


@dataclass(slots=True)
class Kind:
    """An encoder that features are coded by.

    rank     : of its parameter set: 0, unless another encoder may have an equal one.
    admitted : true if features like the first one are known to keep to the limits of the stream.
    """

    encoder: FeatureEncoder
    rank: int
    admitted: bool = False


class Kinds:
    """The kinds of the features of a stream."""

    def __init__(self, config: EncoderConfig) -> None:
        """Begin with none; the configuration is that of the stream."""
        self._config = self._last = config
        self._text: str | None = None  # of the last configuration that is not the stream's
        self._encoders: dict[Hashable, Kind] = {}
        self._glances: dict[Hashable, Kind] = {}  # by a key that is quick to compute
        self._serial = count(1)

    def of(
        self,
        array: Feature,
        config: EncoderConfig,
        qps: tuple[float, ...],
        make_room: Callable[[], None],
        sequence: Hashable = None,
    ) -> Kind:
        """The kind of a feature; the first feature of a kind decides the grid of tiles.

        sequence  : of tokens that has a parameter set of its own.
        make_room : codes the features that wait, before their encoders are forgotten.
        """
        if config is not self._last:
            self._last = config
            self._text = None if config is self._config else repr(config)
        glance = (self._text, array.shape, array.dtype, is_signed(config, array), sequence)
        if glance not in self._glances:
            fps = make_parameter_set(config, array, qps)
            key = kind_of(fps, config), sequence
            # one encoder per fps_id, as sequences that alternate need
            if key not in self._encoders and len(self._encoders) == FPS_IDS:
                make_room()
                self._encoders.clear()
                self._glances.clear()
            if key not in self._encoders:
                self._encoders[key] = Kind(FeatureEncoder(fps), self._rank_of(fps))
            known = self._encoders[key]
            self._glances[glance] = Kind(known.encoder, known.rank)
        return self._glances[glance]

    def _rank_of(self, fps: FeatureParameterSet) -> int:
        """Number of an encoder: 0, unless another encoder may have an equal parameter set.

        Those two can differ only in the grid of tiles and in the parameter sets of a video standard.
        """
        alone = all(always_differ(fps, known.encoder.fps) for known in self._encoders.values())
        return 0 if alone else next(self._serial)
