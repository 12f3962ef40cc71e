"""Coders in use for floating-point numbers: zfp with a fixed accuracy, uniform samples under zstd.

Both code each feature alone. Their packages are extras of the benchmarks (``pip install 'refcodec[bench]'``).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from coding import processor
from curves import Point
from features import Source

from refcodec.errors import EnvironmentFault

__all__ = ["FLOAT_CODERS", "FloatCoder", "float_curve", "package"]

Floats = npt.NDArray[np.float32]


class FloatCoder(NamedTuple):
    """A coder of single features; what it does not store, as the shape, is not counted.

    encode   : a feature, C x H x W, and a setting to bytes.
    decode   : those bytes, the shape and the setting to the decoded feature.
    settings : from fine to coarse: of zfp the tolerance, over the deviation of all features; of the other one
               the bits of a sample.
    """

    encode: Callable[[Floats, float], bytes]
    decode: Callable[[bytes, tuple[int, ...], float], Floats]
    settings: tuple[float, ...]


def package(name: str) -> Any:
    """A package of the benchmarks. Raises EnvironmentFault where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EnvironmentFault(
            f"{name} is not installed", hint="pip install 'refcodec[bench]'"
        ) from error


def _zfp_encode(feature: Floats, tolerance: float) -> bytes:
    data: bytes = package("zfpy").compress_numpy(feature, tolerance=tolerance, write_header=True)
    return data


def _zfp_decode(data: bytes, shape: tuple[int, ...], tolerance: float) -> Floats:
    found: Floats = package("zfpy").decompress_numpy(data)
    return found


def _zstd_encode(feature: Floats, bits: float) -> bytes:
    low, high = feature.min(), feature.max()
    top = (1 << int(bits)) - 1
    samples = np.rint((feature - low) / max(high - low, np.float32(1e-30)) * np.float32(top))
    packed: bytes = (
        package("zstandard").ZstdCompressor(level=19).compress(samples.astype(np.uint8).tobytes())
    )
    return np.array([low, high], np.float32).tobytes() + packed


def _zstd_decode(data: bytes, shape: tuple[int, ...], bits: float) -> Floats:
    low, high = np.frombuffer(data, np.float32, 2)
    step = (high - low) / np.float32((1 << int(bits)) - 1)
    raw = package("zstandard").ZstdDecompressor().decompress(data[8:])
    decoded: Floats = np.frombuffer(raw, np.uint8).reshape(shape) * step + low
    return decoded


FLOAT_CODERS = {
    "zfp": FloatCoder(_zfp_encode, _zfp_decode, (0.5, 1, 2, 4, 8, 16, 32)),
    "uniform, zstd": FloatCoder(_zstd_encode, _zstd_decode, (8, 7, 6, 5, 4, 3, 2)),
}
"""Coders by the names that they have in tables."""


def float_curve(source: Source, name: str, rounds: int = 2) -> list[Point]:
    """Points of a coder: rate and quality, and elements a second both ways, the fastest of some rounds."""
    coder, deviation = FLOAT_CODERS[name], float(source.maps.std())
    points = []
    for given in coder.settings:
        setting = given * deviation if name == "zfp" else given
        size, forth, back, decoded = 0, 0.0, 0.0, []
        for one in source.maps:
            encode = partial(coder.encode, one, setting)
            data = encode()
            decode = partial(coder.decode, data, one.shape, setting)
            decoded.append(decode())
            size += len(data)
            forth += min(processor(encode) for _ in range(rounds))
            back += min(processor(decode) for _ in range(rounds))
        quality = source.judge(np.stack(decoded), size)
        speeds = {
            "encode": round(source.maps.size / forth),
            "decode": round(source.maps.size / back),
        }
        points.append({"setting": round(setting, 6), **quality, **speeds})
    return points
