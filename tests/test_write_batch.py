"""Arrays of features are written as one by one, byte for byte, and much faster."""

from __future__ import annotations

import gc
import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import refcodec
from refcodec.errors import CallerError
from refcodec.suite.valid.hyperpriors import SYNTHESIS
from refcodec.writer import Writer, kinds, writer

MAPS = np.random.default_rng(1).standard_normal((40, 3, 4, 5)).astype(np.float32)
VECTORS = np.random.default_rng(2).standard_normal((70, 24)).astype(np.float32)
RECTIFIED = np.maximum(MAPS, 0)
INTEGERS = np.arange(70 * 24, dtype=np.int16).reshape(70, 24)

OPTIONS: list[dict[str, Any]] = [
    {"coder": "raw"},
    {"coder": "raw", "batch": True},
    {"coder": "raw", "batch": False, "hashes": True, "hash_size": 8},
    {"coder": "raw", "quantiser": "uniform", "bits": 7},
    {"coder": "zlib", "quantiser": "log", "bits": 6, "range": "channel"},
    {"coder": "zlib", "shuffle": True, "hash_size": 16},
    {"coder": "lzma", "index": True},
    {"coder": "native", "qp": 30},
    {"coder": "native", "qp": 20.5, "batch": False, "gop": 3},
    {"coder": "native-lossless", "speed": "fast"},
    {"coder": "learned", "step": 0.1},
    {"coder": "learned", "step": 0.1, "batch": False},
    {"coder": "learned", "step": 0.1, "joint": True, "batch": True},
]


def stream(fill: Callable[[Writer], object], /, **options: Any) -> bytes:
    target = io.BytesIO()
    with refcodec.create(target, **options) as open_writer:
        fill(open_writer)
    return target.getvalue()


def one_by_one(features: Any, **options: Any) -> bytes:
    return stream(lambda w: [w.write(one) for one in features], **options)


def at_once(features: Any, **options: Any) -> bytes:
    return stream(lambda w: w.write_batch(features), **options)


@pytest.mark.parametrize("features", [MAPS, VECTORS, RECTIFIED], ids=["maps", "vectors", "relu"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_bytes(features: Any, options: dict[str, Any]) -> None:
    assert at_once(features, **options) == one_by_one(features, **options)


def test_hevc() -> None:
    options = {"coder": "hevc", "qp": 30, "gop": 3}
    assert at_once(MAPS[:5], **options) == one_by_one(MAPS[:5], **options)


@pytest.mark.parametrize("dtype", ["float16", "int8", "uint8", ">f4", ">i2"])
def test_types(dtype: str) -> None:
    features = (10 * RECTIFIED).astype(dtype)
    data = at_once(features, coder="raw")
    assert data == one_by_one(features, coder="raw")
    with refcodec.open(data) as reader:
        assert np.array_equal(np.stack(reader[:]), features)


def test_what_is_taken_for_an_array() -> None:
    torch = pytest.importorskip("torch")
    expected = one_by_one(VECTORS, coder="raw")
    for given in (list(VECTORS), torch.from_numpy(VECTORS), VECTORS.tolist()):
        found = at_once(given, coder="raw", narrow=True)
        assert found == expected
    holes = np.where(VECTORS > 1, np.nan, VECTORS)
    assert at_once(holes, coder="raw", fill=0.5) == one_by_one(holes, coder="raw", fill=0.5)
    strided = np.zeros((70, 48), np.float32)[:, ::2]
    assert at_once(strided, coder="raw") == one_by_one(strided, coder="raw")


@pytest.mark.parametrize(("features", "size"), [(1, 1 << 30), (7, 1 << 30), (1024, 700), (5, 1000)])
def test_groups_end_where_they_would(
    monkeypatch: pytest.MonkeyPatch, features: int, size: int
) -> None:
    """Features that wait are coded at the same places, which their batches show."""
    monkeypatch.setattr(writer, "_WAITING_FEATURES", features)
    monkeypatch.setattr(writer, "_WAITING_BYTES", size)

    def mixed(one: Writer) -> None:
        one.write(VECTORS[0])
        one.write_batch(VECTORS[1:30])
        one.write(VECTORS[30])
        one.write_batch(VECTORS[31:])

    found = stream(mixed, coder="zlib", quantiser="uniform")
    assert found == one_by_one(VECTORS, coder="zlib", quantiser="uniform")


def test_kinds_that_alternate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features with and without negative values have parameter sets of their own (log)."""
    features = np.where(np.arange(40).reshape(-1, 1, 1, 1) % 3 > 0, RECTIFIED, MAPS)
    for most in (256, 1):
        monkeypatch.setattr(kinds, "FPS_IDS", most)
        options = {"coder": "raw", "quantiser": "log"}
        assert at_once(features, **options) == one_by_one(features, **options)


def test_low_latency() -> None:
    told: list[int] = []
    options = {"coder": "raw", "low_latency": True}
    found = stream(lambda w: w.write_batch(MAPS), progress=told.append, **options)
    assert told == list(range(1, 41))
    assert found == one_by_one(MAPS, **options)


def test_numbers_and_options() -> None:
    numbers = []

    def fill(one: Writer) -> None:
        numbers.append(one.write_batch(MAPS[:4]))
        numbers.append(one.write_batch(MAPS[:0]))
        numbers.append(one.write_batch(MAPS[4:7], qp=12))
        numbers.append(one.write_batch(MAPS[7:9], config=other))

    def separate(one: Writer) -> None:
        for number, feature in enumerate(MAPS[:9]):
            qp = 12 if number in range(4, 7) else None
            one.write(feature, qp=qp, config=other if number > 6 else None)

    other = refcodec.EncoderConfig(coder="zlib")
    assert stream(fill, coder="native") == stream(separate, coder="native")
    assert numbers == [range(4), range(4, 4), range(4, 7), range(7, 9)]


def test_errors_are_those_of_single_features() -> None:
    bad = VECTORS.copy()
    bad[60, 3] = np.nan
    messages = []
    for write in (at_once, one_by_one):
        with pytest.raises(CallerError) as caught:
            write(bad, coder="native")
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert messages[0].startswith("feature 60: the feature has nan at index (3)")


def test_features_that_precede_a_wrong_one_are_kept() -> None:
    bad = VECTORS.copy()
    bad[60, 3] = np.inf

    def fill(one: Writer) -> None:
        with pytest.raises(CallerError, match=r"feature 60: .* inf"):
            one.write_batch(bad)
        assert one.write(VECTORS[60]) == 60

    found = stream(fill, coder="raw", quantiser="uniform")
    assert found == one_by_one(VECTORS[:61], coder="raw", quantiser="uniform")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (MAPS[0], r"feature 0: a batch has rank 2, N x D, or 4, N x C x H x W, this one 3 \(shape"),
        (VECTORS[0], "this one 1 .*write takes a single feature"),
        (np.zeros((2, 0), np.float32), r"feature 0: the feature of shape \(0,\) is empty"),
        (np.zeros((2, 3), np.float64), "feature 0: the feature has type float64"),
        ({"a": MAPS}, "feature 0: the dict holds several arrays"),
    ],
)
def test_what_is_no_batch(given: Any, message: str) -> None:
    with pytest.raises(CallerError, match=message):
        at_once(given, coder="raw")


def test_an_analysis_sees_each_feature() -> None:
    """Under a hyperprior every feature has latents of its own."""
    chance = np.random.default_rng(0)
    features = chance.normal(0, 1, (4, 3, 7, 9)).astype(np.float32)

    def analysis(feature: Any) -> tuple[Any, Any]:
        assert feature.shape == (3, 7, 9)
        return np.resize(feature, (2, 4, 5)), np.rint(np.resize(feature, (3, 2, 3)))

    options = {"coder": "learned", "model": SYNTHESIS, "analysis": analysis, "step": 0.1}
    assert at_once(features, **options) == one_by_one(features, **options)


def test_memory_is_bounded(tmp_path: Path) -> None:
    """An array that is larger than what may wait is taken a part at a time."""
    path = tmp_path / "features.bin"
    given = np.memmap(path, np.float32, "w+", shape=(60, 256, 56, 56))
    tracemalloc.start()
    with refcodec.create(tmp_path / "features.dfc", coder="raw", exist_ok=True) as one:
        one.write_batch(given)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.8 * given.nbytes


def test_a_writer_that_is_dropped_goes_at_once(tmp_path: Path) -> None:
    """Nothing that a writer has refers back to it: its hidden file goes with it, without a collection."""
    gc.disable()
    try:
        with pytest.warns(ResourceWarning, match="70 features are lost"):
            refcodec.create(tmp_path / "features.dfc", coder="raw").write_batch(VECTORS)
    finally:
        gc.enable()
    assert list(tmp_path.iterdir()) == []
