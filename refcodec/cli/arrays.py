"""Features out of files of arrays, .npy, .npz and .safetensors, and out of streams.

An array of rank 1 or 3 is one feature, one of rank 2 or 4 a batch of them. An .npy, alone or in an .npz,
is read feature by feature, whatever its size; nothing is ever unpickled.
"""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO, NamedTuple

import ml_dtypes  # noqa: F401 - teaches numpy the name bfloat16
import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy
from safetensors import SafetensorError, safe_open

import refcodec
from refcodec.cli.terminal import PIPE, open_input
from refcodec.errors import CallerError, DFCError
from refcodec.tables import HIGHEST_LEVEL, levels

__all__ = ["BFLOAT16_HINT", "Array", "Features", "known_suffix", "open_features"]

Array = npt.NDArray[Any]

BFLOAT16_HINT = "numpy's files have no bfloat16; use .safetensors"

_SUFFIXES = (".npy", ".npz", ".safetensors")


@dataclass(frozen=True, slots=True)
class Features:
    """The features of a file: how many, and each in turn.

    arrays : names of the arrays that they come from, and how many each holds; none where it has no name.
    """

    count: int
    features: Iterator[Array]
    arrays: tuple[tuple[str, int], ...] = ()

    def origin(self, number: int) -> str:
        """The array that a feature comes from, for messages; '' where it has no name."""
        for name, count in self.arrays:
            if number < count:
                return f"array {name!r}"
            number -= count
        return ""


# --- reading ---------------------------------------------------------------------------------------


@contextmanager
def open_features(source: str, key: str | None = None) -> Iterator[Features]:
    """The features of a file; of several arrays, all in the order of their names.

    source : path, by whose suffix the format is known; ``-`` is .npy on standard input.
    key    : name of the array to take from an .npz or .safetensors file.

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
                    found = _read_npy(file)
                case ".npz":
                    found = _read_npz(file, key)
                case ".dfc":
                    reader = refcodec.open(file)
                    found = Features(len(reader), iter(reader))
                case _:
                    found = _read_safetensors(source, key)
        yield replace(found, features=_blaming(source, found.features))


def known_suffix(path: str, known: tuple[str, ...] = _SUFFIXES) -> str:
    """The suffix of a file of arrays, or one of those known. Raises CallerError for any other."""
    suffix = Path(path).suffix.lower()
    if suffix not in known:
        raise CallerError(
            f"{path} has the suffix {suffix!r}", hint=f"features live in {', '.join(known)}"
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
"""What numpy, zipfile and safetensors raise for a file that is broken, encrypted or too new."""


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


def _count(shape: tuple[int, ...]) -> int:
    if not 1 <= len(shape) <= 4:
        raise CallerError(
            f"an array of shape {shape} is no feature",
            hint="features are C x H x W or D, batches N x C x H x W or N x D",
        )
    return shape[0] if len(shape) in (2, 4) else 1


class _Header(NamedTuple):
    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]


def _npy_header(file: BinaryIO) -> _Header:
    """Read and check the header of an .npy: nothing is allocated for what it announces."""
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(file)
    if version not in read:
        raise CallerError(f"version {version} of .npy is not read here")
    header = _Header(*read[version](file))
    if min(header.shape, default=0) < 0:
        raise CallerError(f"the header announces the shape {header.shape}")
    if header.dtype.kind not in "fiub":
        hint = BFLOAT16_HINT if header.dtype == np.dtype("V2") else ""
        raise CallerError(f"an array of type {header.dtype} is no feature", hint=hint)
    own = header.shape[1:] if len(header.shape) in (2, 4) else header.shape
    if math.prod(own) > levels()[HIGHEST_LEVEL].max_elements:
        raise CallerError(f"a feature of shape {own} exceeds level {HIGHEST_LEVEL}")
    return header


def _npy_features(file: BinaryIO, header: _Header) -> Iterator[Array]:
    shape, fortran_order, dtype = header
    if fortran_order:  # its rows lie scattered
        whole = _take(file, (math.prod(shape),), dtype).reshape(shape, order="F")
        yield from _rows(whole)
        return
    batched = len(shape) in (2, 4)
    for _ in range(_count(shape)):
        yield _take(file, shape[1:] if batched else shape, dtype)


def _rows(array: Array) -> Iterable[Array]:
    return array if array.ndim in (2, 4) else [array]


def _take(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """The next array of a file: memory grows with the bytes that are there, not those announced."""
    size = math.prod(shape) * dtype.itemsize
    data = bytearray()
    while len(data) < size and (more := file.read(min(size - len(data), 1 << 24))):
        data += more
    if len(data) < size:
        raise CallerError("the file ends before its array does", hint="it was cut")
    values = np.frombuffer(data, dtype).reshape(shape)
    return values.astype(dtype.newbyteorder("="), copy=False)


def _read_npy(file: BinaryIO) -> Features:
    header = _npy_header(file)
    return Features(_count(header.shape), _npy_features(file, header))


def _read_npz(file: BinaryIO, key: str | None) -> Features:
    archive = zipfile.ZipFile(file)
    names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]

    def one(name: str) -> Iterator[Array]:
        with archive.open(f"{name}.npy") as member, _array(name):
            found = _read_npy(member)  # type: ignore[arg-type]  # it reads, and that is all
            yield from found.features

    chosen = _choose(names, key)
    counts = []
    for name in chosen:
        with archive.open(f"{name}.npy") as member, _array(name):
            counts.append(_count(_npy_header(member).shape))  # type: ignore[arg-type]
    arrays = tuple(zip(chosen, counts, strict=True))
    return Features(sum(counts), chain.from_iterable(map(one, chosen)), arrays)


@contextmanager
def _array(name: str) -> Iterator[None]:
    """Name the array in errors about it."""
    try:
        yield
    except CallerError as error:
        raise CallerError(f"array {name!r}: {error.what}", hint=error.hint) from None


def _read_safetensors(path: str, key: str | None) -> Features:
    file: Any = safe_open(path, framework="np")
    chosen = _choose(list(file.keys()), key)
    counts = []
    for name in chosen:
        with _array(name):
            counts.append(_count(tuple(file.get_slice(name).get_shape())))
    rows = chain.from_iterable(_rows(file.get_tensor(name)) for name in chosen)
    return Features(sum(counts), rows, tuple(zip(chosen, counts, strict=True)))


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
