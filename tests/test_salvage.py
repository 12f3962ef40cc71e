"""Salvage: every whole feature of a damaged stream, and an exact account of what is missing."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streams import stream_of
from variation import PATIENCE

import refcodec
from refcodec.errors import CallerError, StreamError
from refcodec.inspector import InspectedUnit

COUNT = 12
FEATURES = np.random.default_rng(0).normal(size=(COUNT, 2, 8, 8)).astype(np.float32)
KINDS: dict[str, dict[str, Any]] = {
    "indexed": {"coder": "raw", "batch": False},
    "plain": {"coder": "raw", "batch": False, "index": False},
    "hashed": {"coder": "zlib", "batch": False, "hashes": True},
    "sequence": {"coder": "native", "gop": 4, "hashes": True, "hash_size": 8},
}


def same(a: Any, b: Any) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def coded(data: bytes | bytearray) -> list[InspectedUnit]:
    return [unit for unit in refcodec.inspect(data) if unit.name.startswith("coded_feature")]


def rescued(data: bytes) -> tuple[list[Any], list[str], refcodec.Reader]:
    """The features that can be salvaged, and what is said of the others."""
    reader = refcodec.open(data, salvage=True)
    found = list(reader)
    assert len(reader) == len(found)
    assert all(same(reader[k], one) for k, one in enumerate(found))
    for gap in reader.missing:
        assert 0 <= gap.start <= gap.end <= len(data)
    return found, [str(gap) for gap in reader.missing], reader


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_stream_misses_nothing(kind: str) -> None:
    data = stream_of(FEATURES, **KINDS[kind])
    found, missing, _ = rescued(data)
    assert missing == []
    assert all(map(same, found, refcodec.open(data)))
    assert refcodec.open(data).missing == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_whole_feature_before_a_cut(kind: str) -> None:
    data = stream_of(FEATURES, **KINDS[kind])
    whole = list(refcodec.open(data))
    ends = [unit.offset // 8 + unit.size for unit in coded(data)]
    for stop in [*range(9, len(data) - 1, 97), *ends, ends[3] - 1]:
        found, missing, reader = rescued(data[:stop])
        assert len(found) == sum(end <= stop for end in ends)
        assert all(map(same, found, whole))
        assert len(missing) == 1
        assert reader.missing[-1].end == stop


@pytest.mark.parametrize("place", ["type", "size", "payload", "crc"])
@pytest.mark.parametrize("kind", KINDS)
def test_features_on_both_sides_of_a_damaged_unit(kind: str, place: str) -> None:
    data = bytearray(stream_of(FEATURES, **KINDS[kind]))
    whole = list(refcodec.open(bytes(data)))
    unit = coded(data)[5]
    start, end = unit.offset // 8, unit.offset // 8 + unit.size
    data[{"type": start, "size": start + 1, "payload": start + 20, "crc": end - 1}[place]] ^= 0x55
    found, missing, reader = rescued(bytes(data))
    sequence = kind == "sequence"  # 4 features from 4 on, of which 5 is lost
    kept = [0, 1, 2, 3, 4, 8, 9, 10, 11] if sequence else [k for k in range(COUNT) if k != 5]
    assert len(found) == len(kept)
    assert all(same(one, whole[k]) for one, k in zip(found, kept, strict=True))
    first = reader.missing[0]
    assert (first.start, first.features) == (start, None if kind == "plain" else 1)
    if not sequence:
        assert all(gap.start <= end + 80 for gap in reader.missing)
    else:
        assert sum(gap.features or 0 for gap in reader.missing) == 3
        assert any("it is predicted from a feature that is lost" in one for one in missing)


def test_bytes_that_are_gone_and_bytes_too_many() -> None:
    data = stream_of(FEATURES, **KINDS["plain"])
    unit = coded(data)[5]
    start = unit.offset // 8
    for changed in (data[: start + 9] + data[start + 40 :], data[:start] + b"junk" + data[start:]):
        found, missing, _ = rescued(changed)
        assert len(found) in (COUNT - 1, COUNT)
        assert len(missing) == 1
        assert f"bytes {start} to " in missing[0]


def test_a_lost_parameter_set_loses_its_features() -> None:
    data = bytearray(
        stream_of([*FEATURES[:3], *FEATURES[:2].reshape(2, -1)], coder="raw", batch=False)
    )
    sets = [unit for unit in refcodec.inspect(data) if unit.name == "feature_parameter_set"]
    data[sets[0].offset // 8 + 4] ^= 1
    found, missing, reader = rescued(bytes(data))
    assert len(found) == 2
    assert sum(gap.features or 0 for gap in reader.missing) == 3
    assert "its feature parameter set is missing; 3 features missing" in missing[1]


def test_a_payload_that_does_not_decode_is_left_out(take_apart: Any) -> None:
    parts = take_apart(stream_of(FEATURES[:3], coder="zlib", batch=False))
    kind, payload = parts.units[2]
    parts.units[2] = kind, payload[:-8] + bytes(8)
    found, missing, _ = rescued(parts.join())
    assert len(found) == 2
    assert "decompress" in missing[0]


def test_what_only_the_end_unit_knows_is_told() -> None:
    data = bytearray(stream_of(FEATURES, coder="raw", batch=False))
    index = next(unit for unit in refcodec.inspect(data) if unit.name == "index")
    data[index.offset // 8 + 4] ^= 1
    data[coded(data)[3].offset // 8 + 20] ^= 1
    _, _, reader = rescued(bytes(data))
    assert [gap.features for gap in reader.missing] == [1, 0]


def test_streams_that_follow_one_another() -> None:
    data = stream_of(FEATURES, **KINDS["plain"])
    other = stream_of(FEATURES[:2, :, :4], **KINDS["hashed"])
    found, missing, reader = rescued(data[:-200] + other)
    assert len(found) == COUNT - 1 + 2
    assert len(missing) == 1
    assert reader.missing[0].end == len(data) - 200
    assert all(map(same, found[-2:], FEATURES[:2, :, :4]))


def test_a_pipe_can_be_salvaged() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    data = stream_of(FEATURES, **KINDS["plain"])
    reader = refcodec.open(Pipe(data[:-100]), salvage=True)
    assert len(list(reader)) == COUNT - 1


def test_without_a_stream_header_there_is_no_stream() -> None:
    for data in (b"", b"\x89DFC", b"plain text, and long enough"):
        with pytest.raises(StreamError):
            refcodec.open(data, salvage=True)


def test_any_damage_leaves_features_that_are_right() -> None:
    chance = random.Random(1)
    for kind in KINDS:
        data = stream_of(FEATURES, **KINDS[kind])
        whole = [one.tobytes() for one in refcodec.open(data)]
        for _ in range(15):
            changed = bytearray(data)
            for _ in range(chance.randrange(1, 4)):
                place = chance.randrange(9, len(data) - 8)
                changed[place : place + chance.randrange(4)] = chance.randbytes(chance.randrange(4))
            found, missing, _ = rescued(bytes(changed))
            assert bytes(changed) == data or missing
            assert {one.tobytes() for one in found} <= set(whole)


def test_a_search_through_hostile_bytes_ends() -> None:
    head = stream_of([], coder="raw")[:9]
    hostile = b"\x02\xff\xff\x03" * 100_000  # each of them the header of a unit of 64 KiB
    found, missing, _ = rescued(head + hostile)
    assert found == []
    assert len(missing) == 1


def test_a_killed_writer_leaves_what_can_be_salvaged(tmp_path: Path) -> None:
    code = (
        "import os, sys, refcodec, numpy as np\n"
        "w = refcodec.create(sys.argv[1], coder='raw', batch=False)\n"
        "for k in range(3000): w.write(np.full((2, 8, 8), k, np.float32))\n"
        "print('written', flush=True)\n"
        "import time; time.sleep(3600)\n"
    )
    target = tmp_path / "features.dfc"
    with subprocess.Popen([sys.executable, "-c", code, target], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)
    (hidden,) = tmp_path.iterdir()
    with pytest.raises(CallerError, match="a writer that did not end has left") as caught:
        refcodec.open(target)
    assert str(hidden) in caught.value.hint
    with refcodec.open(hidden, salvage=True) as reader:
        assert len(reader) > 1000
        assert all(one.flat[0] == k for k, one in enumerate(reader))
        assert len(reader.missing) == 1
