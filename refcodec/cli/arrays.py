"""Reading of features from files of arrays, .npy, .npz and .safetensors, and from streams.

An array of rank 1 or 3 is one feature, one of rank 2 or 4 a batch of them; of tokens, one of rank 2 or 3
is a feature. Files are read feature by feature,
whatever their size, but for arrays in Fortran order; nothing is ever unpickled. The names of arrays and the
metadata of a file come with its features.
"""

from __future__ import annotations

import json
import math
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO, NamedTuple

import ml_dtypes  # noqa: F401 - teaches numpy the names of its types
import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy
from safetensors import SafetensorError, safe_open

import refcodec
from refcodec.arrays import ARRAYS_KEY, ArrayEntry, described, entries_in, rows_of, with_entries
from refcodec.cli.terminal import PIPE, open_input
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError, DFCError
from refcodec.tables import HIGHEST_LEVEL, levels

__all__ = [
    "OTHER_TYPE_HINT",
    "Array",
    "Features",
    "count_arrays",
    "default_name",
    "known_suffix",
    "open_features",
]

Array = npt.NDArray[Any]

OTHER_TYPE_HINT = "numpy's files have no bfloat16 and no float8; use .safetensors"

_SUFFIXES = (".npy", ".npz", ".safetensors")


@dataclass(frozen=True, slots=True)
class Features:
    """The features of a file.

    count    : how many there are.
    features : each in turn.
    entries  : the arrays that they make up; none where nothing is known of them.
    metadata : texts by key.
    """

    count: int
    features: Iterator[Array]
    entries: Sequence[ArrayEntry] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    def kept_by(self, config: EncoderConfig) -> EncoderConfig:
        """The configuration whose metadata also hold those of the file, and the names of its arrays.

        Raises CallerError for texts or names that no stream keeps.
        """
        texts = {**self.metadata, **config.metadata}
        return config.but(metadata=with_entries(texts, self.entries))

    def origin(self, number: int) -> str:
        """The array that a feature comes from, for messages; '' if it has no name."""
        for entry in self.entries:
            if number < entry.count:
                return "" if entry.name is None else f"array {entry.name!r}"
            number -= entry.count
        return ""


# --- reading ---------------------------------------------------------------------------------------


@contextmanager
def open_features(
    source: str, key: str | None = None, *, tokens: bool = False
) -> Iterator[Features]:
    """Open the features of a file; those of several arrays come in the order of their names.

    source : path, whose suffix gives the format; ``-`` is .npy on standard input.
    key    : name of the array to take from an .npz or .safetensors file.
    tokens : true for arrays of T x D, and of heads x T x D.

    Raises CallerError for a file that is not what its suffix says, is damaged, or holds no features;
    StreamError for a stream that is at fault.
    """
    suffix = ".npy" if source == PIPE else known_suffix(source, (*_SUFFIXES, ".dfc"))
    with open_input(source) as file:
        if source != PIPE:
            _check_content(file, source, suffix)
        if key is not None and suffix in (".npy", ".dfc"):
            raise CallerError(f"{source} holds arrays without names", hint="leave out --key")
        with _damage(source):
            match suffix:
                case ".npy":
                    found = _read_npy(file, tokens)
                case ".npz":
                    found = _read_npz(file, key, tokens)
                case ".dfc":
                    found = _read_stream(file)
                case _:
                    found = _read_safetensors(file, source, key, tokens)
        yield replace(found, features=_blaming(source, found.features))


def known_suffix(path: str, known: tuple[str, ...] = _SUFFIXES) -> str:
    """The suffix of a path, if it is a known one. Raises CallerError for any other."""
    suffix = Path(path).suffix.lower()
    if suffix not in known:
        raise CallerError(
            f"{path} has the suffix {suffix!r}", hint=f"files of features are {', '.join(known)}"
        )
    return suffix


def _check_content(file: BinaryIO, source: str, suffix: str) -> None:
    head = file.read(9)
    file.seek(0)
    found = next((kind for kind, magic in _MAGIC.items() if re.match(magic, head, re.DOTALL)), None)
    if found != suffix:
        truth = f"it is {found}" if found else "and nothing else that refcodec knows"
        raise CallerError(f"{source} is not what its suffix says: no {suffix}, {truth}")


_MAGIC = {
    ".npy": rb"\x93NUMPY",
    ".npz": rb"PK\x03\x04|PK\x05\x06",
    ".safetensors": rb".{8}\{",
    ".dfc": rb"\x89DFC",
}


_DAMAGE = (
    EOFError,
    OSError,
    RuntimeError,
    SafetensorError,
    TokenError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""Errors of numpy, zipfile and safetensors for a file that is damaged, encrypted or too new."""


@contextmanager
def _damage(source: str) -> Iterator[None]:
    try:
        yield
    except DFCError:
        raise
    except _DAMAGE as error:
        raise CallerError(f"{source} cannot be read: {error}") from None


def _blaming(source: str, features: Iterator[Array]) -> Iterator[Array]:
    with _damage(source):
        yield from features


def _entry(shape: tuple[int, ...], tokens: bool, name: str | None = None) -> ArrayEntry:
    """What an array of a file is. Raises CallerError for ranks and sizes that no feature has."""
    if not 1 <= len(shape) <= 4:
        raise CallerError(
            f"an array of shape {shape} is no feature",
            hint="features are C x H x W or D, batches N x C x H x W or N x D; tokens are T x D or "
            "heads x T x D",
        )
    if min(shape) < 0:
        raise CallerError(f"the header announces the shape {shape}")
    entry = described(shape, name, tokens=tokens)
    own = shape if entry.batch is None else shape[1:]
    if math.prod(own) > levels()[HIGHEST_LEVEL].max_elements:
        raise CallerError(f"a feature of shape {own} exceeds level {HIGHEST_LEVEL}")
    return entry


def _features(entries: Sequence[ArrayEntry], features: Iterator[Array]) -> Features:
    """The features of arrays, which need no description where they have the names that `decode` gives."""
    plain = all(entry == ArrayEntry(default_name(number)) for number, entry in enumerate(entries))
    return Features(sum(one.count for one in entries), features, () if plain else entries)


def default_name(number: int) -> str:
    """Name of an array of which nothing but its number is known."""
    return f"feature{number:05}"


class _Header(NamedTuple):
    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]


def _npy_header(file: BinaryIO, tokens: bool) -> _Header:
    """Read and check the header of an .npy, before anything is allocated for its array."""
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(file)
    if version not in read:
        raise CallerError(f"version {version} of .npy is not read here")
    header = _Header(*read[version](file))
    if header.dtype.kind not in "fiub":
        hint = OTHER_TYPE_HINT if header.dtype in _VOIDS else ""
        raise CallerError(f"an array of type {header.dtype} is no feature", hint=hint)
    _entry(header.shape, tokens)
    return header


_VOIDS = (np.dtype("V1"), np.dtype("V2"))
"""Types that numpy reads from an .npy of a type that it lacks, such as bfloat16."""


def _npy_features(file: BinaryIO, header: _Header, tokens: bool) -> Iterator[Array]:
    shape, fortran_order, dtype = header
    if fortran_order:  # its features are not contiguous
        whole = _take(file, (math.prod(shape),), dtype).reshape(shape, order="F")
        yield from rows_of(whole, tokens=tokens)
        return
    yield from _take_rows(file, shape, dtype, tokens)


def _take_rows(
    file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any], tokens: bool
) -> Iterator[Array]:
    """The features of an array in C order, one after the other."""
    entry = _entry(shape, tokens)
    for _ in range(entry.count):
        yield _take(file, shape if entry.batch is None else shape[1:], dtype)


def _take(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Read the next array of a file; memory grows with the bytes read, not with the announced shape."""
    size = math.prod(shape) * dtype.itemsize
    data = bytearray()
    while len(data) < size and (more := file.read(min(size - len(data), 1 << 24))):
        data += more
    if len(data) < size:
        raise CallerError("the file ends before its array does", hint="it was cut")
    values = np.frombuffer(data, dtype).reshape(shape)
    return values.astype(dtype.newbyteorder("="), copy=False)


def _read_npy(file: BinaryIO, tokens: bool) -> Features:
    header = _npy_header(file, tokens)
    return _features([_entry(header.shape, tokens)], _npy_features(file, header, tokens))


def _read_npz(file: BinaryIO, key: str | None, tokens: bool) -> Features:
    archive = zipfile.ZipFile(file)
    names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]

    def one(name: str) -> Iterator[Array]:
        with archive.open(f"{name}.npy") as member, _array(name):
            found = _read_npy(member, tokens)  # type: ignore[arg-type]  # only read() is used
            yield from found.features

    chosen = _choose(names, key)
    entries = []
    for name in chosen:
        with archive.open(f"{name}.npy") as member, _array(name):
            shape = _npy_header(member, tokens).shape  # type: ignore[arg-type]
            entries.append(_entry(shape, tokens, name))
    return _features(entries, chain.from_iterable(map(one, chosen)))


@contextmanager
def _array(name: str) -> Iterator[None]:
    """Name the array in errors about it."""
    try:
        yield
    except CallerError as error:
        raise CallerError(f"array {name!r}: {error.what}", hint=error.hint) from None


_SAFETENSORS_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I8": "i1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "U8": "u1",
    "U16": "<u2",
    "U32": "<u4",
    "U64": "<u8",
    "BOOL": "?",
}
"""Types of .safetensors, as numpy and ml_dtypes name them."""


def _read_safetensors(file: BinaryIO, path: str, key: str | None, tokens: bool) -> Features:
    """The tensors of a file, of any type that numpy or ml_dtypes has; torch is not needed."""
    with safe_open(path, framework="np") as checked:  # the form of the header, and its offsets
        chosen = _choose(list(checked.keys()), key)
    size = int.from_bytes(file.read(8), "little")
    header: dict[str, Any] = json.loads(file.read(size))
    for name in chosen:
        if header[name]["dtype"] not in _SAFETENSORS_TYPES:
            raise CallerError(
                f"the array {name!r} has type {header[name]['dtype']}, which is not read here"
            )

    def rows(name: str) -> Iterator[Array]:
        tensor = header[name]
        file.seek(8 + size + tensor["data_offsets"][0])
        dtype = np.dtype(_SAFETENSORS_TYPES[tensor["dtype"]])
        with _array(name):
            yield from _take_rows(file, tuple(tensor["shape"]), dtype, tokens)

    entries = []
    for name in chosen:
        with _array(name):
            entries.append(_entry(tuple(header[name]["shape"]), tokens, name))
    found = _features(entries, chain.from_iterable(map(rows, chosen)))
    return replace(found, metadata=header.get("__metadata__") or {})


def _read_stream(file: BinaryIO) -> Features:
    reader = refcodec.open(file)
    metadata = reader.metadata
    entries = entries_in(metadata) or ()
    metadata.pop(ARRAYS_KEY, None)
    count = count_arrays(reader)
    if sum(one.count for one in entries) != count:
        entries = ()
    return Features(count, reader.arrays(), entries, metadata)


def count_arrays(reader: refcodec.Reader) -> int:
    """Number of `refcodec.Reader.arrays`: of features that continue no other. Raises StreamError."""
    return len(reader) - sum(len(one.numbers) - 1 for one in reader.sequences)


def _choose(names: list[str], key: str | None) -> list[str]:
    """The wanted names, in order."""
    if key is None:
        return sorted(names, key=_natural)
    if key not in names:
        raise CallerError(f"there is no array {key!r}", hint=f"there are: {', '.join(names)}")
    return [key]


def _natural(name: str) -> list[str | int]:
    """A sorting key that puts ``layer9`` before ``layer10``."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
