"""Sources of features: arrays in files, of which a worker reads some rows. Nothing is unpickled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.errors import CallerError, EnvironmentFault
from refcodec.stores.place import Location, Place

__all__ = ["open_rows"]

Array = npt.NDArray[Any]


@contextmanager
def open_rows(
    source: Location, name: str = "", options: dict[str, Any] | None = None
) -> Iterator[Any]:
    """An array N x D or N x C x H x W with ``shape``, ``dtype`` and slices along its first axis.

    source  : a path, or a URL.
    name    : of the array in the file; "" for the only one.
    options : of the file system that a URL names, as fsspec takes them.

    Raises CallerError for a file that is none of these, EnvironmentFault where a library is missing, or an
    object store does not answer.
    """
    place = Place(source, options)
    opener = _OPENERS.get(place.path.suffix.lower())
    if opener is None:
        raise CallerError(f"{place} is none of {', '.join(_OPENERS)}")
    if not place.exists():
        unless = ", or it cannot be reached" if place.remote else ""
        raise CallerError(f"there is no {place}{unless}")
    with opener(place, name) as rows:
        if len(rows.shape) not in (2, 4):
            raise CallerError(
                f"{place} holds an array of shape {tuple(rows.shape)}; features are N x D or N x C x H x W"
            )
        yield rows


@contextmanager
def _npy(place: Place, name: str) -> Iterator[Any]:
    with place.open() as file:
        try:
            rows = _Npy(file) if place.remote else np.load(place.where, "r", allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise CallerError(f"{place} is no array of numpy: {error}") from None
        yield rows


@contextmanager
def _zarr(place: Place, name: str) -> Iterator[Any]:
    import zarr

    try:
        found = zarr.open(**place.array, mode="r", path=name)
    except Exception as error:
        raise CallerError(f"{place} is no store of zarr: {error}") from None
    if not isinstance(found, zarr.Array):
        raise CallerError(
            f"{place} is a group: name one of {', '.join(sorted(found.array_keys()))}"
        )
    yield found


@contextmanager
def _hdf5(place: Place, name: str) -> Iterator[Any]:
    try:
        import h5py
    except ImportError:
        raise EnvironmentFault(
            "h5py is not installed", hint="pip install 'refcodec[hdf5]'"
        ) from None
    with place.open() as source:
        try:
            file = h5py.File(source, "r")
        except OSError as error:
            raise CallerError(f"{place} is no HDF5: {error}") from None
        with file:
            keys = [key for key in file if isinstance(file[key], h5py.Dataset)]
            yield file[_chosen(keys, name, place)]


@contextmanager
def _safetensors(place: Place, name: str) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    if place.remote:
        raise CallerError(
            f"{place}: .safetensors are read from paths, not from URLs",
            hint="copy the file, or write .npy, .zarr, .h5 or .parquet",
        )
    try:
        file: Any = safe_open(place.where, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise CallerError(f"{place} is no .safetensors: {error}") from None
    with file:
        keys = list(file.keys())
        chosen = _chosen(keys, name, place)
        yield _Slices(file.get_slice(chosen))


@contextmanager
def _parquet(place: Place, name: str) -> Iterator[Any]:
    from refcodec.stores.parquet import Column, features_of, parquet_file

    with place.open() as source, parquet_file(source, str(place)) as file:
        columns = features_of(file)
        yield Column(str(place), file, _chosen(columns, name, place))


class _Npy:
    """An array of numpy in a file that cannot be mapped: slices read their rows alone.

    Raises ValueError for a file that is none, is cut off, holds objects, or is in Fortran's order.
    """

    def __init__(self, file: Any) -> None:
        form = np.lib.format
        first = form.read_magic(file) == (1, 0)
        read = form.read_array_header_1_0 if first else form.read_array_header_2_0
        self.shape, columns_first, self.dtype = read(file)
        if not self.shape or min(self.shape) < 0:
            raise ValueError("its shape is none of rows")
        if self.dtype.hasobject:
            raise ValueError("it holds objects of Python")
        if columns_first and len(self.shape) > 1:
            raise ValueError("it is in Fortran's order, of which a range of rows is everywhere")
        self._file, self._begin = file, file.tell()
        size = file.seek(0, 2) - self._begin
        if size < self._row * self.shape[0]:
            raise ValueError(f"it is cut off after {size} bytes of {self._row * self.shape[0]}")

    @property
    def _row(self) -> int:
        """Bytes of a row."""
        return self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=object))

    def __getitem__(self, rows: slice) -> Array:
        start, stop, _ = rows.indices(self.shape[0])
        self._file.seek(self._begin + start * self._row)
        data = self._file.read(max(stop - start, 0) * self._row)
        return np.frombuffer(data, self.dtype).reshape(max(stop - start, 0), *self.shape[1:])


class _Slices:
    """A tensor of a file, with the attributes of an array."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor
        self.shape = tuple(tensor.get_shape())
        self.dtype = np.asarray(tensor[:0]).dtype

    def __getitem__(self, rows: slice) -> Any:
        return self._tensor[rows]


def _chosen(keys: list[str], name: str, place: Place) -> str:
    """The name of an array, or of the only one. Raises CallerError."""
    if name in keys:
        return name
    if name or len(keys) != 1:
        raise CallerError(
            f"{place} has the arrays {', '.join(sorted(keys)) or 'none'}", hint="name one of them"
        )
    return keys[0]


_OPENERS = {
    ".npy": _npy,
    ".zarr": _zarr,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".parquet": _parquet,
    ".safetensors": _safetensors,
}
