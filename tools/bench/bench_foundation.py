"""The measurements behind docs/results/foundation.rst; see ``__main__.py``."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from coding import read, timed, write

import refcodec
from refcodec.coders.ffmpeg import HEVC_PROGRAM, encode_video
from refcodec.coders.hevc.encoding import x265_options
from refcodec.metrics import bits_per_element, compression_rate, fidelity, signal_to_noise
from refcodec.models.trained import ABSENT, cifar_images, data_folder, pan, trained
from refcodec.pack import near_square

if data_folder() is None:
    pytest.skip(ABSENT, allow_module_level=True)

LAYERS = ("conv1", "layer1", "layer2", "layer3", "pool")
LOSSLESS = ("zlib", "gzip", "bzip2", "lzma", "zlib + shuffle", "lzma + shuffle")
MAPS = int(os.environ.get("REFCODEC_BENCH_MAPS", "10000"))
PORTION = 2000

pytestmark = pytest.mark.filterwarnings("default")


@cache
def features(layer: str) -> Any:
    return trained("resnet56").head(cifar_images(200)[0], layer)


def seconds(action: Callable[[], object]) -> float:
    """Median of three runs."""
    return sorted(timed(action)[1] for _ in range(3))[1]


@pytest.mark.benchmark(group="lossless")
@pytest.mark.parametrize("coder", LOSSLESS)
@pytest.mark.parametrize("layer", LAYERS)
def test_lossless(benchmark: Any, layer: str, coder: str) -> None:
    maps = features(layer)
    name, _, shuffle = coder.partition(" + ")
    data = benchmark.pedantic(
        write, (maps,), {"coder": name, "shuffle": bool(shuffle)}, rounds=3, iterations=1
    )
    assert read(data).tobytes() == maps.tobytes()
    benchmark.extra_info |= {
        "layer": layer,
        "coder": coder,
        "rate": compression_rate(len(data), maps),
        "encode_mb": maps.nbytes / benchmark.stats["median"] / 1e6,
        "decode_mb": maps.nbytes / seconds(lambda: read(data)) / 1e6,
    }


@pytest.mark.benchmark(group="hevc")
@pytest.mark.parametrize("qp", [17, 22, 27, 32, 37, 42])
@pytest.mark.parametrize("layer", LAYERS[:-1])
def test_hevc(benchmark: Any, layer: str, qp: int) -> None:
    maps, net = features(layer), trained("resnet56")
    data = benchmark.pedantic(write, (maps,), {"coder": "hevc", "qp": qp}, rounds=3, iterations=1)
    decoded = read(data)
    outputs, reference = net.tail(decoded, layer), net.tail(maps, layer)
    benchmark.extra_info |= {
        "layer": layer,
        "qp": qp,
        "bits": bits_per_element(len(data), maps.size),
        "feature_snr": signal_to_noise(decoded, maps),
        "logit_snr": signal_to_noise(outputs, reference),
        "fidelity": fidelity(outputs, reference),
        "encode_me": maps.size / benchmark.stats["median"] / 1e6,
        "decode_me": maps.size / seconds(lambda: read(data)) / 1e6,
    }


@pytest.mark.benchmark(group="x265")
def test_beside_x265(benchmark: Any) -> None:
    images, _ = cifar_images(10_000)
    alone, ours = 0.0, 0.0
    for start in range(0, MAPS, PORTION):
        maps = trained("resnet56").head(images[start : start + PORTION], "conv1")
        frames = tiled(maps)
        _, seconds = timed(
            encode_video,
            frames,
            HEVC_PROGRAM,
            pixel_format="gray10le",
            size=(128, 128),
            options={
                "preset": "medium",
                "x265-params": x265_options([32], lossless=False, temporal=False),
            },
            ffmpeg=None,
            timeout=3600,
        )
        alone += seconds
        ours += timed(write, maps, coder="hevc", qp=32)[1]
    benchmark.pedantic(lambda: None, rounds=1)
    benchmark.extra_info |= {
        "maps": MAPS,
        "x265_seconds": alone,
        "refcodec_seconds": ours,
        "ratio": alone / ours,
    }


def tiled(maps: Any) -> bytes:
    """Frames as refcodec makes them, by independent means: 16 channels, 4 x 4 tiles, 10 bit."""
    assert near_square(16, 32, 32) == (4, 4)
    low, high = (f(maps, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    samples = np.rint((maps - low) * (1023 / (high - low))).astype("<u2")
    grid = samples.reshape(-1, 4, 4, 32, 32).transpose(0, 1, 3, 2, 4)
    frames: bytes = grid.reshape(-1, 128, 128).tobytes()
    return frames


@pytest.mark.benchmark(group="sequence")
@pytest.mark.parametrize("layer", ["conv1", "layer1", "layer2", "layer3"])
def test_sequence(benchmark: Any, layer: str) -> None:
    maps = trained("resnet56").head(pan(32), layer)
    intra = write(maps, coder="hevc", qp=32)
    predicted = benchmark.pedantic(
        write, (maps,), {"coder": "hevc", "qp": 32, "gop": 16}, rounds=1, iterations=1
    )
    benchmark.extra_info |= {
        "layer": layer,
        "features": len(maps),
        "intra": len(intra),
        "intra_snr": signal_to_noise(read(intra), maps),
        "inter": len(predicted),
        "inter_snr": signal_to_noise(read(predicted), maps),
        "ratio": len(predicted) / len(intra),
    }


@pytest.mark.benchmark(group="overhead")
@pytest.mark.parametrize("coder", ["raw", "zlib"])
def test_batch_of_fc(benchmark: Any, coder: str) -> None:
    maps = features("pool")
    data = benchmark.pedantic(write, (maps,), {"coder": coder}, rounds=1)
    benchmark.extra_info |= {
        "what": f"a batch of {len(maps)} fc features of 64 values, {coder}",
        "measured": (len(data) - payload_bytes(data)) / len(maps),
        "bound": 2.0,
        "unit": "bytes per feature",
    }


@pytest.mark.benchmark(group="overhead")
@pytest.mark.parametrize("restoration", ["off", "tensor"])
def test_single_conv(benchmark: Any, restoration: str) -> None:
    worst = 0
    for layer in LAYERS[:-1]:
        one = features(layer)[0]
        data = refcodec.encode(one - one.mean(), coder="hevc", qp=32, restoration=restoration)
        worst = max(worst, len(data) - payload_bytes(data))
    benchmark.pedantic(lambda: None, rounds=1)
    benchmark.extra_info |= {
        "what": f"one conv feature with a range per tensor, restoration {restoration}",
        "measured": float(worst),
        "bound": 64.0,
        "unit": "bytes",
    }


@pytest.mark.benchmark(group="overhead")
def test_qps(benchmark: Any) -> None:
    worst = 0.0
    rng = np.random.default_rng(0)
    for layer in LAYERS[:-1]:
        one = features(layer)[0]
        sensitivity = rng.random(len(one)) ** 2
        qps = [36 - round(5 * s / sensitivity.max()) for s in sensitivity]
        uniform, varied = (
            refcodec.encode(one, coder="hevc", qp=qp, restoration="off") for qp in (36, tuple(qps))
        )
        beside = [len(data) - payload_bytes(data) for data in (uniform, varied)]
        worst = max(worst, (beside[1] - beside[0]) / len(one))
    benchmark.pedantic(lambda: None, rounds=1)
    benchmark.extra_info |= {
        "what": "a QP per channel, base minus 0 to 5",
        "measured": worst,
        "bound": 0.5,
        "unit": "bytes per channel",
    }


def payload_bytes(data: bytes) -> int:
    """Bytes of payloads and HEVC parameter sets in a stream."""
    total = 0
    for unit in refcodec.inspect(data):
        for element in unit.elements:
            if element.name in ("payload", "payloads", "parameter_sets"):
                total += element.width // 8
    return total
