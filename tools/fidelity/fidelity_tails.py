"""Fidelity vectors of the demonstration network's tail, on streams that change some of its decisions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["TAILS", "Tail"]


@dataclass(frozen=True)
class Tail:
    """The demonstration network's tail on a stream.

    layer  : where the network is cut: conv, pool or fc.
    config : configuration that the stream was encoded with.
    """

    number: int
    name: str
    purpose: str
    layer: str
    config: dict[str, Any] = field(default_factory=dict)


TAILS = (
    Tail(
        101,
        "conv-lossless",
        "lossless coding keeps every decision, and the SNR is infinite",
        "conv",
        {"coder": "native-lossless"},
    ),
    Tail(
        102,
        "fc-1-bit",
        "vectors of one bit each, which keep every decision all the same",
        "fc",
        {"coder": "raw", "quantiser": "uniform", "bits": 1},
    ),
    Tail(
        103,
        "pool-1-bit",
        "one bit a value, and one decision of 16 changes",
        "pool",
        {"coder": "raw", "quantiser": "uniform", "bits": 1},
    ),
    Tail(
        104,
        "conv-native",
        "native coding at a high QP",
        "conv",
        {"coder": "native", "qp": 48},
    ),
    Tail(
        105,
        "pool-native",
        "so coarse that most decisions change",
        "pool",
        {"coder": "native", "qp": 49},
    ),
    Tail(
        106,
        "conv-hevc",
        "HEVC at its highest QP",
        "conv",
        {"coder": "hevc", "qp": 51},
    ),
)
"""The streams are encoded once and kept, since encoders change."""
