"""Writing in real programs: flow, existing files, appending, joining, and what is left behind."""

import gc
import io
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import pytest
from variation import PATIENCE

import refcodec
from refcodec.errors import CallerError, EnvironmentFault, HashError, StreamError
from refcodec.stream.walk import Walk
from refcodec.suite.make.edits import flip
from refcodec.syntax.codes import Profile, UnitType
from refcodec.syntax.structures import (
    CODED_FEATURE,
    FEATURE_PARAMETER_SET,
    CodedFeature,
    FeatureParameterSet,
)
from refcodec.syntax.units import build_stream_header, build_unit, parse_stream_header
from refcodec.writer.numbering import Numbering

SMALL = np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4)


def feature(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def written(*features: Any, **options: Any) -> bytes:
    target = io.BytesIO()
    with refcodec.create(target, **options) as writer:
        for one in features:
            writer.write(one)
    return target.getvalue()


def check(stream: bytes | Path, expected: list[Any]) -> None:
    """The stream conforms, and holds these features, in order and by number."""
    data = stream if isinstance(stream, bytes) else stream.read_bytes()
    report = refcodec.validate(data)
    assert report.conforming, report.violations
    reader = refcodec.open(io.BytesIO(data))
    assert len(reader) == len(expected)
    assert all(map(np.array_equal, reader, expected))
    for number in range(0, len(expected), 1 + len(expected) // 40):
        assert np.array_equal(reader[number], expected[number])


def decoded(data: bytes) -> list[Any]:
    return list(refcodec.open(io.BytesIO(data)))


# --- existing files --------------------------------------------------------------------------------


def test_an_existing_file_is_replaced_with_a_word(tmp_path: Path) -> None:
    path = tmp_path / "out.dfc"
    path.write_bytes(b"old")
    with pytest.warns(UserWarning, match=r"out\.dfc exists, and is replaced: say exist_ok=True"):
        refcodec.create(path, coder="raw").close()
    with pytest.raises(CallerError, match=r"out\.dfc exists \(exist_ok=True replaces it"):
        refcodec.create(path, coder="raw", exist_ok=False)
    with refcodec.create(path, coder="raw", exist_ok=True) as writer:
        writer.write(SMALL)
    check(path, [SMALL])


def test_a_file_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "out.dfc"
    writer = refcodec.create(path, coder="raw", exist_ok=False)
    path.write_bytes(b"another's")
    with pytest.raises(CallerError, match="exists"):
        writer.close()
    assert path.read_bytes() == b"another's"
    assert list(tmp_path.iterdir()) == [path]


# --- what is left ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["path", "file"])
def test_a_writer_that_is_never_closed_says_so(kind: str, tmp_path: Path) -> None:
    writer = refcodec.create(tmp_path / "out.dfc" if kind == "path" else io.BytesIO(), coder="raw")
    writer.write(SMALL)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del writer
        gc.collect()
    (one,) = caught
    assert one.category is ResourceWarning
    assert "unclosed writer of " in str(one.message)
    assert str(one.message).endswith("1 features are lost")
    assert list(tmp_path.iterdir()) == []


WRITE = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # this test may run where they are ignored
for number in signal.SIGTERM, signal.SIGHUP:
    signal.signal(number, signal.SIG_DFL)
import numpy as np, refcodec
writer = refcodec.create(sys.argv[1], coder="raw", low_latency=True)
writer.write(np.ones((8, 8, 8), np.float32))
print("written", flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(os.name != "posix", reason="there are no such signals")
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_leaves_no_hidden_file(number: str, tmp_path: Path) -> None:
    code = [sys.executable, "-W", "ignore", "-c", WRITE, str(tmp_path / "out.dfc")]
    with subprocess.Popen(code, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        (hidden,) = tmp_path.iterdir()
        assert hidden.name.startswith(".out.dfc.")
        process.send_signal(getattr(signal, number))
        process.wait(PATIENCE)
    assert process.returncode == -getattr(signal, number)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="there are no such signals")
def test_handlers_of_others_stay(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with refcodec.create(tmp_path / "a.dfc", coder="raw"):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with refcodec.create(tmp_path / "b.dfc", coder="raw"):
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


FORKED = """
import os, sys, numpy as np, refcodec
writer = refcodec.create(sys.argv[1], coder="raw")
writer.write(np.ones((2, 2, 2), np.float32))
writer.flush()
writer.write(np.ones((2, 2, 2), np.float32))
child = os.fork()
if child == 0:
    sys.exit()
os.waitpid(child, 0)
writer.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.dfc"
    subprocess.run([sys.executable, "-c", FORKED, path], check=True, timeout=PATIENCE)
    check(path, [np.ones((2, 2, 2), np.float32)] * 2)


@pytest.mark.parametrize("name", ["n" * 240, "ü" * 120, "特" * 84])
def test_long_names(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with refcodec.create(path, coder="raw") as writer:
        writer.write(SMALL)
    check(path, [SMALL])


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full")
def test_a_full_device_by_its_name() -> None:
    with (
        pytest.raises(EnvironmentFault, match="cannot write /dev/full: No space left"),
        refcodec.create("/dev/full", coder="raw") as writer,
    ):
        writer.write(SMALL)


# --- flow ------------------------------------------------------------------------------------------


class Stalling:
    """A source without a descriptor that is fed piece by piece, and waits in between."""

    def __init__(self) -> None:
        self._pieces: Queue[bytes] = Queue()
        self._rest = b""

    def seekable(self) -> bool:
        return False

    def feed(self, data: bytes) -> None:
        self._pieces.put(data)

    def close(self) -> None:
        self._pieces.put(b"")

    def read(self, size: int = -1, /) -> bytes:
        if not self._rest:
            self._rest = self._pieces.get(timeout=PATIENCE)
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


class Pipe:
    """A pipe of the operating system."""

    def __init__(self, buffering: int) -> None:
        receiver, self._sender = os.pipe()
        self.file = os.fdopen(receiver, "rb", buffering)

    def feed(self, data: bytes) -> None:
        os.write(self._sender, data)

    def close(self) -> None:
        os.close(self._sender)


class Arrivals:
    """Features out of a source, in a thread, as they come."""

    def __init__(self, source: Any) -> None:
        self.queue: Queue[Any] = Queue()
        threading.Thread(target=self._read, args=[source], daemon=True).start()

    def _read(self, source: Any) -> None:
        try:
            for one in refcodec.open(source):
                self.queue.put(one)
            self.queue.put(None)
        except StreamError as error:
            self.queue.put(error)
        finally:
            if isinstance(source, io.IOBase):
                source.close()

    def next(self) -> Any:
        return self.queue.get(timeout=PATIENCE)


def flushed(features: list[Any], **options: Any) -> tuple[bytes, list[int]]:
    """A stream, and its size after each flush."""
    target = io.BytesIO()
    writer = refcodec.create(target, **options)
    ends = []
    for one in features:
        writer.write(one)
        writer.flush()
        ends.append(target.tell())
    writer.close()
    return target.getvalue(), ends


@pytest.mark.parametrize("source", ["opaque", "raw", "buffered"])
@pytest.mark.parametrize("excess", [0, 1, 5])
@pytest.mark.parametrize(
    "options", [{"coder": "raw"}, {"coder": "zlib", "hashes": True}, {"coder": "native"}], ids=str
)
def test_a_feature_comes_as_soon_as_its_unit_is_whole(
    source: str, excess: int, options: Any
) -> None:
    """A part of the next unit, of some bytes, does not hold it up."""
    data, ends = flushed([feature(2, 5, 4 + k // 2, seed=k) for k in range(5)], **options)
    expected = decoded(data)
    into: Any = Stalling() if source == "opaque" else Pipe(0 if source == "raw" else -1)
    arrivals = Arrivals(into if source == "opaque" else into.file)
    sent = 0
    for end, one in zip(ends, expected, strict=True):
        into.feed(data[sent : end + excess])
        sent = end + excess
        assert np.array_equal(arrivals.next(), one)
    into.feed(data[sent:])
    into.close()
    assert arrivals.next() is None


def test_hash_units_that_come_late_are_checked() -> None:
    data = written(feature(2, 3, 4), coder="raw", hashes=True, index=False)
    units = refcodec.inspect(data)
    number = next(i for i, unit in enumerate(units) if unit.name == "hash")
    wrong, place = flip(data, number, "hash.sha256", 3)(data), units[number].offset // 8
    source = Stalling()
    arrivals = Arrivals(source)
    source.feed(wrong[:place])
    assert np.array_equal(arrivals.next(), feature(2, 3, 4))
    source.feed(wrong[place:])
    assert isinstance(arrivals.next(), HashError)
    pipe = Pipe(-1)  # where it is there already, the feature is not given away
    pipe.feed(wrong)
    assert isinstance(Arrivals(pipe.file).next(), HashError)
    pipe.close()


def test_low_latency_needs_no_flush() -> None:
    pipe = Pipe(-1)
    arrivals = Arrivals(pipe.file)
    sender = os.fdopen(os.dup(pipe._sender), "wb")
    writer = refcodec.create(sender, coder="zlib", low_latency=True)
    for k in range(3):
        writer.write(feature(64, seed=k))
        assert np.array_equal(arrivals.next(), feature(64, seed=k))
    writer.close()
    sender.close()
    pipe.close()
    assert arrivals.next() is None


@pytest.mark.parametrize("options", [{"gop": 4}, {"batch": True}], ids=str)
def test_low_latency_leaves_nothing_to_code_together(options: Any) -> None:
    with pytest.raises(CallerError, match="has no effect with low_latency"):
        refcodec.EncoderConfig(low_latency=True, **options)


def test_a_closed_writer_is_not_flushed() -> None:
    writer = refcodec.create(io.BytesIO(), coder="raw")
    writer.close()
    with pytest.raises(CallerError, match="the writer is closed"):
        writer.flush()


# --- errors ----------------------------------------------------------------------------------------


def test_errors_name_the_feature() -> None:
    with refcodec.create(io.BytesIO(), coder="native") as writer:
        for _ in range(4):
            writer.write(SMALL)
        with pytest.raises(
            CallerError, match=r"^feature 4: the feature has nan at index \(0, 0, 1\)"
        ):
            writer.write(np.where(np.arange(24).reshape(2, 3, 4) == 1, np.nan, SMALL))
        assert writer.write(SMALL) == 4


# --- more shapes than numbers ----------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"coder": "raw"}, {"coder": "zlib", "index": False}], ids=str)
def test_more_shapes_than_numbers(options: Any) -> None:
    features = [feature(3, 1, length, seed=length) for length in range(1, 301)]
    features += features[::7]
    data = written(*features, **options)
    check(data, features)
    assert len(refcodec.open(io.BytesIO(data)).parameters) == 256


@pytest.mark.parametrize("kinds", [200, 300])
def test_sequences_that_alternate(kinds: int) -> None:
    """A parameter set with a sequence under way keeps its number."""
    shapes = [(1, 1 + k // 20, 1 + k % 20) for k in range(kinds)]
    features = [feature(*shape, seed=k) for k in range(3) for shape in shapes]
    data = written(*features, coder="native", gop=3, speed="fast", workers=1)
    assert refcodec.validate(data).conforming
    assert [one.shape for one in decoded(data)] == [one.shape for one in features]


def test_numbers_are_given_anew() -> None:
    sets = [FEATURE_PARAMETER_SET.make({**_elements(), "channels_minus1": k}) for k in range(300)]
    numbering = Numbering()
    assert [numbering.put_in_force(one, 0).fps_id for one in sets[:256]] == list(range(256))
    assert numbering.find(sets[0], 1) is None
    numbered = numbering.find(sets[0], 0)
    assert numbered is not None
    assert numbered.fps_id == 0
    assert numbering.put_in_force(sets[256], 0).fps_id == 1
    assert numbering.find(sets[1], 0) is None
    numbering.release(sets[99], 0)
    assert numbering.put_in_force(sets[257], 0).fps_id == 99


def _elements() -> dict[str, Any]:
    data = written(SMALL, coder="raw")
    (fps,) = refcodec.open(io.BytesIO(data)).parameters
    return {**fps}


# --- appending and joining -------------------------------------------------------------------------


def test_a_stream_that_is_added_to(tmp_path: Path) -> None:
    path = tmp_path / "features.dfc"
    expected: list[Any] = []
    for k in range(3):
        with refcodec.create(path, mode="a", coder="zlib", metadata={f"run {k}": "x"}) as writer:
            assert writer.write(feature(2, 3, 4, seed=k)) == 2 * k
            writer.write(feature(7 + k, seed=k))
        expected += [feature(2, 3, 4, seed=k), feature(7 + k, seed=k)]
    check(path, expected)
    with refcodec.open(path) as reader:
        assert reader.metadata == {"run 0": "x", "run 1": "x", "run 2": "x"}
        assert len(reader.parameters) == 4  # equal ones are shared


def test_what_cannot_be_added_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "features.dfc"
    for old, options, text in (
        (written(SMALL, coder="native"), {"coder": "hevc"}, "no profile has the coders of native"),
        (
            written(feature(1, 300, 300), coder="raw"),
            {"level": 1},
            "has level 2, above the level 1",
        ),
        (b"no stream", {}, "a DFC stream begins with"),
        (written(SMALL, coder="raw")[:-1], {"coder": "raw"}, r"features\.dfc: the unit needs"),
    ):
        path.write_bytes(old)
        with (
            pytest.raises((CallerError, StreamError), match=text),
            refcodec.create(path, mode="a", **options) as writer,
        ):
            writer.write(SMALL)
        assert path.read_bytes() == old
        assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(CallerError, match="mode 'a' takes a path"):
        refcodec.create(io.BytesIO(), mode="a")
    with pytest.raises(CallerError, match="mode is 'r'"):
        refcodec.create(path, mode="r")


def streams() -> list[bytes]:
    many = [feature(1, 1, n, seed=n) for n in range(1, 280)]
    return [
        written(*[feature(2, 6, 6, seed=k) for k in range(5)], coder="native", gop=3),
        written(feature(9), feature(2, 6, 6), coder="zlib", hashes=True, batch=False),
        written(*many, coder="zlib"),
        written(*[feature(12, seed=k) for k in range(6)], coder="native", index=False),
        written(coder="raw"),
    ]


def test_streams_are_joined_as_they_are(tmp_path: Path) -> None:
    parts = streams()
    expected = [one for part in parts for one in decoded(part)]
    target = io.BytesIO()
    assert refcodec.concat(target, parts) == len(expected)
    check(target.getvalue(), expected)
    path = tmp_path / "one.dfc"
    path.write_bytes(parts[0])
    refcodec.concat(path, [path, path], exist_ok=True)
    check(path, decoded(parts[0]) * 2)


def units_of(data: bytes) -> list[tuple[Any, FeatureParameterSet]]:
    """Parameter sets and coded features of a stream, each with the parameter set that it refers to."""
    source = io.BytesIO(data)
    walk = Walk(parse_stream_header(source.read(9)))
    found: list[tuple[Any, FeatureParameterSet]] = []
    for visit in walk.units(source):
        assert not list(walk.check(visit))
        walk.accept(visit)
        if isinstance(visit.content, FeatureParameterSet):
            found.append((visit.content, visit.content))
        elif isinstance(visit.content, CodedFeature):
            assert visit.coded is not None
            found.append((visit.content, visit.coded.fps))
    return found


def test_a_sequence_keeps_its_number_while_others_are_replaced() -> None:
    sequence = [feature(2, 6, 6, seed=k) for k in range(2)]
    head, start, end = units_of(written(*sequence, coder="native", gop=2))
    others = [feature(1, 1, n) for n in range(1, 301)]
    parts = [head, start, *units_of(written(*others, coder="zlib")), end]
    data, number, count = build_stream_header(Profile.NATIVE, 3), 0, 0
    for content, fps in parts:
        if isinstance(content, FeatureParameterSet):
            number, count = 1 + count % 255 if count else 0, count + 1
            payload = FEATURE_PARAMETER_SET.build_whole({**content, "fps_id": number})
            data += build_unit(UnitType.FEATURE_PARAMETER_SET, payload)
        else:
            own = 0 if content is end[0] else number
            payload = CODED_FEATURE.build_whole({**content, "fps_id": own}, fps=fps)
            data += build_unit(UnitType.CODED_FEATURE, payload)
    data += build_unit(UnitType.END, b"")
    expected = decoded(data)
    check(data, expected)
    before = [feature(1, 2, n) for n in range(1, 99)]
    target = io.BytesIO()
    refcodec.concat(target, [written(*before, coder="raw"), data, data])
    check(target.getvalue(), before + 2 * expected)


def test_metadata_is_merged_or_refused() -> None:
    parts = [
        written(SMALL, coder="raw", metadata={"model": "a", "layer": "x"}),
        written(SMALL, coder="raw", metadata={"model": "a", "note": "y"}),
        written(SMALL, coder="raw", metadata={"model": "b"}),
    ]
    target = io.BytesIO()
    refcodec.concat(target, parts[:2], metadata={"joined": "yes"})
    reader = refcodec.open(io.BytesIO(target.getvalue()))
    assert reader.metadata == {"model": "a", "layer": "x", "note": "y", "joined": "yes"}
    with pytest.raises(CallerError, match=r"'model' is 'a' in stream 0 and 'b' in stream 2"):
        refcodec.concat(io.BytesIO(), parts)
    target = io.BytesIO()
    refcodec.concat(target, parts, metadata={"model": "c"})
    assert refcodec.open(io.BytesIO(target.getvalue())).metadata["model"] == "c"


def test_streams_that_do_not_fit_together() -> None:
    native, hevc = written(SMALL, coder="native"), written(SMALL, coder="hevc", preset="ultrafast")
    with pytest.raises(CallerError, match="no profile has the coders of native and of stream 1"):
        refcodec.concat(io.BytesIO(), [native, hevc])
    with pytest.raises(CallerError, match="concat takes a list of streams"):
        refcodec.concat(io.BytesIO(), native)
    damaged = bytearray(native)
    damaged[-30] ^= 1
    with pytest.raises(StreamError, match="stream 1: "):
        refcodec.concat(io.BytesIO(), [native, bytes(damaged)])
