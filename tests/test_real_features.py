"""Features of real networks on real images: rate and fidelity."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from real import needs_data
from streams import stream_of

import refcodec
from refcodec.metrics import fidelity, top1_accuracy
from refcodec.models import trained

pytestmark = needs_data

LAYERS = ("layer1", "layer2", "layer3", "pool")

Features = dict[str, Any]
FAST: dict[str, Any] = {"coder": "hevc", "preset": "ultrafast"}


@pytest.fixture(scope="module")
def network() -> trained.Trained:
    return trained.trained("resnet20")


@pytest.fixture(scope="module")
def features(network: trained.Trained) -> Features:
    images, _ = trained.cifar_images(20)
    return {layer: network.head(images, layer) for layer in LAYERS}


@pytest.fixture(scope="module")
def pan(network: trained.Trained) -> list[Any]:
    """layer1 features of a crop that moves over a photograph, two pixels a frame."""
    return list(network.head(trained.pan(12), "layer1"))


def elements(data: bytes, name: str) -> list[Any]:
    return [e for unit in refcodec.inspect(data) for e in unit.elements if e.name == name]


def overhead(data: bytes) -> int:
    """Bytes beside coded samples and the HEVC parameter sets."""
    coded = (
        elements(data, "payload") + elements(data, "payloads") + elements(data, "parameter_sets")
    )
    return len(data) - sum(len(e.value or b"") for e in coded)


def payloads(data: bytes) -> list[bytes]:
    return [e.value for e in elements(data, "payload")]


def test_the_network_is_the_one_that_was_trained(network: trained.Trained) -> None:
    images, labels = trained.cifar_images(200)
    found = {layer: network.head(images, layer) for layer in LAYERS}
    assert [found[layer].shape[1:] for layer in LAYERS] == [
        (16, 32, 32),
        (32, 16, 16),
        (64, 8, 8),
        (64,),
    ]
    logits = network.tail(found["pool"], "pool")
    assert 0.74 <= top1_accuracy(logits, labels) <= 0.88  # 0.81 on all images
    for layer in LAYERS:
        assert np.allclose(network.tail(found[layer], layer), logits, atol=1e-4)


@pytest.mark.parametrize("layer", ["layer1", "layer2", "layer3"])
def test_hevc_at_qp_22_keeps_the_decisions(
    layer: str, network: trained.Trained, features: Features
) -> None:
    original = features[layer]
    data = stream_of(original, **FAST, qp=22)
    decoded = np.stack(list(refcodec.open(io.BytesIO(data))))
    assert len(data) < 0.35 * original.nbytes
    kept = fidelity(network.tail(decoded, layer), network.tail(original, layer))
    assert kept >= 0.9


@pytest.mark.parametrize("coder", ["raw", "zlib", "gzip", "bzip2", "lzma"])
def test_lossless_coders_are_bit_exact(coder: str, features: Features) -> None:
    original = [one for layer in ("layer1", "layer3", "pool") for one in features[layer][:4]]
    data = stream_of(original, coder=coder, shuffle=coder != "raw")
    decoded = list(refcodec.open(io.BytesIO(data)))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(original, decoded, strict=True))


def test_prediction_over_time_pays(pan: list[Any]) -> None:
    intra, inter = (len(stream_of(pan, coder="hevc", qp=30, gop=gop)) for gop in (0, 12))
    assert inter < 0.8 * intra


@pytest.mark.parametrize("mode", ["tensor", "channel"])
def test_restoration_changes_no_payload(mode: str, features: Features) -> None:
    original = features["layer2"][:4]
    off, on = (stream_of(original, **FAST, qp=40, restoration=wish) for wish in ("off", mode))
    assert payloads(off) == payloads(on)
    restored = list(refcodec.open(io.BytesIO(on)))
    for feature, one in zip(original, restored, strict=True):
        assert one.mean() == pytest.approx(float(feature.mean()), abs=2e-3)


@pytest.mark.parametrize("layer", ["layer1", "layer2", "layer3"])
@pytest.mark.parametrize("options", [{"coder": "raw"}, {"coder": "zlib"}, FAST], ids=str)
def test_a_feature_costs_64_bytes_beside_its_payload(
    layer: str, options: Any, features: Features
) -> None:
    feature = features[layer][0]
    assert overhead(refcodec.encode(feature, **options, restoration="off")) <= 64
    assert overhead(refcodec.encode(feature, **options)) <= 64 + 4 * len(feature)


@pytest.mark.parametrize("coder", ["raw", "zlib", "lzma"])
def test_a_vector_in_a_batch_costs_two_bytes_beside_its_payload(
    coder: str, features: Features
) -> None:
    vectors = features["pool"]
    many = [np.roll(vector, k) for k in range(10) for vector in vectors]
    assert len(many) == 200
    data = stream_of(many, coder=coder)
    alone = overhead(stream_of(many[:1], coder=coder))
    assert overhead(data) - alone <= 2 * len(many)


def test_a_qp_for_each_channel_costs_half_a_byte_a_channel(features: Features) -> None:
    feature = features["layer3"][0]
    qps = tuple(32 - k % 6 for k in range(64))  # Hu et al.: the base less 0 to 5
    uniform, own = (
        overhead(refcodec.encode(feature, **FAST, qp=qp, restoration="off")) for qp in (32, qps)
    )
    assert own - uniform <= 0.5 * len(qps)
