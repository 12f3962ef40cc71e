"""What callers hand over: its type, its masks, names and axes are kept, or it is refused."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
from command import CALL_AT_FAULT, run
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import refcodec
from refcodec.arrays import ARRAYS_KEY, ArrayEntry, entries_in, with_entries
from refcodec.errors import CallerError, DFCError
from refcodec.quantise import NUMPY_TYPES
from refcodec.registry import CODERS
from refcodec.suite.manifest import Feature, schema
from refcodec.syntax.codes import SourceType

INTEGERS = [np.int16, np.int8, np.uint8]
FLOAT8 = [ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]
BYTE_CODERS = [name for name, one in CODERS.items() if one.integers and not one.has_model]
MAPS = (np.arange(2 * 3 * 4 * 5) % 17 - 6.0).reshape(2, 3, 4, 5).astype(np.float32)


def same(a: Any, b: Any) -> bool:
    """Bit for bit, shape and type included."""
    return bool(a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes())


# --- source types ----------------------------------------------------------------------------------


def every_pattern(dtype: Any) -> Any:
    """A feature with every bit pattern of a type of 8 or 16 bits."""
    size = np.dtype(dtype).itemsize
    return np.arange(256**size, dtype=f"u{size}").view(dtype).reshape(4, -1, 16)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("coder", BYTE_CODERS)
@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOAT8], ids=lambda t: np.dtype(t).name)
def test_every_pattern_survives(dtype: Any, coder: str, shuffle: bool) -> None:
    feature = every_pattern(dtype)
    data = refcodec.encode(feature, coder=coder, shuffle=shuffle and coder != "raw")
    assert same(refcodec.decode(data), feature)
    assert refcodec.validate(data).conforming


@pytest.mark.parametrize("speed", ["fast", "default"])
@pytest.mark.parametrize("dtype", FLOAT8, ids=lambda t: np.dtype(t).name)
def test_float8_survives_the_native_lossless_coder(dtype: Any, speed: str) -> None:
    smooth = MAPS.astype(dtype)
    for feature in (every_pattern(dtype), np.repeat(smooth[0], 20, axis=2)):
        data = refcodec.encode(feature, coder="native-lossless", speed=speed)
        assert same(refcodec.decode(data), feature)
        assert refcodec.validate(data).conforming


@pytest.mark.parametrize("options", [{"coder": "native"}, {"coder": "hevc"}, {"quantiser": "log"}])
@pytest.mark.parametrize("dtype", FLOAT8, ids=lambda t: np.dtype(t).name)
def test_float8_is_coded_with_a_loss(dtype: Any, options: Any) -> None:
    feature = MAPS[0].astype(dtype)
    fine = {"coder": "zlib", "bits": 12} if "quantiser" in options else {"qp": 4}
    decoded = refcodec.decode(refcodec.encode(feature, **{**fine, **options}))
    assert decoded.dtype == dtype
    error = np.abs(decoded.astype(np.float64) - feature.astype(np.float64))
    assert error.max() <= np.abs(feature.astype(np.float64)).max() / 8


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda t: np.dtype(t).name)
@pytest.mark.parametrize(
    "options",
    [
        {"coder": "native"},
        {"coder": "native-lossless"},
        {"coder": "hevc"},
        {"coder": "zlib", "quantiser": "uniform"},
    ],
)
def test_integers_are_for_coders_that_keep_them(dtype: Any, options: Any) -> None:
    with pytest.raises(CallerError, match=r"does not code .*zlib.* keep integers as they are"):
        refcodec.encode(MAPS[0].astype(dtype), **options)


def test_every_source_type_is_described_everywhere() -> None:
    assert set(NUMPY_TYPES) == set(SourceType)
    names = [one.name.lower() for one in SourceType]
    assert names == [one.name for one in NUMPY_TYPES.values()]
    assert schema()["$defs"]["feature"]["properties"]["dtype"]["enum"] == names
    for one in NUMPY_TYPES.values():
        assert Feature((3,), one.name, "", "").size == 3 * one.itemsize


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "bfloat16", "int8", "uint8"])
def test_torch_tensors(name: str) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(MAPS[0]).abs().to(getattr(torch, name))
    decoded = refcodec.decode(refcodec.encode(tensor, coder="zlib"))
    assert decoded.dtype.name == name
    np.testing.assert_array_equal(decoded.astype(np.float32), tensor.float().numpy())


# --- batches, and arrays by name -------------------------------------------------------------------


@pytest.mark.parametrize("coder", ["zlib", "native-lossless"])
@pytest.mark.parametrize("batch", [MAPS, MAPS[:1], MAPS[0, 0], MAPS[0, 0, :1]], ids=np.shape)
def test_batches_come_back(batch: Any, coder: str) -> None:
    data = refcodec.encode(batch, coder=coder)
    assert same(refcodec.decode(data), batch)
    with refcodec.open(io.BytesIO(data)) as reader:
        assert len(reader) == len(batch)
        assert all(same(one, other) for one, other in zip(reader, batch, strict=True))
    assert refcodec.validate(data).conforming


def test_arrays_by_name_come_back() -> None:
    pyramid = {"p2": MAPS, "p3 é/ü": MAPS[0, :, :2], "p4": MAPS[0, 0, 0], "one": MAPS[:1]}
    data = refcodec.encode(pyramid, coder="zlib", metadata={"net": "FPN"})
    decoded = refcodec.decode(data)
    assert list(decoded) == list(pyramid)
    assert all(same(decoded[name], pyramid[name]) for name in pyramid)
    with refcodec.open(io.BytesIO(data)) as reader:
        assert reader.metadata["net"] == "FPN"
    alone = refcodec.decode(refcodec.encode({"p2": MAPS[0]}, coder="zlib"))
    assert list(alone) == ["p2"]


def test_a_feature_alone_needs_no_description() -> None:
    data = refcodec.encode(MAPS[0], coder="zlib")
    target = io.BytesIO()
    with refcodec.create(target, coder="zlib") as writer:
        writer.write(MAPS[0])
    assert data == target.getvalue()
    with refcodec.open(io.BytesIO(data)) as reader:
        assert reader.metadata == {}


def test_lists_of_arrays_are_batches() -> None:
    assert same(refcodec.decode(refcodec.encode(list(MAPS), coder="zlib")), MAPS)
    with pytest.raises(CallerError, match=r"different shapes.*a dict that names them"):
        refcodec.encode([MAPS[0], MAPS[0, :2]])


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "the dict is empty"),
        ({"": MAPS}, "'' is no name"),
        ({3: MAPS}, "3 is no name"),
        ({"\ud800": MAPS}, "is no name"),
        ({"a": {"b": MAPS}}, "holds several arrays"),
        ({"a": MAPS[:0]}, r"the array 'a' of shape \(0, 3, 4, 5\) is empty"),
        (MAPS[:0], "is empty"),
    ],
)
def test_arrays_that_no_stream_keeps(given: Any, text: str) -> None:
    with pytest.raises(CallerError, match=text):
        refcodec.encode(given, coder="zlib")


def test_the_description_of_arrays_is_the_encoders() -> None:
    with pytest.raises(CallerError, match=f"metadata has the key {ARRAYS_KEY}"):
        refcodec.encode(MAPS, coder="zlib", metadata={ARRAYS_KEY: "[]"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "[" * 100_000,
        "1" * 10_000,
        '[{"batch":-1}]',
        '[{"batch":true}]',
        '[{"batch":1e3}]',
        '[{"batch":9999999999999999}]',
        '[{"batch":2},{"batch":1}]',
        '[{"name":"a"},{"name":"a"},{"name":"b"}]',
        '[{"name":"a"},{"batch":2}]',
        '[{"name":""},{"name":"b","batch":2}]',
        '[{"name":"\\ud800","batch":3}]',
        '[{"name":["a"],"batch":3}]',
        '[{"batch":3,"axis":1}]',
        '[{"batch":2}]',
        '[{"batch":4}]',
        '[{"batch":3}]',
    ],
)
def test_a_description_that_is_wrong_is_not_followed(text: str, tmp_path: Path) -> None:
    """The last one is right in number; the features do not fit together."""
    path = tmp_path / "x.dfc"
    with refcodec.create(path, coder="zlib", metadata={ARRAYS_KEY: text}) as writer:
        for one in (MAPS[0], MAPS[1], MAPS[1, :2]):
            writer.write(one)
    with pytest.raises(CallerError, match=r"several features.*use refcodec.open"):
        refcodec.decode(path.read_bytes())
    with refcodec.open(path) as reader:
        assert len(list(reader)) == 3


@given(
    st.lists(st.tuples(st.text(max_size=5), st.none() | st.integers(0, 9)), max_size=4),
    st.booleans(),
)
def test_descriptions(named: list[tuple[str, int | None]], nameless: bool) -> None:
    entries = [ArrayEntry(None if nameless else name, batch) for name, batch in named]
    if nameless:
        entries = entries[:1]
    try:
        metadata = with_entries({"a": "b"}, entries)
    except CallerError:
        return
    plain = entries in ([], [ArrayEntry()])
    assert entries_in(metadata) == (None if plain else entries)
    assert metadata["a"] == "b"


# --- what means more than its numbers --------------------------------------------------------------


def masked(dtype: Any = np.float32) -> Any:
    return np.ma.masked_array(MAPS[0].astype(dtype), mask=MAPS[0] > 5, fill_value=99)


def test_masked_arrays_are_refused_or_filled() -> None:
    for one in (masked(), [masked(), masked()], {"a": masked()}):
        with pytest.raises(CallerError, match=r"elements are masked .*fill=VALUE"):
            refcodec.encode(one, coder="zlib")
    filled = refcodec.decode(refcodec.encode(masked(), coder="zlib", fill=-2.5))
    assert same(filled, np.where(MAPS[0] > 5, np.float32(-2.5), MAPS[0]))
    assert same(refcodec.decode(refcodec.encode(np.ma.array(MAPS[0]), coder="zlib")), MAPS[0])
    with pytest.raises(CallerError, match=r"fill is 0\.5, which int8 does not have"):
        refcodec.encode(masked(np.int8), coder="zlib", fill=0.5)
    with pytest.raises(CallerError, match=r"fill is 1e\+06, which float16 does not have"):
        refcodec.encode(masked(np.float16), coder="zlib", fill=1e6)
    with pytest.raises(CallerError, match="fill is 'a'; it is a number"):
        refcodec.encode(masked(), fill="a")


@pytest.mark.parametrize("dtype", [np.float32, *FLOAT8], ids=lambda t: np.dtype(t).name)
def test_not_a_number_is_filled(dtype: Any) -> None:
    feature = MAPS[0].copy()
    feature[1, 2, 3] = np.nan
    with pytest.raises(CallerError, match="nan at index"):
        refcodec.encode(feature.astype(dtype))
    decoded = refcodec.decode(refcodec.encode(feature.astype(dtype), coder="zlib", fill=1))
    feature[1, 2, 3] = 1
    assert same(decoded, feature.astype(dtype))


class Labelled:
    """An array of a library such as xarray, with coordinates."""

    coords = property(lambda self: {"y": [1, 2]})

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return MAPS[0]


class Quantity(np.ndarray[Any, Any]):
    """An array of a library such as astropy, with a unit."""


class Hidden:
    """An object whose array is a masked one, as netCDF's variables are."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return masked()


class Broken:
    """An object that fails in its own way."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise ZeroDivisionError("no array today")


class Pyramid(NamedTuple):
    """Arrays with names, which a list of them would lose."""

    p2: Any
    p3: Any


class Layers(dict):  # type: ignore[type-arg]
    """A mapping that fails in its own way."""

    def items(self) -> Any:
        raise RuntimeError("no layers today")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (Labelled(), "Labelled has coordinates, which no stream keeps .*numpy array"),
        (MAPS[0].view(Quantity), r"Quantity may mean more than its numbers .*numpy.array\(x\)"),
        (Hidden(), "elements are masked"),
        (Broken(), "Broken is no array: no array today"),
        (Layers(), "Layers is no array: no layers today"),
        (MAPS[0] * 1j, r"type complex64.*x.real and x.imag"),
        (np.zeros(3, [("a", "f4")]), "type .*its fields are features"),
        (np.zeros(3, bool), r"type bool.*astype\(numpy.uint8\)"),
        (np.zeros(3, np.int32), r"type int32.*numpy.int16"),
        (np.zeros(3, np.uint16), r"type uint16.*numpy.uint8"),
        (np.zeros(3, ml_dtypes.float8_e4m3fnuz), "type float8_e4m3fnuz"),
        (b"\0\1", "the bytes says nothing of numbers .*frombuffer"),
        (Pyramid(MAPS[0], MAPS[1]), r"names its parts .*_asdict"),
    ],
)
def test_what_is_refused(given: Any, text: str) -> None:
    with pytest.raises(CallerError, match=text):
        refcodec.encode(given, coder="raw")


@pytest.mark.filterwarnings("ignore")
def test_torch_tensors_that_are_refused() -> None:
    torch = pytest.importorskip("torch")
    plain = torch.ones(3, 4)
    for one, text in (
        (plain.to_sparse(), r"is sparse .*to_dense"),
        (torch.quantize_per_tensor(plain, 0.1, 0, torch.quint8), "quantised.*int_repr"),
        (plain.to("meta"), "holds no values"),
        (torch.nested.nested_tensor([plain[0], plain[1, :2]]), "is nested"),
        (torch.masked.masked_tensor(plain, plain > 0), "has a type of its own"),
        (plain.cfloat().conj(), "type complex64"),
        (plain.long(), "type int64"),
    ):
        with pytest.raises(CallerError, match=text):
            refcodec.encode(one, coder="raw")
    grown = torch.nn.Parameter(plain)
    assert same(refcodec.decode(refcodec.encode(grown, coder="raw")), plain.numpy())


def odd_objects() -> st.SearchStrategy[Any]:
    """Anything but a feature, as a rule."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.complex_numbers()
        | st.text(max_size=3)
        | st.binary(max_size=3)
        | st.fractions()
        | st.datetimes()
        | st.sampled_from([object(), len, int, Broken(), Hidden(), Labelled(), Fraction(1, 3)])
        | hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=5, max_side=3))
        | hnp.arrays(hnp.array_dtypes(max_size=2), hnp.array_shapes(max_dims=3, max_side=2))
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.tuples(inner, inner)
            | st.dictionaries(st.text(max_size=2) | st.integers(), inner, max_size=3)
            | st.lists(inner, max_size=2).map(iter)
            | inner.map(lambda one: np.ma.masked_array(np.array([0.0, 1.0]), [False, True]))
        ),
        max_leaves=6,
    )


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=300, deadline=None)
@given(odd_objects(), st.sampled_from(["raw", "zlib"]), st.sampled_from([None, 0.5]), st.booleans())
def test_no_foreign_exception_leaves(
    given_object: Any, coder: str, fill: float | None, narrow: bool
) -> None:
    options: Any = {"coder": coder, "fill": fill, "narrow": narrow}
    with suppress(DFCError):
        refcodec.decode(refcodec.encode(given_object, **options))
    with refcodec.create(io.BytesIO(), **options) as writer, suppress(DFCError):
        writer.write(given_object)


# --- files -----------------------------------------------------------------------------------------


def there_and_back(folder: Path, source: str, target: str, *options: str) -> Path:
    run("encode", folder / source, folder / "x.dfc", "--coder", "zlib", *options)
    assert refcodec.validate(folder / "x.dfc").conforming
    run("decode", folder / "x.dfc", folder / target)
    return folder / target


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("shape", [(3, 4, 5), (7,)])
def test_files_keep_the_batch_axis(tmp_path: Path, count: int, shape: tuple[int, ...]) -> None:
    batch = np.arange(count * np.prod(shape), dtype=np.float32).reshape(count, *shape)
    expected = batch if count else np.empty(0, np.float32)
    np.save(tmp_path / "x.npy", batch)
    np.savez(tmp_path / "x.npz", layer=batch)
    save_file({"layer": batch}, tmp_path / "x.safetensors")
    assert same(np.load(there_and_back(tmp_path, "x.npy", "y.npy")), expected)
    for source in ("x.npz", "x.safetensors"):
        with np.load(there_and_back(tmp_path, source, "y.npz")) as found:
            assert list(found) == ["layer"]
            assert same(found["layer"], expected)
        assert same(load_file(there_and_back(tmp_path, source, "y.safetensors"))["layer"], expected)


def test_compare_sees_the_batch_axis(tmp_path: Path) -> None:
    np.save(tmp_path / "batch.npy", MAPS[:1])
    np.save(tmp_path / "one.npy", MAPS[0])
    refused = run("compare", tmp_path / "batch.npy", tmp_path / "one.npy", status=CALL_AT_FAULT)
    assert "holds a batch of 1" in refused.stderr
    there_and_back(tmp_path, "batch.npy", "back.npy")
    for name in ("back.npy", "x.dfc"):
        assert "bit-exact    yes" in run("compare", tmp_path / "batch.npy", tmp_path / name).stdout


def test_files_keep_names_and_metadata(tmp_path: Path) -> None:
    layers = {"p10": MAPS, "p2": MAPS[:1].copy(), "fc": MAPS[0, 0, 0].copy()}
    texts = {"format": "pt", "network": "FPN"}
    save_file(layers, tmp_path / "x.safetensors", texts)
    back = there_and_back(tmp_path, "x.safetensors", "y.safetensors", "--metadata", "layer=all")
    decoded = refcodec.decode((tmp_path / "x.dfc").read_bytes())
    assert list(decoded) == ["fc", "p2", "p10"]
    run("encode", tmp_path / "x.dfc", tmp_path / "again.dfc", "--coder", "lzma")  # coded anew
    run("decode", tmp_path / "again.dfc", tmp_path / "z.safetensors")
    for path in (back, tmp_path / "z.safetensors"):
        with safe_open(path, framework="np") as file:
            assert file.metadata() == {**texts, "layer": "all"}
            assert sorted(file.keys()) == sorted(layers)
            assert all(same(file.get_tensor(name), layers[name]) for name in layers)
    run("encode", tmp_path / "x.safetensors", tmp_path / "one.dfc", "--key", "fc", "--narrow")
    assert list(refcodec.decode((tmp_path / "one.dfc").read_bytes())) == ["fc"]


def test_names_that_were_given_by_decode_need_no_room(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", feature00000=MAPS[0], feature00001=MAPS[1])
    with np.load(there_and_back(tmp_path, "x.npz", "y.npz")) as found:
        assert list(found) == ["feature00000", "feature00001"]
    with refcodec.open(tmp_path / "x.dfc") as reader:
        assert reader.metadata == {}


def test_names_do_not_leave_an_archive(tmp_path: Path) -> None:
    for name in ("../x", "/x", "a/../../x", "C:x", "..\\x"):
        (tmp_path / "x.dfc").write_bytes(refcodec.encode({name: MAPS[0]}, coder="zlib"))
        refused = run("decode", tmp_path / "x.dfc", tmp_path / "x.npz", status=CALL_AT_FAULT)
        assert "use .safetensors" in refused.stderr
        run("decode", tmp_path / "x.dfc", tmp_path / "x.safetensors")


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_a_pipe_whose_description_is_wrong(batch: int, tmp_path: Path) -> None:
    path = tmp_path / "x.dfc"
    text = json.dumps([{"batch": batch}])
    with refcodec.create(path, coder="zlib", metadata={ARRAYS_KEY: text}) as writer:
        for one in (*MAPS, MAPS[0]):
            writer.write(one)
    run("decode", path, tmp_path / "y.npy")  # a file is counted first
    assert np.load(tmp_path / "y.npy").shape == (3, 3, 4, 5)
    for name in ("z.npy", "z.npz", "z.safetensors"):
        refused = run("decode", "-", tmp_path / name, stdin=path.read_bytes(), status=CALL_AT_FAULT)
        assert "not those that the metadata" in refused.stderr
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3", "F8_E5M2", "F16"])
def test_safetensors_are_read_without_torch(kind: str, tmp_path: Path) -> None:
    size = 2 if kind.endswith("16") else 1
    content = bytes(range(60)) if size == 1 else np.arange(30, dtype="<f2").tobytes()
    shape = [60 // size // 10, 2, 5]
    header = {"f": {"dtype": kind, "shape": shape, "data_offsets": [0, 60]}}
    text = json.dumps(header).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + content)
    code = "import sys; sys.modules['torch'] = None\nfrom refcodec.cli import main\nmain()"
    for command in (
        ["encode", "x.safetensors", "x.dfc", "--coder", "native-lossless"],
        ["decode", "x.dfc", "y.safetensors"],
    ):
        subprocess.run([sys.executable, "-c", code, *command], cwd=tmp_path, check=True)
    assert (tmp_path / "y.safetensors").read_bytes().endswith(content)


def test_types_of_safetensors_that_are_not_read(tmp_path: Path) -> None:
    for kind, size in (("F8_E8M0", 32), ("I64", 256), ("BOOL", 32)):
        header = {"scales": {"dtype": kind, "shape": [2, 4, 4], "data_offsets": [0, size]}}
        text = json.dumps(header).encode()
        (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(size))
        source, target = tmp_path / "x.safetensors", tmp_path / "x.dfc"
        refused = run("encode", source, target, "--coder", "zlib", status=CALL_AT_FAULT)
        assert refused.stderr.count("\n") == 1
        assert (
            "scales" in refused.stderr or "is coded" in refused.stderr or "type" in refused.stderr
        )


def test_fill_on_the_command_line(tmp_path: Path) -> None:
    broken = MAPS.copy()
    broken[1, 2, 3, 4] = np.nan
    np.save(tmp_path / "x.npy", broken)
    found = np.load(there_and_back(tmp_path, "x.npy", "y.npy", "--fill", "7"))
    broken[1, 2, 3, 4] = 7
    assert same(found, broken)
