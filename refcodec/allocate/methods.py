"""Ways to allocate bits, by name, and the one function that codes features with any of them.

Allocation("tail-aware", {"strength": 5}) --method_of--> TailAware --advise--> arguments of Writer.write
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, BinaryIO, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch

import refcodec
from refcodec.allocate import gradients
from refcodec.allocate.alone import Floats, Several, base_qp, spread
from refcodec.allocate.descent import TailAware
from refcodec.allocate.latents import refine_latents
from refcodec.allocate.selection import select_qps
from refcodec.allocate.sensitivity import QP_RANGE, algorithm1_qps, load, measure
from refcodec.allocate.tail_aware import choose_levels, precondition
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError
from refcodec.registry import LARGEST_QP

__all__ = ["METHODS", "Advised", "Allocation", "Ends", "Method", "method_of", "write_features"]

Progress = Callable[[int], None]

_AT_ONCE = 1 << 22  # elements of the features that Algorithm 1 measures together


class Ends(Protocol):
    """The parts of a network, cut at a layer, that a method uses: see `refcodec.models.Cut`."""

    def tail(self, features: torch.Tensor) -> torch.Tensor:
        """Features to outputs."""

    def representation(self, features: torch.Tensor) -> torch.Tensor:
        """Features to the input of the final classifier."""


class Advised(NamedTuple):
    """A feature, and its further arguments of :meth:`refcodec.Writer.write`."""

    feature: Floats
    arguments: Mapping[str, Any] = {}


class Method(Protocol):
    """A way to allocate bits; its fields are its parameters."""

    def advise(
        self, features: Several, config: EncoderConfig, ends: Ends | None
    ) -> tuple[EncoderConfig, Iterator[Advised]]:
        """The configuration to code with, and the advice on each feature, in order.

        features : N x C x H x W, or N x D, of a type that is coded; may be a memory map.
        config   : the coder, and the QP to start from.
        ends     : the rest of the network; None if the method needs none.

        Raises CallerError.
        """


@dataclass(frozen=True)
class Unified:
    """One QP for all channels: the anchor of Hu et al. (2020)."""

    def advise(
        self, features: Floats, config: EncoderConfig, ends: Ends | None
    ) -> tuple[EncoderConfig, Iterator[Advised]]:
        """The features, without further arguments."""
        return config, map(Advised, features)


@dataclass(frozen=True)
class Measured:
    """QPs of channels from sensitivities that were measured and saved before.

    sensitivity : file of `refcodec.allocate.sensitivity.save`; the method that made it derives the QPs.
    qp_range    : of Algorithm 1: difference between QP_base and the QP of the most sensitive channel.
    """

    sensitivity: str
    qp_range: int = QP_RANGE

    def __post_init__(self) -> None:
        _require_least(0, qp_range=self.qp_range)

    def advise(
        self, features: Floats, config: EncoderConfig, ends: Ends | None
    ) -> tuple[EncoderConfig, Iterator[Advised]]:
        """The same QPs for every feature."""
        found = load(self.sensitivity)
        if found.coder != config.coder or len(found.values) != features.shape[1]:
            raise CallerError(
                f"{self.sensitivity} is of {len(found.values)} channels coded by {found.coder}; "
                f"here are {features.shape[1]} and {config.coder}"
            )
        qps = found.qps(base_qp(config), qp_range=self.qp_range)
        return config, (Advised(feature, {"qp": qps}) for feature in features)


@dataclass(frozen=True)
class Algorithm1:
    """Algorithm 1 of Hu et al. (2020): QPs by measured sensitivity, feature by feature.

    qp_range : difference between QP_base and the QP of the most sensitive channel.
    """

    qp_range: int = QP_RANGE

    def __post_init__(self) -> None:
        _require_least(0, qp_range=self.qp_range)

    def advise(
        self, features: Floats, config: EncoderConfig, ends: Ends | None
    ) -> tuple[EncoderConfig, Iterator[Advised]]:
        """QPs of channels."""
        return config, self._advised(features, config, base_qp(config), _needed(ends))

    def _advised(
        self, features: Floats, config: EncoderConfig, base: int, ends: Ends
    ) -> Iterator[Advised]:
        portion = max(1, _AT_ONCE // features[0].size)
        for start in range(0, len(features), portion):
            own = np.asarray(features[start : start + portion], np.float32)
            measured = measure(own, ends.representation, config)
            highest = LARGEST_QP[config.coder]
            qps = algorithm1_qps(measured, base, qp_range=self.qp_range, highest=highest)
            yield from _with_qps(own, qps)


@dataclass(frozen=True)
class Gradient:
    """Bits by the gradients of the output: QPs of channels by water-filling, and weights of frequencies.

    The native coder chooses levels by the weights; HEVC frames have only a QP.

    calibration : number of features, evenly spaced, that gradients are averaged over.
    probes      : backward passes per feature.
    """

    calibration: int = 20
    probes: int = 4

    def __post_init__(self) -> None:
        _require_least(1, calibration=self.calibration, probes=self.probes)

    def advise(
        self, features: Floats, config: EncoderConfig, ends: Ends | None
    ) -> tuple[EncoderConfig, Iterator[Advised]]:
        """QPs of channels, and weights."""
        some = spread(features, self.calibration)
        arguments = gradients.advice(some, _needed(ends).tail, config, self.probes)
        return config, (Advised(feature, arguments) for feature in features)


@dataclass(frozen=True)
class Selection:
    """QPs of channels, chosen by trial codings at several QPs and the gradients of the output.

    probes : random combinations of the outputs, per feature; see `refcodec.allocate.selection`.
    """

    probes: int = 32

    def __post_init__(self) -> None:
        _require_least(1, probes=self.probes)

    def advise(
        self, features: Floats, config: EncoderConfig, ends: Ends | None
    ) -> tuple[EncoderConfig, Iterator[Advised]]:
        """QPs of channels."""
        tail = _needed(ends).tail
        qps = select_qps(np.asarray(features, np.float32), tail, config, probes=self.probes)
        return config, _with_qps(features, qps)


@dataclass(frozen=True)
class ThroughTheTail(TailAware):
    """Levels or latents that keep the output (native, learned), or features that take fewer bits (hevc)."""

    def advise(
        self, features: Several, config: EncoderConfig, ends: Ends | None
    ) -> tuple[EncoderConfig, Iterator[Advised]]:
        """The levels or latents to code, or other features."""
        given = [np.asarray(feature, np.float32) for feature in features]
        tails = [_needed(ends).tail]
        if config.coder == "learned":
            found = refine_latents(np.stack(given), tails, config, self)
            pairs = zip(features, found, strict=True)
            return config, (Advised(feature, {"latents": one}) for feature, one in pairs)
        if config.coder == "hevc":
            return config, map(Advised, precondition(given, tails, config, self))
        config, choices = choose_levels(given, tails, config, self)
        chosen = zip(features, choices, strict=True)
        return config, (Advised(feature, {"choice": choice}) for feature, choice in chosen)


def _with_qps(features: Floats, qps: npt.NDArray[np.int64]) -> Iterator[Advised]:
    for feature, own in zip(features, qps, strict=True):
        yield Advised(feature, {"qp": own.tolist()})


def _require_least(least: int, **parameters: int) -> None:
    for name, value in parameters.items():
        if value < least:
            raise CallerError(f"{name} is {value}; it is {least} or more")


def _needed(ends: Ends | None) -> Ends:
    if ends is None:
        raise CallerError("this allocation asks the rest of the network", hint="name the network")
    return ends


METHODS: Final[Mapping[str, type[Any]]] = {
    "none": Unified,
    "measured": Measured,
    "algorithm1": Algorithm1,
    "gradient": Gradient,
    "selection": Selection,
    "tail-aware": ThroughTheTail,
}
"""The methods by name; their fields are their parameters."""


@dataclass(frozen=True)
class Allocation:
    """A method of bit allocation and its parameters, as a configuration names them.

    method     : one of `METHODS`.
    parameters : of that method.
    """

    method: str = "none"
    parameters: Mapping[str, Any] = field(default_factory=dict)


def method_of(allocation: Allocation) -> Method:
    """The method with its parameters. Raises CallerError for an unknown method or parameter."""
    kind = METHODS.get(allocation.method)
    if kind is None:
        raise CallerError(
            f"the allocation is {allocation.method!r}; it is one of {', '.join(METHODS)}"
        )
    known = {one.name: one for one in fields(kind)}
    for name, value in allocation.parameters.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
            raise CallerError(f"{allocation.method} has no parameter {name!r}", hint=hint)
        fits, wanted = _TYPES[str(known[name].type)]
        if not fits(value):
            raise CallerError(f"{name} is {value!r}; it is {wanted}")
    for one in known.values():
        if one.default is MISSING and one.name not in allocation.parameters:
            raise CallerError(f"{allocation.method} needs the parameter {one.name}")
    method: Method = kind(**allocation.parameters)
    return method


_TYPES: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "int": (lambda value: type(value) is int, "an integer"),
    "int | None": (lambda value: value is None or type(value) is int, "an integer"),
    "float": (lambda value: type(value) in (int, float) and math.isfinite(value), "a number"),
    "str": (lambda value: isinstance(value, str), "a text"),
}
"""By a field's annotation: a test of values, and the name of the type for messages."""


def write_features(
    target: str | os.PathLike[str] | BinaryIO,
    features: Several,
    config: EncoderConfig,
    allocation: Allocation = Allocation(),
    ends: Ends | None = None,
    progress: Progress | None = None,
    *,
    exist_ok: bool | None = None,
) -> None:
    """Code features as one stream, with bits allocated.

    target   : a path, written whole or not at all, or a binary file.
    features : C x H x W or D each, or tokens, T x D or heads x T x D, of a type that is coded, and signalled;
               an array of them may be a memory map. Only ``none`` and ``tail-aware`` take tokens.
    config   : the coder, and the QP that the allocation starts from.
    ends     : the rest of the network, if the allocation uses it.
    progress : called with the number of features analysed so far, which takes longer than coding them.
    exist_ok : true if an existing file may be replaced; None for yes, with a warning.

    Raises CallerError.
    """
    config, advised = method_of(allocation).advise(features, config, ends)
    with refcodec.create(target, config, exist_ok=exist_ok) as writer:
        for number, (one, original) in enumerate(zip(advised, features, strict=True), 1):
            writer.write(one.feature.astype(original.dtype, copy=False), **one.arguments)
            if progress:
                progress(number)
