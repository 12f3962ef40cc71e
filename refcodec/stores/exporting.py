"""Stores as files of safetensors or Parquet, decoded part by part: no more than a chunk is in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from refcodec.errors import CallerError, StreamError
from refcodec.files import atomic_file
from refcodec.stores.manifest import Entry, Manifest
from refcodec.stores.parquet import metadata_of, parquet_file, write_parquet
from refcodec.stores.place import Location, Place
from refcodec.stores.work import Progress, fault_of, manifest_of, outcomes, raise_first

__all__ = ["export"]

_NAME = "features"
"""The name of the array in a file."""

_CONTENT = "refcodec.chunks"
"""The key of the metadata that says which chunks a file holds: a SHA-256 of theirs."""

_TYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
}
"""Types of numbers, as safetensors names them."""


class _Part(NamedTuple):
    """A file to write, and the chunks that it holds."""

    path: Path
    entries: list[Entry]


def export(
    store: Location,
    target: Path,
    client: Any,
    *,
    features: int | None = None,
    options: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Export a store to .safetensors or .parquet; returns the files.

    Each file appears whole or not at all. One that is there already, and holds the same chunks, stays: an
    export that was interrupted goes on. Chunks are compared with the manifest before they are decoded.

    target   : of which files have the name, or ``name-00001-of-00012.parquet`` where there are several.
    features : of a file, rounded up to whole chunks; None for one file.
    options  : of the file system of the store, of a URL alone.
    progress : called with the number of files that are done.

    Raises CallerError where the store is not whole, or another file is in the way; the error of the first
    file that failed, once all others are done.
    """
    if target.suffix.lower() not in (".safetensors", ".parquet"):
        raise CallerError(f"{target} is neither .safetensors nor .parquet")
    manifest = manifest_of(Place(store, options))
    parts = _parts(manifest, target.absolute(), features)
    write = partial(_write, manifest.place, manifest.facts)
    failed = []
    for done, (part, outcome) in enumerate(outcomes(client, write, parts, 0), 1):
        if isinstance(outcome, Exception):
            failed.append((part.path.name, outcome))
        if progress is not None:
            progress(done)
    raise_first(failed, "files")
    return [part.path for part in parts]


def _parts(manifest: Manifest, target: Path, features: int | None) -> list[_Part]:
    count, chunk = manifest.facts["shape"][0], manifest.facts["chunk"]
    chunks = -(-count // chunk)
    if not chunks:
        raise CallerError(f"{manifest.place} has no features")
    missing = [number for number in range(chunks) if number not in manifest.entries]
    if missing:
        raise CallerError(
            f"{manifest.place} is not whole: {len(missing)} of {chunks} chunks are missing",
            hint="refcodec store build goes on where it was",
        )
    if features is not None and features < 1:
        raise CallerError(f"features is {features}; it is the number of features of a file")
    length = chunks if features is None else -(-features // chunk)
    starts = range(0, chunks, length)
    entries = [manifest.entries[number] for number in range(chunks)]
    if len(starts) == 1:
        return [_Part(target, entries)]
    return [
        _Part(
            target.with_stem(f"{target.stem}-{number:05}-of-{len(starts):05}"),
            entries[start : start + length],
        )
        for number, start in enumerate(starts, 1)
    ]


# --- on a worker -----------------------------------------------------------------------------------


def _write(place: Place, facts: dict[str, Any], part: _Part) -> None:
    """Write a file, unless it is there."""
    content = hashlib.sha256("".join(one.sha256 for one in part.entries).encode()).hexdigest()
    if part.path.exists():
        if _content(part.path) != content:
            raise CallerError(
                f"{part.path} is there, and holds something else", hint="choose another name"
            )
        return
    metadata = {_CONTENT: content}
    values = _values(place, facts["chunk"], part.entries)
    own, dtype = tuple(facts["shape"][1:]), np.dtype(facts["dtype"])
    first, last = part.entries[0].number, part.entries[-1].number
    count = min((last + 1) * facts["chunk"], facts["shape"][0]) - first * facts["chunk"]
    with atomic_file(part.path) as file:
        if part.path.suffix.lower() == ".parquet":
            write_parquet(file, _NAME, values, dtype, own, metadata)
        else:
            _write_safetensors(file, values, dtype, (count, *own), metadata)


def _values(place: Place, length: int, entries: list[Entry]) -> Iterator[npt.NDArray[Any]]:
    """The features of chunks, one chunk after another. Raises StreamError."""
    import zarr

    array = zarr.open_array(**place.array, mode="r")
    for entry in entries:
        fault = fault_of(place, False, entry)
        if fault is not None:
            raise StreamError(f"{place}: {entry.key} {fault}")
        yield array[entry.number * length : (entry.number + 1) * length]


def _write_safetensors(
    file: BinaryIO,
    values: Iterator[npt.NDArray[Any]],
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    metadata: dict[str, str],
) -> None:
    """Write a file of one tensor: the size of its header, the header, the numbers.

    The library that reads such files writes them from memory alone.
    """
    size = int(np.prod(shape)) * dtype.itemsize
    tensor = {"dtype": _TYPES[dtype.name], "shape": list(shape), "data_offsets": [0, size]}
    header = json.dumps({"__metadata__": metadata, _NAME: tensor}).encode()
    header += b" " * (-len(header) % 8)
    file.write(len(header).to_bytes(8, "little") + header)
    for part in values:
        file.write(np.ascontiguousarray(part, dtype.newbyteorder("<")).tobytes())


def _content(path: Path) -> str | None:
    """What a file says of its chunks; None where it says nothing."""
    from safetensors import SafetensorError, safe_open

    try:
        if path.suffix.lower() == ".parquet":
            with parquet_file(path, str(path)) as file:
                return metadata_of(file).get(_CONTENT)
        found: Any = safe_open(path, framework="numpy")
        with found as tensors:
            return (tensors.metadata() or {}).get(_CONTENT)
    except (CallerError, SafetensorError, OSError):
        return None
