"""The network's output itself, coded in place of a feature: what an encoder for one tail has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coding import read, timed, write
from features import Floats

__all__ = ["CURVES", "code"]

CURVES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "output, native fc": {
        f"QP {qp}": {"coder": "native", "qp": qp} for qp in (20, 26, 32, 38, 42, 46, 50)
    },
    "output, plain samples": {
        f"{bits} bits": {"coder": "raw", "quantiser": "uniform", "bits": bits}
        for bits in (3, 4, 5, 6, 8)
    },
}
"""Configurations of points, by curve and name."""


def code(logits: Floats, choices: Mapping[str, Any]) -> tuple[int, Floats, float, float]:
    """Code logits, N x classes, as fc features in one file.

    Returns its bytes, what comes back, and the seconds of encoding and of decoding.
    """
    data, forth = timed(write, logits, feature_type="fc", **choices)
    decoded, back = timed(read, data)
    return len(data), decoded, forth, back
