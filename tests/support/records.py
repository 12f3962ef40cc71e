"""Writing of TFRecord files and tf.train.Example messages, for tests of their reading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from refcodec.learn.tfrecord import crc32c

Values = Sequence[float] | Sequence[int] | Sequence[bytes]


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def example(features: Mapping[str, Values], *, packed: bool = True) -> bytes:
    """A message: bytes, floats or integers by name."""
    entries = [
        field(1, field(1, name.encode()) + field(2, _feature(values, packed)))
        for name, values in features.items()
    ]
    return field(1, b"".join(entries))


def _feature(values: Any, packed: bool) -> bytes:
    if values and isinstance(values[0], bytes):
        return field(1, b"".join(field(1, one) for one in values))
    if values and isinstance(values[0], float):
        parts = [np.float32(one).tobytes() for one in values]
        loose = b"".join(varint(1 << 3 | 5) + one for one in parts)
        return field(2, field(1, b"".join(parts)) if packed else loose)
    parts = [varint(one) for one in values]
    loose = b"".join(varint(1 << 3) + one for one in parts)
    return field(3, field(1, b"".join(parts)) if packed else loose)


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


def record(data: bytes) -> bytes:
    length = len(data).to_bytes(8, "little")
    return length + masked(length) + data + masked(data)


def write_records(path: Path, messages: Iterable[bytes]) -> None:
    path.write_bytes(b"".join(map(record, messages)))
