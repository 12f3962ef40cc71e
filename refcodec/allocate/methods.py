"""Ways to allocate bits, by name, and the one function that codes features with any of them.

Allocation("tail-aware", {"strength": 5}) --method_of--> TailAware --advise--> what Writer.write takes
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, BinaryIO, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch

import refcodec
from refcodec.allocate import gradients
from refcodec.allocate.alone import HIGHEST_QP, Floats
from refcodec.allocate.selection import select_qps
from refcodec.allocate.sensitivity import QP_RANGE, algorithm1_qps, load, measure
from refcodec.allocate.tail_aware import TailAware, choose_levels, precondition
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError

__all__ = ["METHODS", "Advised", "Allocation", "Ends", "Method", "method_of", "write_features"]

Progress = Callable[[int], None]


class Ends(Protocol):
    """What a method asks of a network that was cut: see `refcodec.models.Cut`."""

    def tail(self, features: torch.Tensor) -> torch.Tensor:
        """Features to outputs."""

    def representation(self, features: torch.Tensor) -> torch.Tensor:
        """Features to what the final classifier takes in."""


class Advised(NamedTuple):
    """A feature, and the arguments of :meth:`refcodec.Writer.write` that go with it."""

    feature: Floats
    arguments: Mapping[str, Any] = {}


class Method(Protocol):
    """A way to allocate bits; its fields are its parameters."""

    def advise(
        self, features: Floats, config: EncoderConfig, ends: Ends | None
    ) -> tuple[EncoderConfig, Iterator[Advised]]:
        """The configuration to code with, and the advice on each feature, in order.

        features : float32, N x C x H x W, or N x D; may be a memory map.
        config   : the coder, and the QP to start from.
        ends     : the rest of the network; None where the method needs none.

        Raises CallerError.
        """


@dataclass(frozen=True)
class Unified:
    """One QP for all channels: the anchor of Hu et al. (2020)."""

    def advise(
        self, features: Floats, config: EncoderConfig, ends: Ends | None
    ) -> tuple[EncoderConfig, Iterator[Advised]]:
        """Nothing but the features."""
        return config, map(Advised, features)


@dataclass(frozen=True)
class Measured:
    """QPs of channels from sensitivities that were measured before, and saved.

    sensitivity : the file, of `refcodec.allocate.sensitivity.save`; what made it says how QPs follow.
    qp_range    : of Algorithm 1: how many QPs the most sensitive channel gets less.
    """

    sensitivity: str
    qp_range: int = QP_RANGE

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
        qps = found.qps(_base(config), qp_range=self.qp_range)
        return config, (Advised(feature, {"qp": qps}) for feature in features)


@dataclass(frozen=True)
class Algorithm1:
    """Algorithm 1 of Hu et al. (2020): QPs by measured sensitivity, feature by feature.

    qp_range : how many QPs the most sensitive channel gets less.
    """

    qp_range: int = QP_RANGE

    def advise(
        self, features: Floats, config: EncoderConfig, ends: Ends | None
    ) -> tuple[EncoderConfig, Iterator[Advised]]:
        """QPs of channels."""
        measured = measure(np.asarray(features), _needed(ends).representation, config)
        qps = algorithm1_qps(
            measured, _base(config), qp_range=self.qp_range, highest=HIGHEST_QP[config.coder]
        )
        return config, _with_qps(features, qps)


@dataclass(frozen=True)
class Gradient:
    """Bits by the gradients of the output: QPs of channels by water-filling, and weights of frequencies.

    The weights are for the native coder, which chooses levels by them; frames of HEVC have a QP and no more.

    calibration : features, from the first on, that gradients are averaged over.
    probes      : backward passes for each.
    """

    calibration: int = 20
    probes: int = 4

    def advise(
        self, features: Floats, config: EncoderConfig, ends: Ends | None
    ) -> tuple[EncoderConfig, Iterator[Advised]]:
        """QPs of channels, and weights."""
        some = np.ascontiguousarray(features[: self.calibration], np.float32)
        arguments = gradients.advice(some, _needed(ends).tail, config, self.probes)
        return config, (Advised(feature, arguments) for feature in features)


@dataclass(frozen=True)
class Selection:
    """QPs of channels by codings at several of them, and the gradients of the output."""

    probes: int = 32

    def advise(
        self, features: Floats, config: EncoderConfig, ends: Ends | None
    ) -> tuple[EncoderConfig, Iterator[Advised]]:
        """QPs of channels."""
        tail = _needed(ends).tail
        qps = select_qps(np.asarray(features), tail, config, probes=self.probes)
        return config, _with_qps(features, qps)


@dataclass(frozen=True)
class ThroughTheTail(TailAware):
    """Levels that keep the output (native), or features changed so that they code for less (hevc)."""

    def advise(
        self, features: Floats, config: EncoderConfig, ends: Ends | None
    ) -> tuple[EncoderConfig, Iterator[Advised]]:
        """The levels to code, or other features."""
        given, tails = np.asarray(features), [_needed(ends).tail]
        if config.coder == "hevc":
            return config, map(Advised, precondition(given, tails, config, self))
        config, choices = choose_levels(given, tails, config, self)
        pairs = zip(features, choices, strict=True)
        return config, (Advised(feature, {"choice": choice}) for feature, choice in pairs)


def _with_qps(features: Floats, qps: npt.NDArray[np.int64]) -> Iterator[Advised]:
    for feature, own in zip(features, qps, strict=True):
        yield Advised(feature, {"qp": own.tolist()})


def _base(config: EncoderConfig) -> int:
    if not isinstance(config.qp, int):
        raise CallerError(f"the QP is {config.qp}; allocations start from one integer, QP_base")
    return config.qp


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
    """How an encoder spends its bits, as configurations say it.

    method     : one of `METHODS`.
    parameters : of that method.
    """

    method: str = "none"
    parameters: Mapping[str, Any] = field(default_factory=dict)


def method_of(allocation: Allocation) -> Method:
    """The method with its parameters. Raises CallerError for one that does not exist, or does not fit."""
    kind = METHODS.get(allocation.method)
    if kind is None:
        raise CallerError(
            f"the allocation is {allocation.method!r}; it is one of {', '.join(METHODS)}"
        )
    known = [one.name for one in fields(kind)]
    for name in allocation.parameters:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
            raise CallerError(f"{allocation.method} has no parameter {name!r}", hint=hint)
    method: Method = kind(**allocation.parameters)
    return method


def write_features(
    target: str | os.PathLike[str] | BinaryIO,
    features: Floats,
    config: EncoderConfig,
    allocation: Allocation = Allocation(),
    ends: Ends | None = None,
    progress: Progress | None = None,
) -> None:
    """Code features as one stream, with bits allocated.

    target   : a path, written whole or not at all, or a binary file.
    features : N x C x H x W, or N x D; may be a memory map.
    config   : the coder, and the QP that the allocation starts from.
    ends     : the rest of the network, which an allocation may ask what matters.
    progress : called with the number of features that have been advised on, the longer part of the work.

    Raises CallerError.
    """
    config, advised = method_of(allocation).advise(features, config, ends)
    with refcodec.create(target, config) as writer:
        for number, (feature, arguments) in enumerate(advised, 1):
            writer.write(feature, **arguments)
            if progress:
                progress(number)
