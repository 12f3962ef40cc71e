"""Writing of features to files of arrays: .npy, .npz and .safetensors, or .npy on a pipe."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy
from safetensors.numpy import save

from refcodec.arrays import ARRAYS_KEY, ArrayEntry, entries_in
from refcodec.cli.arrays import OTHER_TYPE_HINT, Array, default_name, known_suffix
from refcodec.cli.terminal import PIPE, print_warning, standard_output
from refcodec.errors import CallerError
from refcodec.files import atomic_file

__all__ = ["write_features"]


@dataclass(frozen=True, slots=True)
class _Output:
    """What is to be written.

    features : one after the other.
    entries  : the arrays that they make up; none where each is one.
    metadata : texts by key, without the description of the arrays.
    """

    features: Iterator[Array]
    entries: list[ArrayEntry]
    metadata: dict[str, str]

    def arrays(self) -> Iterator[tuple[str, ArrayEntry, Iterator[Array]]]:
        """Name, entry and features of each array. Raises CallerError where there are more features."""
        for number, entry in enumerate(self.entries):
            own = islice(self.features, entry.count)
            yield entry.name or default_name(number), entry, own
        for number, one in enumerate(self.features):
            if self.entries:
                raise _misdescribed()
            yield default_name(number), ArrayEntry(), iter([one])


def write_features(
    target: str,
    features: Iterable[Array],
    metadata: Mapping[str, str] | None = None,
    total: int | None = None,
) -> int:
    """Write features to a file of arrays, whole or not at all; returns their number.

    target   : ``.npy`` takes features of one shape, several stacked along a leading axis; ``.npz`` and
               ``.safetensors`` an array each, ``feature00000`` and on; ``-`` is .npy on standard output.
    metadata : of the stream. Arrays that they describe get back their names and batches.
    total    : number of features, as far as it is known.

    Raises CallerError for another suffix, or features that the format cannot hold.
    """
    texts = dict(metadata or {})
    entries = entries_in(texts) or []
    if total is not None and sum(one.count for one in entries) != total:
        entries = []
    texts.pop(ARRAYS_KEY, None)
    suffix = ".npy" if target == PIPE else known_suffix(target)
    counted = _Counted(features)
    output = _Output(iter(counted), entries, texts)
    if target == PIPE:
        pipe = standard_output()
        with tempfile.TemporaryFile() as file:  # a pipe cannot take back a header, nor half a file
            _write_npy(file, output)
            file.seek(0)
            shutil.copyfileobj(file, pipe)
    else:
        with atomic_file(target) as file:
            _WRITERS[suffix](file, output)
    _warn_of_loss(target, suffix, entries, texts)
    return counted.count


class _Counted:
    """Features, and how many of them were taken."""

    def __init__(self, features: Iterable[Array]) -> None:
        self._features = features
        self.count = 0

    def __iter__(self) -> Iterator[Array]:
        for one in self._features:
            self.count += 1
            yield one


def _warn_of_loss(
    target: str, suffix: str, entries: list[ArrayEntry], texts: dict[str, str]
) -> None:
    """Say what the stream holds and the file cannot."""
    lost = []
    if suffix == ".npy" and any(one.name is not None for one in entries):
        lost.append("names")
    if suffix != ".safetensors" and texts:
        lost.append(f"metadata ({', '.join(texts)})")
    if lost:
        name = "an .npy on a pipe" if target == PIPE else target
        print_warning(f"{name} has no room for {' and '.join(lost)}; .safetensors has")


def _misdescribed() -> CallerError:
    return CallerError(
        f"the features are not those that the metadata {ARRAYS_KEY} describe",
        hint="read them with refcodec.open",
    )


# --- .npy ------------------------------------------------------------------------------------------


def _write_npy(file: BinaryIO, output: _Output) -> None:
    if len(output.entries) == 1 and output.entries[0].batch is not None:
        for _, entry, own in output.arrays():
            _write_array(file, entry, own)
        return
    rest = output.features
    first = next(rest, np.empty(0, np.float32))
    second = next(rest, None)
    if second is None:
        npy.write_array(file, _native(first), allow_pickle=False)
        return
    _write_header(file, first, 0)
    count = _write_rows(file, first, chain([first, second], rest))
    file.seek(0)
    _write_header(file, first, count)  # numpy leaves room in it for the first axis to grow


def _write_array(file: BinaryIO, entry: ArrayEntry, own: Iterator[Array]) -> None:
    """Write one array as an .npy. Raises CallerError where its features are too few."""
    first = next(own, None)
    if first is None and entry.batch == 0:
        first = np.empty(0, np.float32)
    if first is None:
        raise _misdescribed()
    if not entry.batch:
        npy.write_array(file, _native(first), allow_pickle=False)
        return
    _write_header(file, first, entry.batch)
    if _write_rows(file, first, chain([first], own)) != entry.batch:
        raise _misdescribed()


def _write_header(file: BinaryIO, first: Array, count: int) -> None:
    descr = npy.dtype_to_descr(_native(first).dtype)
    header = {"descr": descr, "fortran_order": False, "shape": (count, *first.shape)}
    npy.write_array_header_1_0(file, header)


def _write_rows(file: BinaryIO, first: Array, features: Iterable[Array]) -> int:
    """Write the values of features, which must be like the first; returns their number."""
    count = 0
    for feature in features:
        if feature.shape != first.shape or feature.dtype != first.dtype:
            raise CallerError(
                f"feature {count} is {feature.dtype} of shape {feature.shape}, "
                f"feature 0 {first.dtype} of shape {first.shape}",
                hint="one .npy cannot hold both; use .npz or .safetensors",
            )
        file.write(_native(feature).tobytes())
        count += 1
    return count


# --- .npz and .safetensors -------------------------------------------------------------------------


def _write_npz(file: BinaryIO, output: _Output) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, entry, own in output.arrays():
            if re.search(r"(^|[/\\])\.\.([/\\]|$)|^[/\\]|^\w:", name):  # it would leave the folder
                raise CallerError(
                    f"an .npz has no array {name!r}", hint="use .safetensors, whose names are free"
                )
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                _write_array(member, entry, own)  # type: ignore[arg-type]  # it writes, that is all


def _write_safetensors(file: BinaryIO, output: _Output) -> None:
    named = {name: _stacked(entry, own) for name, entry, own in output.arrays()}
    file.write(save(named, output.metadata or None))


def _stacked(entry: ArrayEntry, own: Iterator[Array]) -> Array:
    """One array in memory, in C order."""
    features = list(own)
    alike = len({(one.shape, one.dtype) for one in features}) <= 1
    if len(features) != entry.count or not alike:
        raise _misdescribed()
    if not features:
        return np.empty(0, np.float32)
    return np.ascontiguousarray(features[0] if entry.batch is None else np.stack(features))


def _native(feature: Array) -> Array:
    """The feature itself, unless numpy's own files cannot hold its type."""
    if feature.dtype.isbuiltin != 1:
        raise CallerError(f"the features are {feature.dtype}", hint=OTHER_TYPE_HINT)
    return feature


_WRITERS: dict[str, Callable[[BinaryIO, _Output], None]] = {
    ".npy": _write_npy,
    ".npz": _write_npz,
    ".safetensors": _write_safetensors,
}
