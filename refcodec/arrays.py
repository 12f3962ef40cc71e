"""Arrays of features: which features of a stream were one array, and what its name was (Annex E).

The metadata entry ``refcodec.arrays`` is a list in JSON, with an object for each array, in the order of the
features:

    [{"name": "p2", "batch": 8}, {"name": "p3"}]

``batch`` is the length of a leading axis along which features were stacked; an array without it is one
feature. Either all arrays have a name, or there is only one. A stream of features that were written one by
one has no such entry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.errors import CallerError

__all__ = [
    "ARRAYS_KEY",
    "ArrayEntry",
    "described",
    "entries_in",
    "gather",
    "is_batch",
    "rows_of",
    "with_entries",
]

ARRAYS_KEY = "refcodec.arrays"
"""Key of the metadata entry."""

Array = npt.NDArray[Any]

_LARGEST_BATCH = 2**48


@dataclass(frozen=True, slots=True)
class ArrayEntry:
    """One array: its name, and the length of its batch axis; None where it has none."""

    name: str | None = None
    batch: int | None = None

    @property
    def count(self) -> int:
        """Number of features."""
        return 1 if self.batch is None else self.batch


# --- an array to its features ----------------------------------------------------------------------


def is_batch(rank: int, *, tokens: bool = False) -> bool:
    """True for the rank of a batch: N x D, N x C x H x W, or of tokens N x heads x T x D."""
    return rank == 4 or (rank == 2 and not tokens)


def described(
    shape: tuple[int, ...], name: str | None = None, *, tokens: bool = False
) -> ArrayEntry:
    """The entry of an array of that shape, a feature or a batch."""
    return ArrayEntry(name, shape[0] if is_batch(len(shape), tokens=tokens) else None)


def rows_of(array: Array, *, tokens: bool = False) -> Iterable[Array]:
    """The features of an array: itself, or those of a batch."""
    return array if is_batch(array.ndim, tokens=tokens) else [array]


def with_entries(metadata: Mapping[str, str], entries: Sequence[ArrayEntry]) -> dict[str, str]:
    """Metadata of a stream with the description of its arrays; a feature without a name needs none.

    Raises CallerError for names that no stream keeps, and for metadata that describe arrays themselves.
    """
    if list(entries) in ([], [ArrayEntry()]):
        return dict(metadata)
    if ARRAYS_KEY in metadata:
        raise CallerError(f"metadata has the key {ARRAYS_KEY}, which describes the arrays here")
    seen: set[str] = set()
    for name in (one.name for one in entries if one.name is not None):
        if not _is_name(name):
            raise CallerError(f"{name!r} is no name of an array", hint="names are text, not empty")
        if name in seen:
            raise CallerError(f"there are two arrays {name!r}")
        seen.add(name)
    objects = [
        {key: value for key in ("name", "batch") if (value := getattr(one, key)) is not None}
        for one in entries
    ]
    text = json.dumps(objects, ensure_ascii=False, separators=(",", ":"))
    return {**metadata, ARRAYS_KEY: text}


# --- features to their arrays ----------------------------------------------------------------------


def entries_in(metadata: Mapping[str, str]) -> list[ArrayEntry] | None:
    """The arrays that metadata describe; None where they describe none, or in another form."""
    try:
        objects = json.loads(metadata[ARRAYS_KEY])
    except (KeyError, ValueError, RecursionError):
        return None
    if not isinstance(objects, list) or not all(map(_is_entry, objects)):
        return None
    entries = [ArrayEntry(**one) for one in objects]
    names = {one.name for one in entries}
    sound = len(names) == len(entries) and (None not in names or len(entries) == 1)
    return entries if sound and entries else None


def _is_entry(found: Any) -> bool:
    if not isinstance(found, dict) or not found.keys() <= {"name", "batch"}:
        return False
    batch = found.get("batch", 0)
    whole = type(batch) is int and 0 <= batch <= _LARGEST_BATCH
    return whole and ("name" not in found or _is_name(found["name"]))


def _is_name(name: Any) -> bool:
    if not isinstance(name, str) or not name:
        return False
    try:
        return "\0" not in name and bool(name.encode())
    except UnicodeEncodeError:
        return False


def gather(features: Iterator[Array], metadata: Mapping[str, str]) -> Any:
    """The features of a whole stream as they were encoded: an array, a batch, or arrays by name.

    Raises CallerError where there is not one feature, and metadata do not say what several are.
    """
    entries = entries_in(metadata) or [ArrayEntry()]
    arrays = [_gathered(features, one) for one in entries]
    if any(one is None for one in arrays) or next(features, None) is not None:
        raise CallerError("the stream holds several features", hint="use refcodec.open")
    named = {one.name: array for one, array in zip(entries, arrays, strict=True)}
    return named.get(None, named)


def _gathered(features: Iterator[Array], entry: ArrayEntry) -> Array | None:
    """The next array; None where the features are too few, or do not fit together."""
    if entry.batch is None:
        return next(features, None)
    first = next(features, None) if entry.batch else np.empty(0, np.float32)
    if first is None or not entry.batch:
        return first
    own = [first]
    for one in islice(features, entry.batch - 1):
        if one.shape != first.shape or one.dtype != first.dtype:
            return None
        own.append(one)
    return np.stack(own) if len(own) == entry.batch else None
