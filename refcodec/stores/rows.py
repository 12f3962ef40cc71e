"""Sources of features: arrays in files, of which a worker reads some rows. Nothing is unpickled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from refcodec.errors import CallerError, EnvironmentFault

__all__ = ["open_rows"]


@contextmanager
def open_rows(path: Path, name: str = "") -> Iterator[Any]:
    """An array N x D or N x C x H x W with ``shape``, ``dtype`` and slices along its first axis.

    name : of the array in the file; "" for the only one.

    Raises CallerError for a file that is none of these, EnvironmentFault where a library is missing.
    """
    if not path.exists():
        raise CallerError(f"there is no {path}")
    opener = _OPENERS.get(path.suffix.lower())
    if opener is None:
        raise CallerError(f"{path} is none of {', '.join(_OPENERS)}")
    with opener(path, name) as rows:
        if len(rows.shape) not in (2, 4):
            raise CallerError(
                f"{path} holds an array of shape {tuple(rows.shape)}; features are N x D or N x C x H x W"
            )
        yield rows


@contextmanager
def _npy(path: Path, name: str) -> Iterator[Any]:
    try:
        yield np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise CallerError(f"{path} is no array of numpy: {error}") from None


@contextmanager
def _zarr(path: Path, name: str) -> Iterator[Any]:
    import zarr

    try:
        found = zarr.open(path, mode="r", path=name)
    except Exception as error:
        raise CallerError(f"{path} is no store of zarr: {error}") from None
    if not isinstance(found, zarr.Array):
        raise CallerError(f"{path} is a group: name one of {', '.join(sorted(found.array_keys()))}")
    yield found


@contextmanager
def _hdf5(path: Path, name: str) -> Iterator[Any]:
    try:
        import h5py
    except ImportError:
        raise EnvironmentFault(
            "h5py is not installed", hint="pip install 'refcodec[hdf5]'"
        ) from None
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise CallerError(f"{path} is no HDF5: {error}") from None
    with file:
        yield _named(file, [key for key in file if isinstance(file[key], h5py.Dataset)], name, path)


@contextmanager
def _safetensors(path: Path, name: str) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        file: Any = safe_open(path, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise CallerError(f"{path} is no .safetensors: {error}") from None
    with file:
        keys = list(file.keys())
        chosen = _chosen(keys, name, path)
        yield _Slices(file.get_slice(chosen))


@contextmanager
def _parquet(path: Path, name: str) -> Iterator[Any]:
    from refcodec.stores.parquet import Column, features_of, parquet_file

    with parquet_file(path) as file:
        columns = features_of(file)
        yield Column(path, file, _chosen(columns, name, path))


class _Slices:
    """A tensor of a file, with the attributes of an array."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor
        self.shape = tuple(tensor.get_shape())
        self.dtype = np.asarray(tensor[:0]).dtype

    def __getitem__(self, rows: slice) -> Any:
        return self._tensor[rows]


def _named(file: Any, keys: list[str], name: str, path: Path) -> Any:
    return file[_chosen(keys, name, path)]


def _chosen(keys: list[str], name: str, path: Path) -> str:
    """The name of an array, or of the only one. Raises CallerError."""
    if name in keys:
        return name
    if name or len(keys) != 1:
        raise CallerError(
            f"{path} has the arrays {', '.join(sorted(keys)) or 'none'}", hint="name one of them"
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
