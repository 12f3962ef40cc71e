"""Round trips through the public interface: coders, types, shapes, files and pipes."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Any, cast

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from streams import stream_of

import refcodec
from refcodec import EncoderConfig
from refcodec.errors import CallerError
from refcodec.syntax.codes import FeatureType, Profile, UnitType

LOSSLESS = ["raw", "zlib", "gzip", "bzip2", "lzma"]
CODERS = [*LOSSLESS, "hevc"]
DTYPES = [np.float32, np.float16, ml_dtypes.bfloat16]
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def some(*shape: int, seed: int = 1) -> Any:
    """A feature as a ReLU leaves it."""
    values = np.random.default_rng(seed).normal(0.2, 1, shape)
    return np.maximum(values, 0).astype(np.float32)


def same(a: Any, b: Any) -> bool:
    """Bit for bit, shape and type included."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def read(data: bytes) -> refcodec.Reader:
    return refcodec.open(io.BytesIO(data))


# --- coders, types, shapes -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["conv", "pool", "fc"])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda t: np.dtype(t).name)
@pytest.mark.parametrize("coder", CODERS)
def test_encode_decode(coder: str, dtype: Any, kind: str) -> None:
    feature = some(60) if kind == "fc" else some(3, 5, 4)
    feature = feature.astype(dtype)
    fine: dict[str, Any] = {"qp": 4, "preset": "ultrafast"} if coder == "hevc" else {}
    data = refcodec.encode(feature, coder=coder, feature_type=kind, **fine)
    decoded = refcodec.decode(data)
    reader = read(data)
    assert reader.parameters[0].feature_type == FeatureType[kind.upper()]
    assert reader.header.profile_idc == (Profile.HEVC if coder == "hevc" else Profile.LOSSLESS)
    if coder == "hevc":
        assert decoded.shape == feature.shape
        assert decoded.dtype == dtype
        assert np.abs(decoded.astype(float) - feature.astype(float)).max() < 0.05
    else:
        assert same(decoded, feature)


@pytest.mark.parametrize("coder", LOSSLESS)
@pytest.mark.parametrize("quantiser", ["uniform", "log"])
@pytest.mark.parametrize("bits", [1, 7, 8, 9, 16])
def test_a_byte_coder_keeps_quantised_samples(coder: str, quantiser: str, bits: int) -> None:
    options: Any = {"coder": coder, "quantiser": quantiser, "bits": bits, "range": "channel"}
    feature = some(3, 5, 4)
    once = refcodec.decode(refcodec.encode(feature, **options))
    if coder != "raw":
        assert same(once, refcodec.decode(refcodec.encode(feature, shuffle=True, **options)))
    reach = feature.max() / (2**bits - 1)
    if quantiser == "uniform":
        assert np.abs(once - feature).max() <= 0.51 * reach
    assert (once[feature == 0] == 0).all()


def test_signed_features_are_coded_logarithmically() -> None:
    feature = some(3, 5, 4) - some(3, 5, 4, seed=2)
    decoded = refcodec.decode(refcodec.encode(feature, coder="zlib", quantiser="log", bits=12))
    assert np.abs(decoded - feature).max() < 0.01
    assert (np.sign(decoded) * np.sign(feature) >= 0).all()


WORDS = {"float32": "uint32", "float16": "uint16", "bfloat16": "uint16"}


@pytest.mark.parametrize(
    ("coder", "shuffle"),
    [
        (coder, shuffle)
        for coder in LOSSLESS
        for shuffle in (False, True)
        if coder != "raw" or not shuffle
    ],
)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda t: np.dtype(t).name)
def test_every_bit_pattern_survives_a_lossless_coder(dtype: Any, coder: str, shuffle: bool) -> None:
    top = np.finfo(np.float32) if dtype is np.float32 else ml_dtypes.finfo(dtype)
    word = WORDS[np.dtype(dtype).name]
    inf = int(np.array([np.inf]).astype(dtype).view(word)[0])
    sign = 1 << (8 * np.dtype(dtype).itemsize - 1)
    patterns = [0, 1, inf, inf + 1, inf + 7, inf | inf >> 1, sign - 1]  # quiet, signalling NaNs
    words = np.array([p | s for p in patterns for s in (0, sign)], word)
    feature = np.concatenate([words.view(dtype), np.array([top.max, top.tiny]).astype(dtype)])
    for shaped in (feature, feature.reshape(2, 2, 4)):
        assert same(refcodec.decode(refcodec.encode(shaped, coder=coder, shuffle=shuffle)), shaped)


@settings(max_examples=60)
@given(
    hnp.arrays(np.uint32, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5)),
    st.sampled_from(["raw", "zlib"]),
    st.booleans(),
)
def test_any_words_survive(words: Any, coder: str, shuffle: bool) -> None:
    feature = words.view(np.float32)
    shuffle = shuffle and coder != "raw"
    assert same(refcodec.decode(refcodec.encode(feature, coder=coder, shuffle=shuffle)), feature)


SHAPES = [
    (1, 1, 1),
    (1, 1, 7),
    (7, 1, 1),
    (1, 40, 1),  # taller than the square of all its tiles
    (2, 300, 2),
    (2, 16, 16),
    (3, 17, 15),
    (1, 2, 5000),  # beside a long side the smallest is 32
    (64, 56, 56),
    (512, 7, 7),
    (2048, 7, 7),
    (64, 224, 224),
    (1,),
    (2,),
    (3,),
    (17,),
    (1000,),
    (100_000,),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_shape_passes_through_hevc(shape: tuple[int, ...]) -> None:
    feature = some(*shape)
    data = refcodec.encode(feature, coder="hevc", preset="ultrafast", bits=8, qp=10)
    decoded = refcodec.decode(data)
    assert decoded.shape == shape
    assert np.abs(decoded - feature).mean() <= 0.02 * max(feature.max(), 1e-9)


@pytest.mark.parametrize("shape", [s for s in SHAPES if s != (64, 224, 224)], ids=str)
def test_every_shape_passes_through_a_byte_coder(shape: tuple[int, ...]) -> None:
    feature = some(*shape)
    assert same(refcodec.decode(refcodec.encode(feature, coder="zlib")), feature)
    samples = refcodec.encode(feature, coder="raw", quantiser="uniform", bits=3)
    assert len(samples) <= 3 * feature.size / 8 + 64
    assert refcodec.decode(samples).shape == shape


def test_a_feature_in_another_memory_order() -> None:
    feature = some(4, 6, 5)
    for other in (feature.transpose(2, 0, 1), feature[::-1, ::2], np.asfortranarray(feature)):
        assert same(refcodec.decode(refcodec.encode(other, coder="raw")), other.copy(order="C"))


# --- hevc ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 8, 9, 10, 11, 12])
def test_lossless_hevc_keeps_every_sample(bits: int) -> None:
    feature = some(3, 9, 11)
    data = refcodec.encode(feature, coder="hevc", lossless=True, bits=bits, preset="ultrafast")
    expected = refcodec.encode(feature, coder="raw", quantiser="uniform", bits=bits)
    assert same(refcodec.decode(data), refcodec.decode(expected))


@pytest.mark.parametrize("packing", ["tile", "frame"])
@pytest.mark.parametrize("range_", ["tensor", "channel"])
def test_a_qp_for_each_channel(packing: str, range_: str) -> None:
    feature = some(6, 20, 20)
    qps = (10, 51, 10, 30, 51, 10)
    data = refcodec.encode(
        feature, coder="hevc", qp=qps, packing=packing, range=range_, preset="ultrafast"
    )
    assert refcodec.validate(data).conforming
    errors = np.abs(refcodec.decode(data) - feature).mean(axis=(1, 2))
    by_qp = {qp: errors[[own == qp for own in qps]].mean() for qp in set(qps)}
    assert by_qp[10] < by_qp[30] < by_qp[51]


def test_an_order_of_channels_changes_bytes_and_no_places() -> None:
    feature = some(5, 16, 16)
    feature[2] = 0
    order = (4, 2, 0, 3, 1)
    data = refcodec.encode(feature, coder="hevc", order=order, lossless=True, preset="ultrafast")
    plain = refcodec.encode(feature, coder="hevc", lossless=True, preset="ultrafast")
    assert same(refcodec.decode(data), refcodec.decode(plain))
    assert data != plain


@pytest.mark.parametrize("wish", ["tensor", "channel"])
def test_restoration_returns_the_moments(wish: str) -> None:
    feature = some(4, 24, 24)
    options: dict[str, Any] = {"coder": "hevc", "qp": 45, "preset": "ultrafast"}
    off, on = (
        refcodec.decode(refcodec.encode(feature, restoration=mode, **options))
        for mode in ("off", wish)
    )
    assert abs(on.std() - feature.std()) < abs(off.std() - feature.std())
    assert on.mean() == pytest.approx(float(feature.mean()), abs=0.01)


@pytest.mark.parametrize("gop", [1, 3, 64])
def test_a_sequence(gop: int) -> None:
    features = [np.roll(some(4, 16, 16), k, axis=2) for k in range(7)]
    data = stream_of(features, coder="hevc", gop=gop, qp=12, preset="ultrafast")
    reader = read(data)
    decoded = list(reader)
    for k in (6, 0, 3, 5, -1):
        assert same(reader[k], decoded[k])
    for feature, own in zip(features, decoded, strict=True):
        assert np.abs(feature - own).mean() < 0.05
    units = [unit for unit in refcodec.inspect(data) if unit.name == "coded_feature"]
    access = [
        element.value for unit in units for element in unit.elements
        if element.name == "access_point_flag"
    ]  # fmt: skip
    assert access == [int(k % gop == 0) for k in range(7)]


@pytest.mark.parametrize("coder", ["native", "hevc"])
def test_a_sequence_keeps_to_its_level(coder: str) -> None:
    features = [some(2, 16, 16)] * 3
    fast: dict[str, Any] = {"preset": "ultrafast"} if coder == "hevc" else {}
    assert read(stream_of(features, coder=coder, gop=32, **fast)).header.level_idc == 1
    assert read(stream_of(features, coder=coder, gop=33, **fast)).header.level_idc == 2
    large = [some(1, 256, 256)] * 2  # 65,536 samples each, of which level 1 admits sixteen
    assert read(stream_of(large, coder=coder, gop=17, **fast)).header.level_idc == 2
    with pytest.raises(CallerError, match="exceeds level 1"):
        stream_of(features, coder=coder, gop=33, level=1, **fast)


def test_two_sequences_side_by_side() -> None:
    features = [(some(4, 9, 9) if k % 2 else some(2, 16, 16)) + k for k in range(8)]
    data = stream_of(features, coder="hevc", gop=4, qp=8, preset="ultrafast")
    reader = read(data)
    assert refcodec.validate(data).conforming
    for k, (feature, decoded) in enumerate(zip(features, reader, strict=True)):
        assert np.abs(feature - decoded).mean() < 0.1
        assert same(reader[k], decoded)
    assert [f.shape for f in refcodec.open(_Pipe(data))] == [f.shape for f in features]


def test_restoration_and_qps_in_a_sequence() -> None:
    target, features = io.BytesIO(), [some(3, 16, 16, seed=k) for k in range(3)]
    config = EncoderConfig(
        coder="hevc", gop=3, restoration="channel", preset="ultrafast", hashes=True
    )
    with refcodec.create(target, config) as writer:
        qps: list[Any] = [20, (20, 21, 30), 40]
        for qp, feature in zip(qps, features, strict=True):
            writer.write(feature, qp=qp)
    assert refcodec.validate(target.getvalue()).conforming
    assert len(list(read(target.getvalue()))) == 3


# --- several features ------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [None, True, False])
@pytest.mark.parametrize("coder", LOSSLESS)
def test_batches(coder: str, batch: bool | None) -> None:
    features = [some(40, seed=k) for k in range(50)]
    data = stream_of(features, coder=coder, batch=batch)
    kinds = [unit.name for unit in refcodec.inspect(data)]
    assert kinds.count("coded_feature_batch") == (0 if batch is False else 1)
    assert kinds.count("coded_feature") == (50 if batch is False else 0)
    reader = read(data)
    assert len(reader) == 50
    for k in (49, 0, 17, -50):
        assert same(reader[k], features[k])
    assert all(map(same, reader, features))


def test_batches_are_split_at_64_kib_and_large_features_stand_alone() -> None:
    rng = np.random.default_rng(3)
    features = [rng.normal(size=n).astype(np.float32) for n in [9000] * 5 + [20_000] + [9000] * 3]
    data = stream_of(features, coder="raw", batch=True)
    units = [unit for unit in refcodec.inspect(data) if unit.name.startswith("coded_feature")]
    assert all(unit.size <= 65_536 + 10 for unit in units if unit.name.endswith("batch"))
    assert sum(unit.name == "coded_feature" for unit in units) == 1
    assert all(map(same, read(data), features))


def test_a_quantised_batch_shares_its_range() -> None:
    features = [some(64, seed=k) * np.float32(k + 1) for k in range(9)]
    data = stream_of(features, coder="zlib", quantiser="uniform", bits=12)
    step = max(f.max() for f in features) / 4095
    for feature, decoded in zip(features, read(data), strict=True):
        assert np.abs(feature - decoded).max() <= 0.51 * step


def test_several_parameter_sets_keep_the_order() -> None:
    shapes = [(4, 8, 8), (8, 4, 4), (10,), (4, 8, 8), (10,), (10,), (8, 4, 4)]
    features = [some(*shape, seed=k) for k, shape in enumerate(shapes)]
    features[5] = features[5].astype(np.float16)
    data = stream_of(features, coder="zlib", hashes=True)
    reader = read(data)
    assert [fps.fps_id for fps in reader.parameters] == [0, 1, 2, 3]
    assert all(map(same, reader, features))
    assert all(same(reader[k], features[k]) for k in reversed(range(7)))


def test_a_configuration_for_a_single_feature() -> None:
    target = io.BytesIO()
    feature = some(4, 8, 8)
    with refcodec.create(target, coder="hevc", preset="ultrafast") as writer:
        assert writer.write(feature) == 0
        assert writer.write(feature, config=EncoderConfig(coder="raw")) == 1
        several, one = np.array([1, 2, 3, 4]), np.int64(33)
        assert writer.write(feature, qp=cast("Any", several)) == 2
        assert writer.write(feature, qp=cast("Any", one)) == 3
    reader = read(target.getvalue())
    assert same(reader[1], feature)
    assert reader.header.profile_idc == Profile.HEVC


def test_a_stream_of_nothing() -> None:
    data = stream_of([], coder="zlib")
    assert (
        data == bytes.fromhex("89444643 10 01 10") + data[7:9] + bytes.fromhex("7f00") + data[11:]
    )
    assert len(data) == 15
    assert len(read(data)) == 0
    assert list(read(data)) == []
    assert refcodec.validate(data).conforming


@pytest.mark.parametrize("index", [True, False, None])
def test_random_access_equals_iteration(index: bool | None) -> None:
    features = [some(2, 4, 4, seed=k) for k in range(12)]
    data = stream_of(features, coder="raw", index=index)
    assert ("index" in [u.name for u in refcodec.inspect(data)]) == (index is not False)
    reader = read(data)
    once = list(reader)
    assert all(map(same, once, features))
    assert all(map(same, reader, once)), "a reader can be gone through again"
    assert all(same(reader[k], features[k]) for k in np.random.default_rng(0).permutation(12))
    for k in (12, -13):
        with pytest.raises(IndexError):
            reader[k]


def test_iterations_do_not_disturb_each_other() -> None:
    features = [some(2, 2, 2, seed=k) for k in range(2000)]  # more than a window
    reader = read(stream_of(features, coder="raw"))
    for k, (a, b) in enumerate(zip(reader, reader, strict=True)):
        assert same(a, b)
        if k % 500 == 0:
            assert same(reader[-1 - k], features[-1 - k])


def test_what_is_read_belongs_to_the_caller() -> None:
    reader = read(stream_of([some(20, seed=k) for k in range(3)], coder="zlib"))
    first = reader[1].copy()
    reader[1][:] = -1
    assert same(reader[1], first)


def test_what_is_written_may_be_overwritten() -> None:
    target, buffer = io.BytesIO(), some(2, 4, 4)
    with refcodec.create(target, coder="raw") as writer:
        for k in range(3):
            buffer[:] = k
            writer.write(buffer)
    assert [float(feature.max()) for feature in read(target.getvalue())] == [0, 1, 2]


def test_metadata() -> None:
    metadata = {"network": "ResNet-20", "layer": "layer1.2", "größe": "→ ReLU", "empty": ""}
    data = refcodec.encode(some(10), coder="zlib", metadata=metadata)
    assert read(data).metadata == metadata
    pipe = refcodec.open(_Pipe(data))
    assert len(list(pipe)) == 1
    assert pipe.metadata == metadata
    assert read(stream_of([some(4)] * 300, coder="raw", metadata=metadata)).metadata == metadata


def test_long_metadata_raises_the_level() -> None:
    text = "x" * (3 << 20)
    data = refcodec.encode(some(10), coder="zlib", metadata={"text": text})
    assert read(data).metadata["text"] == text


def test_features_of_a_finished_file(tmp_path: Path) -> None:
    path, feature = tmp_path / "features.dfc", some(3, 4, 4)
    with refcodec.create(str(path), coder="zlib") as writer:
        writer.write(feature)
        assert not path.exists()
    with refcodec.open(path) as reader:
        assert same(reader[0], feature)
    assert [entry.name for entry in tmp_path.iterdir()] == ["features.dfc"]
    assert path.read_bytes() == refcodec.encode(feature, coder="zlib")


def test_a_stream_inside_a_file() -> None:
    target = io.BytesIO(b"before")
    target.seek(6)
    features = [some(2, 3, 3, seed=k) for k in range(3)]
    with refcodec.create(target, coder="raw") as writer:
        for feature in features:
            writer.write(feature)
    assert target.getvalue().startswith(b"before\x89DFC")
    target.seek(6)
    reader = refcodec.open(target)
    assert same(reader[2], features[2])
    assert all(map(same, reader, features))


def test_progress_counts_features() -> None:
    seen: list[int] = []
    with refcodec.create(io.BytesIO(), coder="raw", progress=seen.append) as writer:
        for _ in range(10):
            writer.write(some(5))
    assert seen[-1] == 10


# --- pipes -----------------------------------------------------------------------------------------


class _Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise io.UnsupportedOperation("tell")

    def seek(self, *_: Any) -> int:
        raise io.UnsupportedOperation("seek")


@pytest.mark.parametrize("coder", ["zlib", "hevc"])
def test_a_pipe_takes_and_gives_a_stream(coder: str) -> None:
    features = [some(3, 8, 8, seed=k) for k in range(4)]
    target = _Pipe()
    with refcodec.create(target, coder=coder) as writer:
        for feature in features:
            writer.write(feature)
    data = target.getvalue()
    assert refcodec.validate(data).conforming
    reader = refcodec.open(_Pipe(data))
    assert reader.header.level_idc == 3
    decoded = list(reader)
    assert all(map(same, decoded, read(data)))
    assert len(decoded) == 4
    for use in (lambda: len(reader), lambda: reader[0], lambda: list(reader)):
        with pytest.raises(CallerError, match="file"):
            use()


def test_a_real_pipe() -> None:
    receiver, sender = os.pipe()
    features = [some(16, 20, 20, seed=k) for k in range(20)]  # more than the pipe holds

    def send() -> None:
        with os.fdopen(sender, "wb") as file, refcodec.create(file, coder="zlib") as writer:
            for feature in features:
                writer.write(feature)

    thread = threading.Thread(target=send)
    thread.start()
    with os.fdopen(receiver, "rb") as file:
        assert all(map(same, refcodec.open(file), features))
    thread.join()


# --- float64, torch --------------------------------------------------------------------------------


def test_float64_is_coded_only_where_it_may_be_narrowed() -> None:
    feature = np.linspace(0, 1, 11)
    with pytest.raises(CallerError, match="narrow=True"):
        refcodec.encode(feature, coder="raw")
    data = refcodec.encode(feature, coder="raw", narrow=True)
    assert same(refcodec.decode(data), feature.astype(np.float32))
    with pytest.raises(CallerError, match="a float64 value exceeds the range of float32"):
        refcodec.encode(np.array([1e300]), coder="raw", narrow=True)
    special = np.array([np.inf, np.nan])
    assert same(
        refcodec.decode(refcodec.encode(special, coder="raw", narrow=True)),
        special.astype(np.float32),
    )


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
def test_torch_tensors(name: str) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.linspace(-2, 2, 24).reshape(2, 3, 4).to(getattr(torch, name))
    expected = tensor.float().numpy().astype(BFLOAT16 if name == "bfloat16" else name)
    for own in (tensor, tensor.clone().requires_grad_(), tensor.transpose(0, 2)):
        decoded = refcodec.decode(refcodec.encode(own, coder="zlib"))
        assert same(decoded, expected.T if own.shape[0] == 4 else expected)


def test_torch_tensors_of_other_types() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(CallerError, match=r"float64.*narrow=True"):
        refcodec.encode(torch.zeros(3, dtype=torch.float64), coder="raw")
    with pytest.raises(CallerError, match="int64"):
        refcodec.encode(torch.zeros(3, dtype=torch.int64), coder="raw")


# --- the same bytes again --------------------------------------------------------------------------


@pytest.mark.parametrize("coder", CODERS)
def test_the_same_features_give_the_same_bytes(coder: str) -> None:
    features = [some(3, 16, 16, seed=k) for k in range(3)]
    first, second = (stream_of(features, coder=coder, hashes=True) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("gop", [0, 2])
def test_the_number_of_workers_changes_no_byte(gop: int) -> None:
    features = [some(64, 4, 4, seed=k) for k in range(35)]  # more frames than one run takes
    one, two = (
        stream_of(features, coder="hevc", packing="frame", gop=gop, preset="ultrafast", workers=n)
        for n in (1, 2)
    )
    assert one == two


def test_the_level_is_the_least_that_holds_the_features() -> None:
    for size, level in ((60_000, 1), (70_000, 2), (200_000, 3)):
        data = refcodec.encode(np.zeros(size, np.float32), coder="zlib")
        assert read(data).header.level_idc == level
    assert read(refcodec.encode(some(4), coder="zlib", level=4)).header.level_idc == 4


def test_units_of_an_indexed_stream() -> None:
    names = [unit.name for unit in refcodec.inspect(stream_of([some(2, 2, 2)] * 3, coder="raw"))]
    coded = ["coded_feature"] * 3
    assert names == ["stream_header", "feature_parameter_set", *coded, "index", "end"]
    assert UnitType.INDEX == 18
