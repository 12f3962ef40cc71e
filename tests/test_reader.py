"""Readers: in threads, processes and pickles; of every kind of source; by number, slice and list."""

from __future__ import annotations

import gzip
import io
import mmap
import multiprocessing
import os
import pickle
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import stream_of
from variation import PATIENCE

import refcodec
from refcodec.errors import CallerError, DFCError, EnvironmentFault, OrderError
from refcodec.sources import open_source
from refcodec.stream.directory import Directory
from refcodec.syntax.codes import UnitType
from refcodec.syntax.structures import END, INDEX
from refcodec.syntax.units import build_unit, read_unit

COUNT = 60
FEATURES = np.random.default_rng(0).normal(size=(COUNT, 2, 4, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("readers") / "features.dfc"
    target.write_bytes(stream_of(FEATURES, coder="raw", batch=False))
    return target


def same(a: Any, b: Any) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


# --- threads and processes -------------------------------------------------------------------------


class Plain:
    """A file object of nothing but read, seek and tell."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def seek(self, position: int, whence: int = 0) -> None:
        self._file.seek(position, whence)

    def tell(self) -> int:
        return self._file.tell()


def wrong_in(reader: refcodec.Reader, seed: int) -> int:
    """Read at random; the number of features that are not what they should be."""
    numbers = np.random.default_rng(seed).integers(0, COUNT, 100)
    return sum(not same(reader[k], FEATURES[k]) for k in numbers)


@pytest.mark.parametrize("kind", ["path", "bytes", "file", "plain"])
def test_threads_share_a_reader(kind: str, path: Path) -> None:
    with path.open("rb") as file:
        sources = {"path": path, "bytes": path.read_bytes(), "file": file}
        reader = refcodec.open(sources.get(kind) or Plain(path.read_bytes()))
        found: list[int] = []
        threads = [
            threading.Thread(target=lambda k=k: found.append(wrong_in(reader, k))) for k in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert found == [0, 0, 0, 0]
        reader.close()


def work(reader: refcodec.Reader, seed: int, out: Any) -> None:
    try:
        out.put(wrong_in(reader, seed))
    except CallerError as error:
        out.put(str(error))


def in_processes(reader: refcodec.Reader, method: str) -> list[Any]:
    context: Any = multiprocessing.get_context(method)
    out = context.Queue()
    processes = [context.Process(target=work, args=(reader, k, out)) for k in range(2)]
    for process in processes:
        process.start()
    found = [out.get(timeout=PATIENCE) for _ in processes]
    for process in processes:
        process.join(PATIENCE)
    return found


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_share_a_reader(method: str, path: Path) -> None:
    with refcodec.open(path) as reader:
        assert same(reader[3], FEATURES[3])
        assert in_processes(reader, method) == [0, 0]
    data = path.read_bytes()
    assert in_processes(refcodec.open(data), method) == [0, 0]
    with path.open("rb") as file:
        assert in_processes(refcodec.open(file), method) == [0, 0]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_position_that_processes_would_share_is_refused(path: Path, tmp_path: Path) -> None:
    packed = tmp_path / "features.dfc.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with gzip.open(packed) as file:  # its descriptor is that of the packed file
        reader = refcodec.open(file)
        assert wrong_in(reader, 0) == 0
        for answer in in_processes(reader, "fork"):
            assert "was opened in another process" in answer


def test_a_pickled_reader_is_opened_anew(path: Path) -> None:
    reader = refcodec.open(path, like="numpy", max_level=3)
    again = pickle.loads(pickle.dumps(reader))
    reader.close()
    assert wrong_in(again, 1) == 0
    again.close()
    several = [
        bytearray(path.read_bytes()),
        memoryview(path.read_bytes()),
        Plain(path.read_bytes()),
    ]
    for source in several:
        assert wrong_in(pickle.loads(pickle.dumps(refcodec.open(source))), 2) == 0


def test_a_pickled_reader_notices_another_file(tmp_path: Path, path: Path) -> None:
    copy = tmp_path / "copy.dfc"
    copy.write_bytes(path.read_bytes())
    with refcodec.open(copy) as reader:
        data = pickle.dumps(reader)
    copy.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CallerError, match=r"copy\.dfc has changed since"):
        pickle.loads(data)


def test_a_file_without_a_path_is_not_pickled(tmp_path: Path, path: Path) -> None:
    copy = tmp_path / "copy.dfc"
    copy.write_bytes(path.read_bytes())
    with copy.open("rb") as file:
        reader = refcodec.open(file)
        copy.unlink()
        with pytest.raises(CallerError, match=r"has no path.*open it by its path"):
            pickle.dumps(reader)
        assert wrong_in(reader, 0) == 0


def test_a_pipe_stays_in_its_process() -> None:
    receiver, sender = os.pipe()
    with os.fdopen(sender, "wb") as file:
        file.write(stream_of(FEATURES[:2], coder="raw"))
    with os.fdopen(receiver, "rb") as file:
        reader = refcodec.open(file)
        with pytest.raises(CallerError, match="cannot go to another process"):
            pickle.dumps(reader)
        for use in (lambda: reader[0], lambda: reader[:1], lambda: len(reader)):
            with pytest.raises(CallerError, match="cannot seek"):
                use()
        assert "pipe" in repr(reader) or "BufferedReader" in repr(reader)
        assert len(list(reader)) == 2


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_data_loader_with_workers(method: str, path: Path) -> None:
    torch = pytest.importorskip("torch")
    with refcodec.open(path, like="torch") as reader:
        assert len(reader) == COUNT
        loader = torch.utils.data.DataLoader(
            reader, batch_size=7, num_workers=2, multiprocessing_context=method
        )
        found = torch.cat(list(loader))
    assert torch.equal(found, torch.from_numpy(FEATURES))


# --- by number -------------------------------------------------------------------------------------


def numbers_in(key: Any) -> list[int]:
    return np.arange(COUNT)[key].tolist()


@pytest.mark.parametrize(
    "key",
    [
        slice(1, 3), slice(None, None, -7), slice(-5, None), slice(50, 500), slice(9, 3), [4, 0, 4, -1],
        (1, 2), range(3, 9, 2), [np.int16(3)], np.array([5, -2]), np.array([], np.int64),
        np.array([7], np.uint8),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("options", [{}, {"batch": True}, {"gop": 7, "coder": "native", "qp": 0}])
def test_slices_and_lists_are_lists_of_features(key: Any, options: dict[str, Any]) -> None:
    data = stream_of(FEATURES, **{"coder": "raw", **options})
    reader = refcodec.open(data)
    whole = list(reader)
    expected = [whole[k] for k in numbers_in(list(key) if isinstance(key, tuple) else key)]
    found = reader[key]
    assert isinstance(found, list)
    assert len(found) == len(expected)
    assert all(map(same, found, expected))
    assert all(map(same, reader.__getitems__(numbers_in(list(key) if isinstance(key, tuple) else key)), expected))  # noqa: E501  # fmt: skip


@pytest.mark.parametrize("key", [np.int64(4), np.uint8(4), np.array(4), 4, -56], ids=repr)
def test_one_number_is_one_feature(key: Any, path: Path) -> None:
    with refcodec.open(path) as reader:
        assert same(reader[key], FEATURES[4])


@pytest.mark.parametrize(
    "key",
    [True, np.True_, np.zeros(COUNT, bool), [True, False], 1.0, "1", None, {1}, [1.5], np.ones(2),
     np.zeros((2, 2), int), slice("a", None), slice(None, None, 0), ...],
    ids=repr,
)  # fmt: skip
def test_other_keys_are_the_callers_fault(key: Any, path: Path) -> None:
    with refcodec.open(path) as reader, pytest.raises(CallerError) as caught:
        reader[key]
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("key", [COUNT, -COUNT - 1, [0, COUNT], np.array([COUNT]), 1 << 80])
def test_numbers_beyond_the_end(key: Any, path: Path) -> None:
    with refcodec.open(path) as reader, pytest.raises(IndexError) as caught:
        reader[key]
    assert isinstance(caught.value, CallerError)


@pytest.mark.parametrize("coder", ["native", "raw", "zlib", "native-lossless", "hevc"])
def test_what_is_read_is_never_the_readers_own(coder: str) -> None:
    fast: dict[str, Any] = {"hevc": {"preset": "ultrafast", "gop": 4}, "native": {"gop": 4}}
    options: Any = {"coder": coder, **fast.get(coder, {})}
    reader = refcodec.open(stream_of(FEATURES[:9], **options))
    whole = [one.copy() for one in reader]
    for k in range(9):
        for found in (reader[k], *reader[k : k + 1], *reader[[k, k]]):
            assert same(found, whole[k])
            found *= 0
    for k, feature in enumerate(reader):
        assert same(feature, whole[k])
        feature *= 0


def test_sequences_are_read_forwards_backwards_and_across() -> None:
    data = stream_of(FEATURES[:40], coder="native", gop=13, qp=20)
    reader = refcodec.open(data)
    whole = list(reader)
    for numbers in (range(40), range(39, -1, -1), np.random.default_rng(1).permutation(40)):
        assert all(same(reader[k], whole[k]) for k in numbers)


# --- where a stream ends ---------------------------------------------------------------------------


def forged(data: bytearray, at: int, crc_of: Callable[[bytes], int], target: int) -> None:
    """Set four bytes so that a CRC-32, which is linear in them, comes out as wanted."""
    data[at : at + 4] = bytes(4)
    rest = crc_of(bytes(data)) ^ target
    rows: list[tuple[int, int]] = []  # what it does to the CRC, and the bits that do it; ordered
    for bit in range(32):
        changed = bytearray(data)
        changed[at + bit // 8] ^= 1 << bit % 8
        effect, bits = crc_of(bytes(changed)) ^ crc_of(bytes(data)), 1 << bit
        for other, own in rows:
            if effect ^ other < effect:
                effect, bits = effect ^ other, bits ^ own
        rows = sorted([*rows, (effect, bits)], reverse=True)
    solution = 0
    for effect, bits in rows:
        if rest ^ effect < rest:
            rest, solution = rest ^ effect, solution ^ bits
    assert rest == 0
    data[at : at + 4] = solution.to_bytes(4, "little")


def two_faced() -> bytes:
    """A conforming stream: its last 22 bytes read as an end unit with an index, but lie in a payload."""
    options: Any = {"batch": False, "index": False, "hash_size": 0}
    plain = bytearray(stream_of(FEATURES[:2], coder="raw", **options))
    _, _, first, last, end = refcodec.inspect(bytes(plain))
    (payload,) = [element for element in last.elements if element.name == "payload"]
    begin, close = payload.offset // 8, end.offset // 8 - 4
    elements = {
        "entry_count": 1,
        "parameter_set_count": 1,
        "parameter_set_offset": [9],
        "distance_bits": 16,
        "features_bits": 0,
        "all_access_points_flag": 1,
        "reserved_ignored_4bits": 0,
        "unit_distance": np.array([first.offset // 8]),
        "features_minus1": None,
        "access_point": None,
    }
    index = build_unit(UnitType.INDEX, INDEX.build_whole(elements))
    fake = len(plain) - 22
    plain[fake - len(index) : fake] = index
    plain[fake : fake + 12] = b"\x7f\x10" + (fake - len(index)).to_bytes(8, "big") + bytes(2)
    assert begin < fake - len(index) - 4
    assert fake + 12 == close
    # the four bytes of the last coded unit's CRC make the CRC of the forged end unit that of the real one
    tail = int.from_bytes(plain[-4:], "big")
    forged(plain, close, lambda data: zlib.crc32(data[fake:-4]), tail)
    wanted = int.from_bytes(plain[close : close + 4], "big")
    # and four bytes of the payload make the unit's CRC what it has to be
    unit = last.offset // 8
    forged(plain, begin, lambda data: zlib.crc32(data[unit:close]), wanted)
    return bytes(plain)


def test_the_tail_of_a_payload_is_no_end_unit() -> None:
    data = two_faced()
    unit = read_unit(io.BytesIO(data[-22:]), 0, 16)
    assert unit is not None
    assert (unit.unit_type, unit.crc_matches) == (UnitType.END, True)
    assert refcodec.validate(data).conforming
    reader = refcodec.open(data)
    assert len(reader) == 2
    assert all(map(same, list(reader), [reader[0], reader[1]]))


def test_an_end_unit_that_counts_otherwise_is_not_believed(
    take_apart: Callable[[bytes], Any],
) -> None:
    parts = take_apart(stream_of(FEATURES[:4], coder="raw", batch=False))
    end = END.parse_whole(parts.units[-1][1], 0, unit_size=16)
    lie = END.build_whole({"index_offset": end.index_offset, "feature_count": 9}, unit_size=16)
    data = parts.change(UnitType.END, lambda _: lie)
    with pytest.raises(refcodec.StreamError, match="another number of features"):
        len(refcodec.open(data))


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("pipe", [True, False])
def test_streams_that_follow_one_another_are_read_as_one(index: bool, pipe: bool) -> None:
    one = stream_of(FEATURES[:3], coder="raw", batch=False, index=index, metadata={"a": "1"})
    other = stream_of(FEATURES[3:8], coder="zlib", index=index, metadata={"a": "2", "b": "3"})
    data = one + other + one

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    reader = refcodec.open(Pipe(data) if pipe else data)
    expected = [*FEATURES[:8], *FEATURES[:3]]
    assert all(map(same, reader, expected))
    assert reader.metadata == {"a": "1", "b": "3"}
    assert len(reader.parameters) == 3
    if not pipe:
        assert len(reader) == 11
        assert all(same(reader[k], expected[k]) for k in (10, 0, 3, 7, 8))
    (violation,) = refcodec.validate(data).violations
    assert isinstance(violation, OrderError)
    assert violation.bit_offset == 8 * len(one)
    assert "refcodec concat" in violation.hint
    assert "another stream follows" in refcodec.inspect(data)[-1].problem
    with pytest.raises(refcodec.StreamError):
        list(refcodec.open(one + other[:-1]))


# --- what a reader tells ---------------------------------------------------------------------------


def test_a_repr_tells_what_a_reader_is(path: Path) -> None:
    with refcodec.open(path) as reader:
        text = repr(reader)
        assert text == f"<refcodec.Reader: {path}, 60 features, 2 x 4 x 4 float32 raw>"
    assert repr(reader) == f"<refcodec.Reader: {path}, closed, 60 features, 2 x 4 x 4 float32 raw>"
    data = path.read_bytes()
    assert f"{len(data):,} bytes in memory, 60 features" in repr(refcodec.open(bytearray(data)))
    assert "the stream has no end unit" in repr(refcodec.open(stream_of([], coder="raw")[:-6]))


def test_a_closed_reader_says_so(path: Path) -> None:
    reader = refcodec.open(path)
    features = iter(reader)
    next(features)
    reader.close()
    reader.close()
    assert reader.closed
    for use in (
        lambda: reader[0],
        lambda: reader[:2],
        lambda: len(reader),
        lambda: list(reader),
        lambda: list(features),
        lambda: pickle.dumps(reader),
    ):
        with pytest.raises(CallerError, match=r"the reader of .*features\.dfc is closed"):
            use()


def test_several_iterations_at_once(path: Path) -> None:
    with refcodec.open(path) as reader:
        for k, (a, b) in enumerate(zip(reader, reader, strict=True)):
            assert same(a, FEATURES[k])
            assert same(b, FEATURES[k])
            assert same(reader[-1 - k], FEATURES[-1 - k])


# --- sources ---------------------------------------------------------------------------------------


def sources(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    spread: Any = np.zeros(2 * len(data), np.uint8)
    spread[::2] = np.frombuffer(data, np.uint8)
    return {
        "str": str(path),
        "path": path,
        "bytes": data,
        "bytearray": bytearray(data),
        "memoryview": memoryview(data),
        "strided": memoryview(spread)[::2],
        "uint8": np.frombuffer(data, np.uint8),
        "mmap": mapped,
        "BytesIO": io.BytesIO(data),
        "file": path.open("rb"),
        "raw file": path.open("rb", buffering=0),
        "plain": Plain(data),
    }


KINDS = ["str", "path", "bytes", "bytearray", "memoryview", "strided", "uint8", "mmap", "BytesIO",
         "file", "raw file", "plain"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_function_takes_every_source(kind: str, path: Path, tmp_path: Path) -> None:
    single = tmp_path / "one.dfc"
    single.write_bytes(refcodec.encode(FEATURES[0], coder="raw"))
    own = {"file", "raw file"}

    def read(source: Any) -> bool:
        with refcodec.open(source) as reader:
            return same(reader[0], FEATURES[0]) and all(map(same, reader, FEATURES[:1]))

    for use in (
        read,
        lambda source: same(refcodec.decode(source), FEATURES[0]),
        lambda source: refcodec.validate(source).conforming,
        lambda source: len(refcodec.inspect(source)) == 4,
    ):
        found = sources(single)
        assert use(found[kind])
        for name in own:
            assert not found[name].closed
            found[name].close()


def test_fsspec_files() -> None:
    fsspec = pytest.importorskip("fsspec")
    data = refcodec.encode(FEATURES[0], coder="raw")
    system = fsspec.filesystem("memory")
    with system.open("/one.dfc", "wb") as file:
        file.write(data)
    for use in (refcodec.decode, lambda source: refcodec.open(source)[0]):
        with system.open("/one.dfc", "rb") as file:
            assert same(use(file), FEATURES[0])
    with system.open("/one.dfc", "rb") as file:
        assert refcodec.validate(file).conforming


def test_a_local_fsspec_file_goes_to_another_process(path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    with fsspec.filesystem("file").open(str(path), "rb") as file:
        reader = refcodec.open(file)
        assert wrong_in(reader, 3) == 0
        assert wrong_in(pickle.loads(pickle.dumps(reader)), 3) == 0


@pytest.mark.parametrize(
    ("source", "text"),
    [
        pytest.param(io.StringIO("x"), "opened for text", id="text"),
        (3, "give a path, bytes"),
        (None, "give a path, bytes"),
        (np.zeros(4, np.float32), "items of 4 bytes"),
        ("no\0name", "null"),
        (io.BytesIO, "give a path"),
        (open, "give a path"),
    ],
    ids=str,
)
def test_other_sources_are_the_callers_fault(source: Any, text: str) -> None:
    for use in (refcodec.open, refcodec.decode, refcodec.validate, refcodec.inspect):
        with pytest.raises(CallerError, match=text):
            use(source)


def test_a_file_that_fails_is_blamed_rightly(path: Path) -> None:
    class Broken(io.BytesIO):
        answer: Any = None

        def read(self, size: int | None = -1, /) -> Any:
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

    def read(answer: Any) -> None:
        file = Broken(path.read_bytes())
        file.answer = answer
        refcodec.open(file)

    with pytest.raises(EnvironmentFault, match="Input/output error"):
        read(OSError(5, "Input/output error"))
    for answer, text in (
        (ZeroDivisionError("odd"), "ZeroDivisionError: odd"),
        (None, "does not wait"),
        ("text", "opened for text"),
        (3, "gives int instead of bytes"),
        (bytes(100_000), "100000 bytes where"),
    ):
        with pytest.raises(CallerError, match=text):
            read(answer)
    with path.open("rb") as file:
        reader = refcodec.open(file)
    with pytest.raises(CallerError, match="closed"):
        reader[0]
    with pytest.raises(CallerError, match="is closed"):
        refcodec.open(file)


class Odd:
    """An object whose attributes are what chance gives."""

    def __init__(self, attributes: dict[str, Any]) -> None:
        self.__dict__ = attributes


def raiser(error: type[BaseException]) -> Callable[..., Any]:
    def act(*_: Any, **__: Any) -> Any:
        raise error("odd")

    return act


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=3),
    st.binary(max_size=12), st.lists(st.integers(), max_size=2), st.just(float), st.just(np.float32(1)),
    st.sampled_from([np.zeros(3), np.array(["a"]), 1j, object(), {}, set(), ..., NotImplemented]),
)  # fmt: skip
METHODS = st.one_of(
    VALUES,
    VALUES.map(lambda value: lambda *_, **__: value),
    st.sampled_from([OSError, ValueError, KeyError, TypeError, RuntimeError]).map(raiser),
)
NAMES = ["read", "seek", "tell", "seekable", "name", "closed", "raw", "fileno", "readable", "mode"]
ODD = st.one_of(VALUES, st.dictionaries(st.sampled_from(NAMES), METHODS).map(Odd))


@given(source=ODD, salvage=ODD, level=ODD, ffmpeg=ODD, timeout=ODD, like=ODD, mixed=st.booleans())
def test_odd_objects_raise_nothing_foreign(
    source: Any, salvage: Any, level: Any, ffmpeg: Any, timeout: Any, like: Any, mixed: bool
) -> None:
    data = refcodec.encode(np.zeros(3, np.float32), coder="raw")
    limits = {"max_level": level, "ffmpeg": ffmpeg, "timeout": timeout} if mixed else {}
    for use in (
        lambda: list(refcodec.open(source)),
        lambda: list(refcodec.open(data, **limits, like=like)),
        lambda: refcodec.open(data)[source],
        lambda: refcodec.decode(source, **limits),
        lambda: refcodec.decode(data, like=like),
        lambda: refcodec.validate(source),
        lambda: refcodec.validate(data, **limits),
        lambda: refcodec.inspect(source),
        lambda: refcodec.to_torch(source),
        lambda: list(refcodec.open(data + data[:9], salvage=bool(mixed))),
    ):
        with suppress(DFCError):
            use()


# --- torch -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int8", "uint8", "int16"],
)
def test_features_become_tensors_without_a_copy(name: str) -> None:
    torch = pytest.importorskip("torch")
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    feature = np.arange(24).reshape(2, 3, 4).astype(dtype)
    tensor = refcodec.to_torch(feature)
    assert tensor.dtype == getattr(torch, name)
    assert tensor.shape == (2, 3, 4)
    assert tensor.float().tolist() == feature.astype(np.float32).tolist()
    assert tensor.data_ptr() == feature.ctypes.data


def test_torch_on_demand(path: Path) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.randn(3, 4, 5).bfloat16()
    data = refcodec.encode(tensor, coder="native-lossless")
    assert torch.equal(refcodec.decode(data, like="torch"), tensor)
    reader = refcodec.open(data, like="torch")
    for found in (reader[0], *reader, *reader[:]):
        assert torch.equal(found, tensor)
    with pytest.raises(CallerError, match="like is 'jax'; it is 'numpy' or 'torch'"):
        refcodec.open(data, like="jax")
    with pytest.raises(CallerError, match="has no type complex256"):
        refcodec.to_torch(np.zeros(2, np.clongdouble))
    with pytest.raises(CallerError, match="takes a numpy array, not a list"):
        refcodec.to_torch([1])  # type: ignore[arg-type]
    fixed = np.zeros(3, np.float32)
    fixed.flags.writeable = False
    assert refcodec.to_torch(fixed).tolist() == [0, 0, 0]
    assert refcodec.to_torch(np.arange(3.0)[::-1]).tolist() == [2, 1, 0]


def test_sources_have_names(path: Path) -> None:
    source = open_source(path)
    assert source.name == str(path)
    source.close()
    assert open_source(b"abc").name == "3 bytes in memory"
    assert open_source(Plain(b"abc")).name == "a Plain"


@pytest.mark.parametrize(
    "options",
    [
        {"coder": "raw", "batch": True},
        {"coder": "raw"},
        {"coder": "native", "batch": True},
        {"coder": "learned", "step": 0.1, "batch": True},
        {"coder": "learned", "step": 0.1, "batch": True, "joint": True},
    ],
    ids=str,
)
def test_any_choice_of_features_of_batches(options: dict[str, Any]) -> None:
    """Features of one unit are decoded together, in whatever order they are wanted."""
    maps = np.random.default_rng(0).standard_normal((40, 16, 16, 16)).astype(np.float32)
    with refcodec.open(stream_of(maps, **options)) as reader:
        every = list(reader)
        for wanted in ([3, 1, 2], [5] * 40, [0, 39, 0, 38], list(range(40)), [*range(30, 40), 7]):
            for number, found in zip(wanted, reader[wanted], strict=True):
                assert np.array_equal(found, every[number])
        assert np.array_equal(np.stack(reader[7:33]), np.stack(every[7:33]))


def test_each_unit_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    unit = Directory.unit

    def counted(directory: Directory, entry: int) -> Any:
        read.append(entry)
        return unit(directory, entry)

    monkeypatch.setattr(Directory, "unit", counted)
    maps = np.zeros((9, 2, 3, 3), np.float32)
    with refcodec.open(stream_of(maps, coder="raw")) as reader:
        reader[2:8]
    assert read == [2, 3, 4, 5, 6, 7]
