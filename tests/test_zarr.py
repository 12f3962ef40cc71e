"""Arrays of zarr whose chunks are streams: round trips, parts, stores, refusals, xarray and dask."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

zarr = pytest.importorskip("zarr", reason="zarr is not installed")

from zarr.abc.store import RangeByteRequest  # noqa: E402
from zarr.storage import LocalStore, MemoryStore  # noqa: E402

import refcodec.numcodecs  # noqa: E402
from refcodec.errors import CallerError, StreamError  # noqa: E402
from refcodec.zarr import DFC, encoding  # noqa: E402

MAPS = np.maximum(np.random.default_rng(0).normal(size=(10, 4, 6, 5)), 0).astype(np.float32)
NAMED = {"serializer": {"name": "dfc"}, "compressors": None}


@pytest.fixture(autouse=True, scope="module")
def _threads_end() -> Iterator[None]:
    """The threads of zarr end with its tests: others fork."""
    yield
    zarr.core.sync.cleanup_resources()


def made(data: Any, chunks: tuple[int, ...], store: Any = None, **options: Any) -> Any:
    store = MemoryStore() if store is None else store
    return zarr.create_array(store, data=data, chunks=chunks, **encoding(**options))


def bytes_of(array: Any, key: str) -> bytes:
    """A chunk of an array in memory, as it is stored."""
    found: bytes = array.store._store_dict[key].to_bytes()
    return found


def same(a: Any, b: Any) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


# --- round trips -----------------------------------------------------------------------------------


def test_encode_decode() -> None:
    array = zarr.create_array(MemoryStore(), data=MAPS, chunks=(4, 4, 6, 5), **NAMED)
    found = zarr.open_array(array.store, mode="r")
    assert same(found[:], MAPS)
    assert isinstance(found.serializer, DFC)


def test_config() -> None:
    array = made(MAPS, MAPS.shape, coder="native", qp=27.5, clip=(0, 4))
    metadata = json.loads(bytes_of(array, "zarr.json"))
    chosen = {"coder": "native", "qp": 27.5, "clip": [0.0, 4.0]}
    assert metadata["codecs"] == [{"name": "dfc", "configuration": chosen}]
    codec = DFC(**chosen)
    assert DFC.from_dict(codec.to_dict()) == codec == array.serializer
    assert hash(codec) == hash(array.serializer)
    assert DFC.from_dict({"name": "dfc"}).to_dict()["configuration"] == {"coder": "native-lossless"}
    assert DFC(coder="zlib") != codec
    assert pickle.loads(pickle.dumps(codec)) == codec
    assert repr(DFC(coder="zlib", shuffle=True)) == "DFC(coder='zlib', shuffle=True)"


@pytest.mark.parametrize(
    "shape", [(30,), (6, 5), (2, 3, 5), (2, 3, 4, 5), (2, 2, 3, 4, 5)], ids=len
)
def test_axes_of_chunks(shape: tuple[int, ...]) -> None:
    data = np.random.default_rng(1).normal(size=shape).astype(np.float16)
    array = made(data, shape)
    assert same(array[:], data)
    own = shape[-1:] if len(shape) < 4 else shape[-3:]
    key = "/".join(["c", *("0" for _ in shape)])
    with refcodec.open(bytes_of(array, key)) as reader:
        assert len(reader) == data.size // int(np.prod(own))
        assert same(np.stack(list(reader)), data.reshape(-1, *own))


@pytest.mark.parametrize(
    "options",
    [
        {"coder": "native", "qp": 30},
        {"coder": "native", "qp": [20, 24, 28, 32], "range": "channel"},
        {"coder": "native", "target_snr": 20, "speed": "fast"},
        {"coder": "hevc", "qp": 20, "bits": 8},
        {"coder": "zlib", "quantiser": "uniform", "bits": 6, "clip": [0, 3]},
        {"coder": "learned", "step": 0.1},
    ],
    ids=str,
)
def test_a_chunk_is_what_encode_makes(options: dict[str, Any]) -> None:
    array = made(MAPS, (5, 4, 6, 5), **options)
    whole = array[:]
    expected = bytes_of(array, "c/1/0/0/0")
    assert same(whole[5:], refcodec.decode(expected))
    assert same(whole[7], zarr.open_array(array.store, mode="r")[7])
    assert 0 < np.abs(whole - MAPS).max() < 2
    if options["coder"] != "hevc":  # whose bytes are a library's
        assert expected == refcodec.encode(MAPS[5:], workers=1, **options)


@pytest.mark.parametrize("dtype", ["f2", "<f4", ">f4", "i1", "u1", "i2"])
def test_types(dtype: str) -> None:
    data = (10 * MAPS).astype(dtype)
    coder = "zlib" if data.dtype.kind in "iu" else "native-lossless"
    array = zarr.create_array(
        MemoryStore(), shape=data.shape, dtype=dtype, chunks=(4, 4, 6, 5), **encoding(coder=coder)
    )
    array[:] = data
    assert same(array[:], data.astype(array.dtype))
    assert np.array_equal(array[3], data[3])


def test_float64_is_rounded_where_it_may_be() -> None:
    wide = MAPS / np.float64(3)
    with pytest.raises(CallerError, match=r"float64.*narrow=True"):
        made(wide, wide.shape)
    array = made(wide, (4, 4, 6, 5), narrow=True)
    assert array.dtype == np.float64
    assert np.array_equal(array[:], wide.astype(np.float32))
    assert np.array_equal(array[2], wide[2].astype(np.float32))


def test_axes_may_be_transposed_before() -> None:
    filters = [zarr.codecs.TransposeCodec(order=(0, 3, 1, 2))]
    last = np.ascontiguousarray(np.moveaxis(MAPS, 1, -1))  # N x H x W x C
    array = zarr.create_array(
        MemoryStore(), data=last, chunks=(5, 6, 5, 4), **{**encoding(), "filters": filters}
    )
    assert same(array[:], last)
    assert same(refcodec.decode(bytes_of(array, "c/0/0/0/0")), MAPS[:5])


# --- parts of chunks -------------------------------------------------------------------------------


class Counting(MemoryStore):
    """A store that notes the bytes it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[int] = []

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        found = await super().get(key, prototype, byte_range)
        if found is not None and key.startswith("c/"):
            self.given.append(len(found))
        return found

    async def getsize(self, key: str) -> int:
        found = await super().get(key, zarr.core.buffer.default_buffer_prototype())
        if found is None:
            raise FileNotFoundError(key)
        return len(found)


SELECTIONS: dict[str, Any] = {
    "one": np.s_[3],
    "slice": np.s_[2:7],
    "steps": np.s_[1:9:3],
    "within": np.s_[4, 1:3, ::2, 4],
    "numbers": ([8, 1, 1, 5], slice(None), [0, 4]),
    "mask": (np.arange(10) % 3 == 0,),
}


@pytest.mark.parametrize("name", SELECTIONS)
@pytest.mark.parametrize("chunk", [10, 4])
def test_selections(name: str, chunk: int) -> None:
    array = made(MAPS, (chunk, 4, 6, 5))
    key = SELECTIONS[name]
    if name not in ("numbers", "mask"):
        assert same(array[key], MAPS[key])
        return
    index = [
        np.arange(n)[one] for n, one in zip(MAPS.shape, [*key, *[slice(None)] * 4], strict=False)
    ]
    assert same(array.oindex[key], MAPS[np.ix_(*index)])


def test_points() -> None:
    array = made(MAPS, (4, 4, 6, 5))
    places = ([9, 0, 5], [1, 2, 3], [5, 0, 2], [4, 4, 0])
    assert same(array.vindex[places], MAPS[places])


@pytest.mark.parametrize(
    "shape", [(400, 4096), (400, 64, 8, 8), (20, 20, 4096), (20, 20, 64, 8, 8)]
)
def test_a_part_takes_a_part_of_the_bytes(shape: tuple[int, ...]) -> None:
    data = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    store = Counting()
    array = made(data, shape, store, coder="raw")
    size = len(bytes_of(array, "/".join(["c", *("0" for _ in shape)])))
    for key in (np.s_[1], np.s_[3:4, 1], np.s_[-1]):
        store.given.clear()
        assert same(array[key], data[key])
        assert sum(store.given) < size * 0.2
    store.given.clear()
    assert same(array[:], data)
    assert store.given == [size]  # all of it, at once


def test_blocks_that_follow_one_another_are_asked_for_together() -> None:
    data = np.random.default_rng(2).normal(size=(2000, 32, 8, 8)).astype(np.float32)
    store = Counting()
    array = made(data, data.shape, store, coder="raw", batch=False)
    store.given.clear()
    assert same(array[:900], data[:900])
    assert len(store.given) < 30
    assert sum(store.given) < data.nbytes * 0.6


def test_only_what_is_selected_is_decoded() -> None:
    array = made(MAPS, MAPS.shape, coder="raw", batch=False)
    data = bytearray(bytes_of(array, "c/0/0/0/0"))
    place = data.find(MAPS[6].tobytes())
    data[place + 3] ^= 1
    array.store._store_dict["c/0/0/0/0"] = zarr.core.buffer.cpu.Buffer.from_bytes(bytes(data))
    assert same(array[5], MAPS[5])
    assert same(array[7:], MAPS[7:])
    for key in (np.s_[6], np.s_[:], np.s_[5:8]):
        with pytest.raises(StreamError, match="CRC"):
            array[key]


def test_sequences_that_are_predicted_over_time() -> None:
    video = np.cumsum(MAPS[:8], 0).reshape(2, 4, 4, 6, 5)
    array = made(video, video.shape, coder="native", qp=20, gop=4)
    whole = array[:]
    assert np.abs(whole - video).max() < 0.5
    assert same(array[1, 2], whole[1, 2])


def test_chunks_that_are_not_there() -> None:
    array = zarr.create_array(
        MemoryStore(), shape=MAPS.shape, dtype="f4", chunks=(4, 4, 6, 5), fill_value=2, **encoding()
    )
    assert (array[:] == 2).all()
    assert (array[3] == 2).all()
    array[5] = MAPS[5]
    expected = np.full_like(MAPS, 2)
    expected[5] = MAPS[5]
    assert same(array[:], expected)
    assert same(array[4], expected[4])


def test_a_chunk_that_changes_while_it_is_read_is_noticed() -> None:
    class Cut(Counting):
        async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
            found = await super().get(key, prototype, byte_range)
            return found[:100] if isinstance(byte_range, RangeByteRequest) else found

    data = np.zeros((100, 4096), np.float32) + np.arange(100, dtype=np.float32)[:, None]
    array = made(data, data.shape, Cut(), coder="raw")
    with pytest.raises(CallerError, match="has changed while it was read"):
        array[3]


@pytest.mark.parametrize("location", ["start", "end"])
def test_shards(location: str) -> None:
    shards = {"shape": (8, 4, 6, 5), "index_location": location}
    array = zarr.create_array(
        MemoryStore(),
        shape=MAPS.shape,
        dtype="f4",
        chunks=(4, 4, 6, 5),
        shards=shards,
        **encoding(coder="zlib"),
    )
    array[:] = MAPS
    assert {key for key in array.store._store_dict if key.startswith("c/")} == {
        "c/0/0/0/0",
        "c/1/0/0/0",
    }
    found = zarr.open_array(array.store)
    assert same(found[:], MAPS)
    assert same(found[5:7, 1], MAPS[5:7, 1])
    found[2] = MAPS[9]
    assert same(found[1:4], MAPS[[1, 9, 3]])


# --- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"coder": "nativ"}, "did you mean native"),
        ({"qpp": 3}, "did you mean qp"),
        ({"qp": 30}, "native-lossless has no option qp"),
        ({"coder": "zlib", "bits": 6}, "bits has no effect"),
        ({"coder": "native", "qp": 99}, "a QP is 99"),
        ({"workers": 2}, "of a machine, not of an array"),
        ({"coder": "learned", "model": "m.dfcm"}, "cannot hold a model"),
        ({"metadata": {"a": "b"}}, "an array has attributes"),
        ({"low_latency": True}, "a chunk is written whole"),
        ({"coder": "native", "qp": [30, 31]}, "2 QPs for 4 channels"),
        ({"coder": "hevc", "order": [0, 1]}, "no permutation of 4 channels"),
    ],
    ids=str,
)
def test_options_are_refused_before_anything_is_written(options: dict[str, Any], text: str) -> None:
    store = MemoryStore()
    with pytest.raises(CallerError, match=text):
        made(MAPS, MAPS.shape, store, **options)
    assert not store._store_dict


@pytest.mark.parametrize("shape", [(), (1,) * 6], ids=len)
def test_other_ranks_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        CallerError, match=rf"rank {len(shape)} .* holds no features .*N x C x H x W"
    ):
        zarr.create_array(MemoryStore(), shape=shape, dtype="f4", **encoding())


@pytest.mark.parametrize("dtype", ["i4", "c8", "bool", "S3"])
def test_other_types_are_refused(dtype: str) -> None:
    with pytest.raises(CallerError, match="the feature has type"):
        zarr.create_array(MemoryStore(), shape=(4, 8), dtype=dtype, **encoding(coder="zlib"))


def test_what_a_lossy_coder_cannot_code_is_refused() -> None:
    array = zarr.create_array(
        MemoryStore(),
        shape=(10, 8),
        dtype="f4",
        chunks=(4, 8),
        fill_value=np.nan,
        **encoding(coder="native"),
    )
    with pytest.raises(CallerError, match="NaN"):
        array[:] = 1  # the last chunk has two rows of the fill value


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (MAPS[:3], "3 features, not 10"),
        (
            MAPS[:, :, :5],
            r"feature \d of the chunk is 4 x 5 x 5 of float32, not 4 x 6 x 5 of float32",
        ),
        (MAPS.astype(np.float16), "of float16, not"),
    ],
    ids=["count", "shape", "type"],
)
def test_a_stream_of_something_else_is_refused(other: Any, text: str) -> None:
    array = made(MAPS, MAPS.shape)
    data = zarr.core.buffer.cpu.Buffer.from_bytes(refcodec.encode(other, coder="raw"))
    array.store._store_dict["c/0/0/0/0"] = data
    for key in (np.s_[:], 2):
        with pytest.raises(StreamError, match=text):
            array[key]


# --- format 2 --------------------------------------------------------------------------------------


def v2(data: Any, **options: Any) -> Any:
    compressor = refcodec.numcodecs.DFC(**options)
    return zarr.create_array(
        MemoryStore(), data=data, chunks=(4, *data.shape[1:]), zarr_format=2, compressors=compressor
    )


@pytest.mark.parametrize("shape", [(10, 5), (10, 3, 5), (10, 2, 3, 5)], ids=len)
def test_format_2(shape: tuple[int, ...]) -> None:
    data = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    array = v2(data, coder="zlib", shuffle=True)
    metadata = json.loads(bytes_of(array, ".zarray"))
    assert metadata["compressor"] == {"id": "dfc", "coder": "zlib", "shuffle": True}
    found = zarr.open_array(array.store, mode="r")  # finds the codec by its name
    assert same(found[:], data)
    assert same(found[3:5], data[3:5])


def test_codec_of_numcodecs() -> None:
    numcodecs = pytest.importorskip("numcodecs")
    codec = numcodecs.get_codec({"id": "dfc", "coder": "native", "qp": 30})
    assert repr(codec) == "DFC(coder='native', qp=30)"
    assert pickle.loads(pickle.dumps(codec)) == codec
    data = codec.encode(MAPS)
    out = np.empty_like(MAPS)
    codec.decode(data, out)
    assert same(out, codec.decode(bytearray(data)))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (MAPS.tobytes(), "takes arrays, not bytes"),
        (np.asfortranarray(MAPS), "order F"),
        (MAPS.astype(">f4"), "byte order"),
        (MAPS.astype(np.float64), "float64"),
        (np.zeros((1,) * 6, np.float32), "rank 6"),
    ],
    ids=["bytes", "order", "endian", "type", "rank"],
)
def test_what_format_2_cannot_hold_is_refused(given: Any, text: str) -> None:
    with pytest.raises(CallerError, match=text):
        refcodec.numcodecs.DFC().encode(given)
    with pytest.raises(CallerError, match="narrow is no option"):
        refcodec.numcodecs.DFC(narrow=True)


# --- xarray and dask -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chosen", [NAMED, encoding(coder="native", qp=30), {"serializer": {"name": "dfc"}}]
)
def test_xarray(chosen: dict[str, Any]) -> None:
    xarray = pytest.importorskip("xarray")
    axes = ("image", "channel", "y", "x")
    given = xarray.Dataset({"layer2": (axes, MAPS)}, coords={"image": np.arange(10)})
    store = MemoryStore()
    given.to_zarr(store, encoding={"layer2": chosen}, consolidated=False)
    found = xarray.open_zarr(store, chunks=None, consolidated=False)
    assert isinstance(found.layer2.encoding["serializer"], DFC)
    if "native" in str(chosen):
        assert 0 < np.abs(found.layer2 - given.layer2).max() < 1
    else:
        xarray.testing.assert_identical(found.load(), given)
    more = given.assign_coords(image=np.arange(10, 20))
    more.to_zarr(store, append_dim="image", consolidated=False)
    longer = xarray.open_zarr(store, chunks=None, consolidated=False)
    assert same(longer.layer2.sel(image=13).values, found.layer2.sel(image=3).values)
    copy = MemoryStore()
    longer.to_zarr(copy, consolidated=False)  # with the encoding that it had
    assert isinstance(zarr.open_array(copy, path="layer2").serializer, DFC)


@pytest.mark.slow
def test_dask_in_several_processes(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    xarray = pytest.importorskip("xarray")
    given = xarray.Dataset({"fc": (("video", "value"), MAPS.reshape(60, -1))}).chunk(video=20)
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        local_directory=tmp_path / "workers",
    )
    with cluster, distributed.Client(cluster) as client:
        given.to_zarr(
            tmp_path / "a.zarr", encoding={"fc": encoding(coder="zlib")}, consolidated=False
        )
        found = xarray.open_zarr(tmp_path / "a.zarr", consolidated=False)
        assert len(client.scheduler_info()["workers"]) == 2
        assert same(found.fc.sum("value").values, given.fc.sum("value").values)
        assert same(found.fc[13].values, given.fc[13].values)


# --- stores ----------------------------------------------------------------------------------------

VECTORS = np.random.default_rng(4).normal(size=(300, 1024)).astype(np.float32)
"""A chunk of several blocks, once it is stored."""


class Ranges(SimpleHTTPRequestHandler):
    """Files of a folder, by ranges of bytes."""

    asked: list[str | None]

    def do_GET(self) -> None:
        path, wanted = Path(self.translate_path(self.path)), self.headers.get("Range")
        self.asked.append(wanted)
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        if wanted is None:
            self.send_response(200)
        else:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            stop = min(int(last), len(data) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{stop}/{len(data)}")
            data = data[int(first) : stop + 1]
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, list[str | None]]]:
    """The address of a server of ``tmp_path``, and the ranges it is asked for."""
    asked: list[str | None] = []

    class Handler(Ranges):
        def __init__(self, *given: Any) -> None:
            self.asked = asked
            super().__init__(*given, directory=str(tmp_path))

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_files(tmp_path: Path) -> None:
    made(VECTORS, VECTORS.shape, LocalStore(tmp_path / "a.zarr"))
    found = zarr.open_array(tmp_path / "a.zarr", mode="r")
    assert same(found[17], VECTORS[17])
    assert same(found[:], VECTORS)
    assert same(pickle.loads(pickle.dumps(found))[4:7], VECTORS[4:7])


def test_http(tmp_path: Path, web: tuple[str, list[str | None]]) -> None:
    pytest.importorskip("aiohttp")
    pytest.importorskip("fsspec")
    made(VECTORS, VECTORS.shape, LocalStore(tmp_path / "a.zarr"), coder="raw")
    address, asked = web
    found = zarr.open_array(f"{address}/a.zarr", mode="r")
    asked.clear()
    assert same(found[100], VECTORS[100])
    assert all(one is not None for one in asked)
    assert same(found[:], VECTORS)


def test_fsspec_in_memory() -> None:
    pytest.importorskip("fsspec")
    place = "memory://test-zarr/a.zarr"
    zarr.create_array(place, data=VECTORS, chunks=(200, 1024), **encoding())
    found = zarr.open_array(place, mode="r")
    assert same(found[150:250], VECTORS[150:250])
    assert same(found[3], VECTORS[3])


def test_s3(s3: dict[str, Any]) -> None:
    place, storage = "s3://features/array-of-zarr", {"storage_options": s3}
    zarr.create_array(place, data=VECTORS, chunks=(200, 1024), **encoding(), **storage)
    found = zarr.open_array(place, mode="r", **storage)
    assert same(found[150:250], VECTORS[150:250])
    assert same(found[3], VECTORS[3])


def test_errors_are_of_the_project() -> None:
    array = made(MAPS, MAPS.shape)
    array.store._store_dict["c/0/0/0/0"] = zarr.core.buffer.cpu.Buffer.from_bytes(b"no stream")
    for key in (np.s_[:], 2):
        with pytest.raises(StreamError, match="a DFC stream begins with"):
            array[key]
