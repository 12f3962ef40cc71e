"""Restored statistics, range and quantiser, chosen by their effect on the output.

Each candidate is a change of the configuration. Features are coded with it and decoded, the tail runs on
them, and the QP is moved until the output is about as good as before. The remaining difference in SNR is
converted to one in rate by the slope between two QPs of the original configuration.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from refcodec.allocate.alone import Floats, Tail, Values
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError
from refcodec.metrics import bits_per_element, signal_to_noise
from refcodec.reader import open_stream
from refcodec.registry import LARGEST_QP
from refcodec.writer import create

__all__ = ["Trial", "candidates", "choose_statistics"]

Change = Mapping[str, Any]

_TAILS = (0.0, 1e-4, 1e-3)
"""Shares of the elements beyond either end of a clipped range."""

_QP_DISTANCE = 4
_NEAR, _FARTHEST = 0.75, 3.0
"""Smallest difference in SNR for which the QP is moved, and largest one to convert by the slope, in dB."""

_MOVES = 2
_BATCH_ELEMENTS = 1 << 21  # of the features that go through the tail at a time


@dataclass(frozen=True, slots=True)
class Trial:
    """A configuration that was tried.

    change : options that differ from the original configuration, besides the QP.
    qp     : QP for an output about as good.
    bits   : bits per element, of the whole stream.
    snr    : signal-to-noise ratio of the output, dB.
    rate   : change of the rate at equal SNR, in percent; negative is better. Infinite if no QP gives an SNR
             close enough.
    """

    change: Change
    qp: int
    bits: float
    snr: float
    rate: float


def candidates(features: Floats, config: EncoderConfig) -> tuple[tuple[Change, ...], ...]:
    """Changes to try, in groups: restoration, range, quantiser."""
    modes = ("off", "tensor", "channel") if config.coder == "hevc" else ("off", "mean", "channel")
    ends = [np.quantile(features, (share, 1 - share)) for share in _TAILS]
    return (
        tuple({"restoration": mode} for mode in modes),
        (
            {"clip": None, "range": "channel"},
            *({"clip": (float(low), float(high)), "range": "tensor"} for low, high in ends),
        ),
        ({"quantiser": "log", "restoration": "off", "clip": None, "range": "tensor"},),
    )


def choose_statistics(
    features: Floats,
    tail: Tail,
    config: EncoderConfig,
    groups: Sequence[Sequence[Change]] | None = None,
) -> tuple[EncoderConfig, list[Trial]]:
    """Find the best configuration at equal quality; returns it and all trials, the first without a change.

    features : float32, N x C x H x W, of the kind that will be coded.
    tail     : the rest of the network.
    config   : of ``hevc`` or ``native``, with one QP.
    groups   : of changes; None for `candidates`. Of each group the best change, if it improves on none, is
               kept while the next group is tried.

    Raises CallerError for another coder, or if the SNR does not fall from one QP to a coarser one.
    """
    if config.coder not in LARGEST_QP or not isinstance(config.qp, int):
        raise CallerError("statistics are chosen for hevc and native, at one QP for all channels")
    exact = _run(tail, features)

    def attempt(change: Change, qp: int) -> tuple[float, float]:
        bits, decoded = _code(features, config.but(qp=qp, **change))
        return bits, signal_to_noise(_run(tail, decoded), exact)

    qp, highest = config.qp, LARGEST_QP[config.coder]
    other = qp + _QP_DISTANCE if qp + _QP_DISTANCE <= highest else qp - _QP_DISTANCE
    bits, snr = attempt({}, qp)
    other_bits, other_snr = attempt({}, other)
    slope = (math.log2(bits) - math.log2(other_bits)) / ((snr - other_snr) or math.nan)
    decibels = (snr - other_snr) / (other - qp)  # per QP
    if not (slope > 0 and decibels > 0):
        raise CallerError(
            f"QPs {qp} and {other} give SNRs of {snr:.2f} and {other_snr:.2f} dB: no slope to go by",
            hint="choose another QP, or more features",
        )

    def compare(change: Change) -> Trial:
        own_qp = qp
        own_bits, own_snr = attempt(change, own_qp)
        for _ in range(_MOVES):
            moved = own_qp + (own_snr - snr) / decibels
            wanted = round(min(max(moved, 0), highest))
            if abs(own_snr - snr) < _NEAR or wanted == own_qp:
                break
            own_qp = wanted
            own_bits, own_snr = attempt(change, own_qp)
        if abs(own_snr - snr) > _FARTHEST:
            return Trial(change, own_qp, own_bits, own_snr, math.inf)
        octaves = math.log2(own_bits / bits) - slope * (own_snr - snr)
        return Trial(change, own_qp, own_bits, own_snr, 100 * (2**octaves - 1))

    trials = [
        Trial({}, qp, bits, snr, 0.0),
        Trial({}, other, other_bits, other_snr, 0.0),
    ]
    best = trials[0]
    for group in candidates(features, config) if groups is None else groups:
        own = [compare({**best.change, **change}) for change in group]
        trials += own
        best = min([best, *own], key=lambda trial: trial.rate)
    return config.but(qp=best.qp, **best.change), trials


def _code(features: Floats, config: EncoderConfig) -> tuple[float, Floats]:
    """Bits per element of a stream of all features, and the decoded features."""
    target = io.BytesIO()
    with create(target, config) as writer:
        for feature in features:
            writer.write(feature)
    data = target.getvalue()
    with open_stream(io.BytesIO(data), ffmpeg=config.ffmpeg) as reader:
        decoded: Floats = np.stack(list(reader))
    return bits_per_element(len(data), features.size), decoded


def _run(tail: Tail, features: Floats) -> Values:
    def parts() -> Iterator[Values]:
        portion = max(1, _BATCH_ELEMENTS // features[0].size)
        for start in range(0, len(features), portion):
            yield tail(torch.tensor(features[start : start + portion])).numpy()

    with torch.inference_mode():
        return np.concatenate(list(parts())).astype(np.float64)
