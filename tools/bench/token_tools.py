"""Ways to code tokens: with a gain for each, with an outlier, and several texts as one feature."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from coding import read, write
from curves import Point
from real_networks import Tokens, tokens, transform

from refcodec.transform.channel import ChannelTransform

__all__ = ["curves", "outlier", "texts_together"]

STEP = 1.5
"""Decibels of a step of the gain."""

QPS = (8, 14, 20, 26, 32, 38, 44)

_TOGETHER = 8
"""Texts of a sequence."""

_OUTLIER = 1000.0
_OUTLIER_QP = 20
_OUTLIER_TEXTS = 20

Floats = npt.NDArray[np.float32]


def steps_of(rows: Floats) -> npt.NDArray[np.int64]:
    """The gain of each token in steps of 1.5 dB: its root mean square."""
    size = np.sqrt((rows.astype(np.float64) ** 2).mean(axis=-1))
    found: npt.NDArray[np.int64] = np.rint(20 * np.log10(size) / STEP).astype(np.int64)
    return found


def gains(rows: Floats, usual: float) -> Floats:
    """The gain of each token relative to the usual step, T x 1."""
    found: Floats = (10 ** ((steps_of(rows) - usual) * STEP / 20)).astype(np.float32)[:, None]
    return found


def bytes_of(steps: npt.NDArray[np.int64]) -> float:
    """Bytes of the gains of tokens, by the entropy of their frequencies."""
    count = np.unique(steps, return_counts=True)[1]
    return float(-(count * np.log2(count / count.sum())).sum() / 8)


def curves(layer: str, count: int, *, transformed: bool) -> dict[str, list[Point]]:
    """Curves of token sequences, as they are, and with a gain for each token.

    Under a transform the coder has gains; else they are tried outside of it, and their bytes count.
    """
    source = tokens(layer, count)
    if transformed:
        model, texts = transform(layer, "plain"), list(source.texts(source.rows))
        return {
            name: [_whole(source, texts, qp, model, token_gain=own) for qp in QPS]
            for name, own in (("plain", False), ("gain", True))
        }
    steps = steps_of(source.rows)
    usual = float(np.median(steps))
    own = gains(source.rows, usual)
    return {
        "plain": [_point(source, source.rows, 1.0, 0.0, qp) for qp in QPS],
        "gain": [_point(source, source.rows / own, own, bytes_of(steps), qp) for qp in QPS],
    }


def _point(source: Tokens, rows: Floats, gain: Any, more: float, qp: int) -> Point:
    decoded, size = _coded(list(source.texts(rows)), qp)
    return source.judge(np.concatenate(decoded) * gain, round(size + more))


def _whole(
    source: Tokens, texts: list[Floats], qp: int, model: ChannelTransform, **options: Any
) -> Point:
    decoded, size = _coded(texts, qp, model, **options)
    return source.judge(np.concatenate(decoded), size)


def _coded(
    texts: list[Floats], qp: int, model: ChannelTransform | None = None, **options: Any
) -> tuple[list[Floats], int]:
    under: dict[str, Any] = {} if model is None else {"model": model, "model_apart": True}
    data = write(texts, coder="native", feature_type="tokens", qp=qp, **under, **options)
    return read(data, model, list), len(data)


def texts_together(layer: str, count: int) -> dict[str, list[Point]]:
    """Curves of token sequences under a transform, each by itself, and several texts as one sequence."""
    source, model = tokens(layer, count), transform(layer, "plain")
    alone = list(source.texts(source.rows))
    together = [np.concatenate(alone[i : i + _TOGETHER]) for i in range(0, count, _TOGETHER)]
    return {
        name: [_whole(source, texts, qp, model) for qp in QPS]
        for name, texts in (("plain", alone), ("gain", together))
    }


def outlier(layer: str, *, transformed: bool, **options: Any) -> dict[str, float]:
    """What a token of a thousand times its size, in each text, costs the other tokens of the text.

    Returns the decibels that the others lose at one QP, and the growth of the file in %.
    """
    source = tokens(layer, 2 * _OUTLIER_TEXTS)
    texts = list(source.texts(source.rows))[:_OUTLIER_TEXTS]
    model = transform(layer, "plain") if transformed else None
    changed = [one.copy() for one in texts]
    for one in changed:
        one[3] *= _OUTLIER
    snr, sizes = [], []
    for given in (texts, changed):
        decoded, size = _coded(given, _OUTLIER_QP, model, **options)
        own, found = (
            np.concatenate([np.delete(one, 3, 0) for one in all_]) for all_ in (texts, decoded)
        )
        noise = float(((found - own).astype(np.float64) ** 2).mean())
        snr.append(10 * np.log10(float((own.astype(np.float64) ** 2).mean()) / noise))
        sizes.append(size)
    return {
        "lost_db": round(snr[0] - snr[1], 3),
        "larger": round(100 * (sizes[1] / sizes[0] - 1), 2),
    }
