"""Sensitivity of channels, and QPs from it: Algorithm 1 of Hu et al. (2020).

    each channel coded alone --tail--> error of the output = sensitivity --> the channel's QP

Sensitivities measured on some features can be saved (`save`) and used for others of the same layer.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from refcodec.allocate import gradients
from refcodec.allocate.alone import Floats, Tail, Values, base_qp, code_alone
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError
from refcodec.files import atomic_file, storage_error
from refcodec.registry import LARGEST_QP

__all__ = [
    "CLASSIFICATION_QPS",
    "METHODS",
    "QP_RANGE",
    "SEGMENTATION_QPS",
    "Sensitivity",
    "algorithm1_qps",
    "by_algorithm1",
    "by_gradient",
    "load",
    "measure",
    "normalise",
    "save",
]

QP_RANGE = 5
"""QP_range: "always fixed to 5" (Hu et al., III-B)."""

CLASSIFICATION_QPS = (36, 38, 40, 42)
"""QP_base for classification, and for Pool2 of segmentation (Hu et al., III-B)."""

SEGMENTATION_QPS = (14, 18, 22, 26)
"""QP_base for Conv1 of segmentation (Hu et al., III-B)."""

METHODS = ("algorithm1", "gradient")

_BATCH_ELEMENTS = 1 << 21  # of the features that go through the tail at a time


# --- Algorithm 1 -----------------------------------------------------------------------------------


def measure(features: Floats, tail: Tail, config: EncoderConfig) -> Values:
    """Lines 1 to 9 of Algorithm 1: the output error when a single channel is coded.

    features : float32, N x C x H x W.
    tail     : the rest of the network; of the paper, "except for the final classifier".
    config   : the coder, and QP_base as its QP.

    Returns ``MSE(out_i, out_raw)`` of each channel of each feature, N x C. For other features, use the mean
    over a calibration set.

    Raises CallerError for a coder without QPs of channels, or outputs that are not finite.
    """
    decoded = code_alone(features, config).decoded
    count, channels = features.shape[:2]
    found = np.empty((count, channels))
    portion = max(1, _BATCH_ELEMENTS // features[0].size)
    with torch.inference_mode():
        for n in range(count):
            raw = _run(tail, features[n : n + 1])
            for start in range(0, channels, portion):
                own = np.arange(start, min(start + portion, channels))
                noisy = np.repeat(features[n : n + 1], len(own), axis=0)
                noisy[own - start, own] = decoded[n, own]
                error = _run(tail, noisy) - raw
                found[n, own] = (error**2).reshape(len(own), -1).mean(axis=1)
    return found


def _run(tail: Tail, features: Floats) -> Values:
    output: Values = tail(torch.tensor(features)).numpy().astype(np.float64)
    if not np.isfinite(output).all():
        raise CallerError("the tail's output is not finite", hint="check network and features")
    return output


def normalise(sensitivity: npt.ArrayLike) -> Values:
    """Eq. 3: ``(S - min(S)) / (max(S) - min(S))`` over channels, the last axis.

    If all are equal, where eq. 3 is undefined (0 / 0), they are 0: every channel has QP_base.
    """
    values = np.asarray(sensitivity, np.float64)
    low = values.min(axis=-1, keepdims=True)
    spread = values.max(axis=-1, keepdims=True) - low
    relative: Values = np.divide(values - low, spread, out=np.zeros_like(values), where=spread > 0)
    return relative


def algorithm1_qps(
    sensitivity: npt.ArrayLike, qp_base: int, *, qp_range: int = QP_RANGE, highest: int = 51
) -> npt.NDArray[np.int64]:
    """Line 11 of Algorithm 1: ``QP_base - round(QP_range * S~)``.

    sensitivity : of channels, the last axis.
    highest     : the coder's largest QP. QPs are clipped to 0..highest, which the paper does not mention.

    The paper does not define ``round`` of halves: here to even, as in numpy and torch.
    """
    qps = qp_base - np.rint(qp_range * normalise(sensitivity)).astype(np.int64)
    return np.clip(qps, 0, highest)


def by_algorithm1(features: Floats, tail: Tail, config: EncoderConfig) -> Sensitivity:
    """Sensitivities of Algorithm 1, averaged over features; see `measure`."""
    values = measure(features, tail, config).mean(axis=0)
    return Sensitivity(tuple(values), "algorithm1", config.coder, base_qp(config), len(features))


def by_gradient(
    features: Floats, tail: Tail, config: EncoderConfig, *, probes: int = 4, seed: int = 0
) -> Sensitivity:
    """Sensitivities from gradients, without a coding; see `gradients.spectrum`.

    features : float32, N x C x H x W, of the shape of those that will be coded.
    tail     : the rest of the network, up to its output.
    config   : the coder; its quantiser is uniform.
    """
    weights, errors, bits = gradients.measure_curves(features, tail, config, probes, seed)
    return Sensitivity(
        values=tuple(gradients.channel_weights(weights)),
        method="gradient",
        coder=config.coder,
        qp_base=base_qp(config),
        features=len(features),
        errors=tuple(map(tuple, errors.tolist())),
        bits=tuple(map(tuple, bits.tolist())),
    )


# --- results ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Sensitivities of the channels of a layer, and the conditions of their measurement.

    values   : per channel. ``algorithm1``: the mean of `measure` over features; ``gradient``: squared output
               error per squared error of one element.
    method   : one of METHODS.
    coder    : the coder that the QPs are for.
    qp_base  : QP of the measurement; ``gradient`` codes nothing, and its results hold for any.
    features : number of features measured.
    errors   : and ``bits``: per channel at each QP of the coder, C lists each; empty with ``algorithm1``
               (`gradients.channel_curves`).
    model    : and ``layer``: origin of the features; may be empty.

    Raises CallerError for values that no measurement gives.
    """

    values: tuple[float, ...]
    method: str
    coder: str
    qp_base: int
    features: int
    errors: tuple[tuple[float, ...], ...] = ()
    bits: tuple[tuple[float, ...], ...] = ()
    model: str = ""
    layer: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(map(float, self.values)))
        for name in ("errors", "bits"):
            rows = tuple(tuple(map(float, row)) for row in getattr(self, name))
            object.__setattr__(self, name, rows)
        numbers = chain(self.values, *self.errors, *self.bits)
        if not self.values or not all(math.isfinite(one) and one >= 0 for one in numbers):
            raise CallerError("sensitivities are finite, not negative, and one per channel")
        for name, value, known in (
            ("method", self.method, METHODS),
            ("coder", self.coder, tuple(LARGEST_QP)),
        ):
            if value not in known:
                raise CallerError(f"the {name} is {value!r}; it is one of {', '.join(known)}")
        if not 0 <= self.qp_base <= LARGEST_QP[self.coder] or self.features < 1:
            raise CallerError(
                f"QP_base {self.qp_base} and {self.features} features are out of range"
            )
        gradient = self.method == "gradient"
        shape = [LARGEST_QP[self.coder] + 1] * len(self.values) if gradient else []
        if any(list(map(len, rows)) != shape for rows in (self.errors, self.bits)):
            raise CallerError("errors and bits have one list per channel, with one number per QP")

    def qps(self, qp_base: int, *, qp_range: int = QP_RANGE) -> list[int]:
        """The QP of each channel around QP_base, by the rule of the method.

        qp_range : QP_range of Algorithm 1; ``gradient`` does not use it, and keeps the rate that its model
                   predicts for QP_base everywhere.
        """
        highest = LARGEST_QP[self.coder]
        if not 0 <= qp_base <= highest:
            raise CallerError(f"QP_base is {qp_base}; {self.coder} takes 0 to {highest}")
        if self.method == "algorithm1":
            found = algorithm1_qps(self.values, qp_base, qp_range=qp_range, highest=highest)
        else:
            bits = np.array(self.bits)
            found = gradients.allocate(np.array(self.errors), bits, bits[:, qp_base].sum())
        return [int(qp) for qp in found]


def save(sensitivity: Sensitivity, path: str | os.PathLike[str]) -> None:
    """Write a sensitivity as JSON, whole or not at all. Raises CallerError, EnvironmentFault."""
    with atomic_file(path) as file:
        file.write(json.dumps(asdict(sensitivity), indent=1).encode() + b"\n")


def load(path: str | os.PathLike[str]) -> Sensitivity:
    """Read a file of `save`. Raises CallerError for missing, unknown or wrongly typed fields."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise storage_error(error, path) from None
    except ValueError as error:
        raise CallerError(f"{path} is not JSON: {error}") from None
    types = _TYPES
    if not isinstance(found, dict) or found.keys() != types.keys():
        raise CallerError(
            f"{path} is no sensitivity: it has the fields {', '.join(types)}",
            hint="refcodec sensitivity makes them",
        )
    for name, value in found.items():
        if type(value) is not types[name]:
            raise CallerError(f"{path}: {name} is {value!r}, not a {types[name].__name__}")
    rows = found["errors"] + found["bits"]
    lists = all(isinstance(row, list) for row in rows) and [found["values"], *rows]
    if not lists or not all(type(value) in (int, float) for value in chain(*lists)):
        raise CallerError(f"{path}: values are numbers, errors and bits are lists of numbers")
    try:
        return Sensitivity(**found)
    except CallerError as error:
        raise CallerError(f"{path}: {error}") from None


_TYPES: dict[str, type[Any]] = {
    one.name: {"tuple": list, "int": int, "str": str}[str(one.type).partition("[")[0]]
    for one in fields(Sensitivity)
}
