"""Hyperpriors: models whose integer network gives each latent its distribution (clause 8.3.10).

bmshj2018 gives each latent a scale; mbt2018, without its autoregression, a scale and a mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from math import prod
from types import MappingProxyType
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.entropy.static import Tables
from refcodec.entropy.symbols import make_tables
from refcodec.errors import CallerError, ConstraintError, StreamError, UnsupportedError
from refcodec.networks.network import (
    IntegerNetwork,
    check_network_limits,
    room_of,
    stride_of,
    work_of,
)
from refcodec.probability.coding import check_model_limits
from refcodec.probability.model import EntropyModel
from refcodec.stored_model import StoredModel
from refcodec.syntax.codes import Activation, Quantiser, UnitType
from refcodec.syntax.structures import HYPERPRIOR, FeatureParameterSet, Hyperprior, Network
from refcodec.tables import HIGHEST_LEVEL, Level, levels, scale_deviations, scale_frequencies

__all__ = [
    "Geometry",
    "HyperpriorModel",
    "check_features",
    "cost_of",
    "deviation_thresholds",
    "family_tables",
    "geometry_of",
    "networks_of",
]

Shape = tuple[int, int, int]


class Geometry(NamedTuple):
    """The shapes, C x H x W, of the two kinds of latents of a feature.

    latents : those that are coded under scales.
    hyper   : those that the hyper-synthesis makes the scales of.
    """

    latents: Shape
    hyper: Shape

    @property
    def elements(self) -> int:
        """Number of latents of both kinds."""
        return sum(map(prod, self))


class HyperpriorModel(StoredModel):
    """A model of latents: hyper-latents under tables, latents under scales, and a synthesis perhaps.

    hyper_model     : distributions of the hyper-latents.
    hyper_synthesis : network from hyper-latents to scales, or to means and scales.
    synthesis       : network from latents to samples of features; None where the latents are the samples.
    """

    unit_type = UnitType.NETWORK_MODEL
    element = "hyperprior"

    def __init__(self, coded: Hyperprior, places: Mapping[str, int] = MappingProxyType({})) -> None:
        """Decode a model that `check` finds nothing wrong with.

        places : positions of the numbers of its parts in a stream, in bits, by their names.

        Raises PayloadError, ConstraintError, with the position of the part that is at fault.
        """
        self.coded: Hyperprior = coded
        with _placed(places.get("hyper_synthesis")):
            self.hyper_synthesis = IntegerNetwork(coded.hyper_synthesis)
        with _placed(places.get("synthesis")):
            self.synthesis = None if coded.synthesis is None else IntegerNetwork(coded.synthesis)
        with _placed(places.get("tables")):
            self.hyper_model = EntropyModel(coded.tables)

    @classmethod
    def from_networks(
        cls,
        hyper_synthesis: IntegerNetwork,
        hyper_model: EntropyModel,
        thresholds: Sequence[int] | npt.NDArray[np.integer],
        *,
        synthesis: IntegerNetwork | None = None,
        fraction: int | None = None,
    ) -> Self:
        """Make a model of its parts.

        hyper_synthesis : from hyper-latents to scales; or to means, and then as many scales.
        hyper_model     : distributions of hyper-latents.
        thresholds      : 63 numbers of 16 bits, in order: the scale is the number of those that an output
                          of the hyper-synthesis reaches; see `deviation_thresholds`.
        synthesis       : from latents to samples of features; None where the latents are the samples.
        fraction        : means and latents are in units of 2^-fraction, 0 to 7; None without means.

        Raises CallerError for parts that do not fit together, or exceed every level.
        """
        elements = {
            "mean_flag": int(fraction is not None),
            "mean_fraction": fraction,
            "synthesis_flag": int(synthesis is not None),
            "scale_threshold": thresholds,
            "hyper_synthesis": hyper_synthesis.coded,
            "synthesis": None if synthesis is None else synthesis.coded,
            "tables": hyper_model.coded,
        }
        coded = HYPERPRIOR.make(elements)
        for error in cls.check(coded, levels()[HIGHEST_LEVEL]):
            raise CallerError(error.what)
        return cls(coded)

    @staticmethod
    @clause("9.8")
    def check(
        coded: Hyperprior, limits: Level, bit_offset: int | None = None
    ) -> Iterator[StreamError]:
        """(9.8, A.3) Limits of the level, and shapes that fit together."""
        yield from check_network_limits(networks_of(coded), limits, bit_offset)
        yield from check_model_limits(coded.tables, limits, bit_offset)

        def wrong(what: str, requirement: str) -> ConstraintError:
            return ConstraintError(
                f"hyperprior: {what}", bit_offset=bit_offset, requirement=requirement
            )

        inputs = coded.hyper_synthesis.input_channels
        if coded.tables.context_count not in (1, inputs):
            yield wrong(
                f"{coded.tables.context_count} contexts; {inputs} channels of hyper-latents need 1, or "
                "one for each",
                "9.8-1",
            )
        outputs = coded.hyper_synthesis.layers[-1].channels
        if coded.mean_flag and outputs % 2:
            yield wrong(
                f"{outputs} outputs of the hyper-synthesis are no pairs of mean and scale", "9.8-2"
            )
        elif coded.synthesis is not None:
            latents, taken = _latent_channels(coded), coded.synthesis.input_channels
            if latents != taken:
                yield wrong(f"scales of {latents} channels; the synthesis takes {taken}", "9.8-3")
        if (np.diff(coded.scale_threshold) < 0).any():
            yield wrong("a scale_threshold is less than the one before", "9.8-5")

    @property
    def fraction(self) -> int:
        """Latents are in units of 2 to the power of minus this."""
        return int(self.coded.mean_fraction or 0)

    @property
    def contexts(self) -> int:
        """Number of distributions of hyper-latents."""
        return self.hyper_model.contexts

    @property
    def size(self) -> int:
        """Bytes of the model in a stream."""
        return len(self.payload)

    @cached_property
    def networks(self) -> dict[str, IntegerNetwork]:
        """The networks by their names."""
        found = {"hyper_synthesis": self.hyper_synthesis}
        return found if self.synthesis is None else {**found, "synthesis": self.synthesis}

    def __repr__(self) -> str:
        kind = "means and scales" if self.coded.mean_flag else "scales"
        whole = sum(one.weights for one in self.networks.values())
        return f"<HyperpriorModel: {kind}, {whole} weights, {self.size} bytes>"


@contextmanager
def _placed(bit_offset: int | None) -> Iterator[None]:
    """Give errors of the stream a position."""
    try:
        yield
    except StreamError as error:
        error.bit_offset = bit_offset
        raise


def networks_of(coded: Hyperprior) -> list[Network]:
    """The networks of a model, the hyper-synthesis first."""
    return [one for one in (coded.hyper_synthesis, coded.synthesis) if one is not None]


def _latent_channels(coded: Hyperprior) -> int:
    return coded.hyper_synthesis.layers[-1].channels >> coded.mean_flag


@clause("8.3.10")
def geometry_of(coded: Hyperprior, fps: FeatureParameterSet) -> Geometry:
    """(8.3.10) The shapes of the latents of features of a parameter set.

    "A network takes as few rows and columns as give it those of its outputs that are needed."
    """
    stride = 1 if coded.synthesis is None else stride_of(coded.synthesis)
    latents = _latent_channels(coded), -(-fps.height // stride), -(-fps.width // stride)
    stride = stride_of(coded.hyper_synthesis)
    channels = coded.hyper_synthesis.input_channels
    return Geometry(latents, (channels, -(-latents[1] // stride), -(-latents[2] // stride)))


@clause("A.3")
def cost_of(coded: Hyperprior, fps: FeatureParameterSet) -> tuple[int, int]:
    """(A.3) The costs of features of a parameter set that levels bound.

    Returns the multiply-accumulates of the networks for each element of a feature, rounded up, and the most
    outputs of a layer.
    """
    work, room = 0, 0
    geometry = geometry_of(coded, fps)
    for network, (_, height, width) in zip(networks_of(coded), reversed(geometry), strict=False):
        work += work_of(network, height * width)
        room = max(room, room_of(network, height * width))
    return -(-work // (fps.channels * fps.height * fps.width)), room


@clause("9.8")
def check_features(
    coded: Hyperprior, fps: FeatureParameterSet, limits: Level, bit_offset: int | None = None
) -> Iterator[StreamError]:
    """(9.8, A.3) Features of a parameter set are those of the model, and their work is within limits."""

    def wrong(what: str, requirement: str) -> ConstraintError:
        return ConstraintError(what, bit_offset=bit_offset, requirement=requirement)

    if fps.quantiser != Quantiser.LATTICE:
        yield wrong("features of a hyperprior have the quantiser lattice", "9.8-6")
    if fps.substream_count > 1:
        yield wrong("features of a hyperprior have one substream", "9.8-10")
    last = None if coded.synthesis is None else coded.synthesis.layers[-1]
    channels = _latent_channels(coded) if last is None else last.channels
    if channels != fps.channels:
        yield wrong(
            f"the model has features of {channels} channels, not of {fps.channels}", "9.8-7"
        )
    if last is not None:
        bits = last.output_bits_minus1 + 1 + (last.activation == Activation.RELU)
        if bits > fps.bits:
            yield wrong(
                f"the synthesis has samples of {bits} bits, the parameter set of {fps.bits}",
                "9.8-8",
            )
    work, room = cost_of(coded, fps)
    for what, count, most in (
        ("multiply-accumulates for each element", work, limits.max_network_work),
        ("outputs of a layer", room, limits.max_network_room),
    ):
        if count > most:
            yield UnsupportedError(
                f"networks of {count} {what}; level {limits.level_idc} allows {most}",
                bit_offset=bit_offset,
                clause="A.3",
                hint="the stream understates its level, or is corrupt",
            )


@cache
def family_tables() -> Tables:
    """The tables of the family (8.10.4), each a table of its own, by scale."""
    family = scale_frequencies()
    values = [len(one) - 1 for one in family]
    return make_tables(family, values, [count // 2 for count in values])


# --- informative -----------------------------------------------------------------------------------


def deviation_thresholds(output_scale: float) -> npt.NDArray[np.int64]:
    """Thresholds of scales for outputs that are standard deviations, in units of ``output_scale``.

    A deviation has the nearest scale, by ratio. Raises CallerError for a unit that leaves no 16 bits.
    """
    family = scale_deviations()
    found = np.rint(np.sqrt(family[1:] * family[:-1]) / output_scale)
    if not (output_scale > 0 and found[-1] < 1 << 16):
        raise CallerError(
            f"deviations in units of {output_scale:g}; thresholds have 16 bits",
            hint="a unit of 2^-7 or 2^-8 suits most networks",
        )
    return found.astype(np.int64)
