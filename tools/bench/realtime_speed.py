"""Speed of the native coder with static tables: beside HEVC, of single features, on two threads."""

from __future__ import annotations

import io
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import features
import numpy as np
import numpy.typing as npt
from coding import apart, children, decode_all, processor, read, write
from curves import Point
from peers import PEERS, Coder
from record import Record

import refcodec
from refcodec.coders.native_static.payload import decode_payload
from refcodec.evaluate.machine import load_average
from refcodec.suite.make.native import payloads

__all__ = ["SPEED_SNR", "beside_hevc", "payloads_alone", "single_features", "two_threads"]

SPEED_SNR = 18.0
"""Coders are timed at the point of their curves that is nearest to this logit SNR, dB."""

ROUNDS = {"small": 4, "large": 2}

MEDIUM = replace(PEERS["A2"], preset="medium", extra="")
"""x265 ``medium``, of the same frames as A2."""

Floats = npt.NDArray[np.float32]


def beside_hevc(maps: Floats, size: str, ours: list[Point], theirs: list[Point]) -> Record:
    """Processor time of a set by the coder, by A2's decoder and by x265 ``medium``: the least of some rounds.

    What ffmpeg takes for a single feature, its start included, is subtracted from what it takes for all.
    """
    own, qp = _nearest(ours), _nearest(theirs)
    a2, medium = Coder(maps, PEERS["A2"]), Coder(maps, MEDIUM)
    alone = Coder(maps[:1], PEERS["A2"]), Coder(maps[:1], MEDIUM)
    stream, first = a2.encode(qp)[0], alone[0].encode(qp)[0]
    data = write(maps, coder="native-static", qp=own)
    runs: dict[str, list[float]] = {name: [] for name in ("encode", "decode", "x265", "ffmpeg")}
    for _ in range(ROUNDS[size]):
        runs["encode"].append(processor(lambda: write(maps, coder="native-static", qp=own)))
        runs["decode"].append(processor(lambda: decode_all(data)))
        runs["x265"].append(apart(lambda: medium.encode(qp), lambda: alone[1].encode(qp)))
        runs["ffmpeg"].append(apart(lambda: a2.decode(stream), lambda: alone[0].decode(first)))
    seconds = {name: min(found) for name, found in runs.items()}
    rest = (len(maps) - 1) / len(maps)  # the features that ffmpeg is timed for
    return {
        "qps": [own, qp],
        "encode": round(maps.size / seconds["encode"]),
        "decode": round(maps.size / seconds["decode"]),
        "x265_medium": round(maps.size * rest / seconds["x265"]),
        "ffmpeg": round(maps.size * rest / seconds["ffmpeg"]),
        "load": load_average(),
    }


def payloads_alone(maps: Floats, ours: list[Point]) -> int:
    """Elements a second of the decoding of payloads to samples, without the file around them."""
    own = payloads(write(maps, coder="native-static", qp=_nearest(ours)))
    return round(
        maps.size / min(processor(lambda: list(map(decode_payload, own))) for _ in range(5))
    )


def _nearest(points: list[Point]) -> int:
    return int(min(points, key=lambda one: abs(one["snr"] - SPEED_SNR))["qp"])


# --- single features -------------------------------------------------------------------------------


def single_features() -> list[Record]:
    """Milliseconds to write and to read one feature, warm, and its size, by several coders."""
    return [
        {"shape": name, "coder": coder, **_single(one, coder)}
        for name, one in features.of_shapes().items()
        for coder in ("native-static", "native", "raw float16", "zlib float16", "A2")
        if not (coder == "A2" and name == "16x8x8")
    ]


def _single(feature: Floats, coder: str, rounds: int = 15) -> Record:
    if coder == "A2":
        hevc, rounds = Coder(feature[None], PEERS["A2"]), 3
        forth: Callable[[], Any] = lambda: hevc.encode(35)[0]  # noqa: E731
        back: Callable[[Any], Any] = hevc.decode
        sizes: Callable[[Any], int] = hevc.size
    elif coder.endswith("float16"):
        half = feature.astype(np.float16)
        packed = coder.startswith("zlib")
        forth = lambda: zlib.compress(half.tobytes()) if packed else half.tobytes()  # noqa: E731
        back = lambda data: np.frombuffer(zlib.decompress(data) if packed else data, np.float16)  # noqa: E731
        sizes = len
    else:
        forth = lambda: write([feature], coder=coder, qp=35)  # noqa: E731
        back, sizes = read, len
    data = forth()
    back(data)
    clock = children if coder == "A2" else processor
    encode = min(clock(forth) for _ in range(rounds))
    decode = min(clock(lambda: back(data)) for _ in range(rounds))
    return {
        "encode_ms": round(1000 * encode, 3),
        "decode_ms": round(1000 * decode, 3),
        "bytes": sizes(data),
    }


def two_threads(rounds: int = 7) -> Record:
    """Milliseconds to decode one large feature of two substreams by one thread and by two."""
    feature = features.load("layer1", "large")[0]
    data = write([feature], coder="native-static", qp=35, substreams=2)
    one = len(write([feature], coder="native-static", qp=35))
    best: dict[int, float] = {}
    for workers in (1, 2, 1, 2):
        for _ in range(rounds):
            begin = time.perf_counter()
            with refcodec.open(io.BytesIO(data), workers=workers) as reader:
                next(iter(reader))
            spent = 1000 * (time.perf_counter() - begin)
            best[workers] = min(spent, best.get(workers, spent))
    return {
        "one_ms": round(best[1], 2),
        "two_ms": round(best[2], 2),
        "bytes": len(data),
        "bytes_of_one_substream": one,
        "load": load_average(),
    }
