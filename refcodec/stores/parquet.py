"""Files of Parquet: columns of features, in and out.

A column of vectors is one of lists, all of the same length; one of maps is one of tensors of a fixed shape
(an extension type of Arrow). Rows are features, one after another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from refcodec.errors import CallerError, EnvironmentFault

__all__ = ["Column", "features_of", "metadata_of", "parquet_file", "write_parquet"]

Array = npt.NDArray[Any]


def _library() -> Any:
    """The library. Raises EnvironmentFault."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise EnvironmentFault(
            "pyarrow is not installed", hint="pip install 'refcodec[parquet]'"
        ) from None
    return pyarrow


@contextmanager
def parquet_file(source: Any, name: str) -> Iterator[Any]:
    """A file of Parquet, open. Raises CallerError, with its name, and EnvironmentFault.

    source : a path, or a file.
    """
    arrow = _library()
    try:
        file = arrow.parquet.ParquetFile(source)
    except (OSError, arrow.ArrowException) as error:
        raise CallerError(f"{name} is no Parquet: {error}") from None
    with file:
        yield file


def features_of(file: Any) -> list[str]:
    """Names of the columns that hold features."""
    return [field.name for field in file.schema_arrow if _number(field.type) is not None]


def metadata_of(file: Any) -> dict[str, str]:
    """The metadata of a file that are text."""
    found = file.schema_arrow.metadata or {}
    return {key.decode(): value.decode("utf-8", "replace") for key, value in found.items()}


class Column:
    """A column of features, with the attributes of an array: slices read the row groups that they touch.

    Raises CallerError where its lists differ in length, or values are missing.
    """

    def __init__(self, path: str, file: Any, name: str) -> None:
        self._path, self._file, self._name = path, file, name
        kind = file.schema_arrow.field(name).type
        self.dtype = np.dtype(_number(kind).to_pandas_dtype())
        groups = range(file.metadata.num_row_groups)
        rows = [file.metadata.row_group(group).num_rows for group in groups]
        self._ends = np.cumsum(rows, dtype=np.int64)
        count = int(sum(rows))
        own = _shape(kind)
        self.shape = (count, *(self._first() if own is None else own))

    def __getitem__(self, rows: slice) -> Array:
        start, stop, _ = rows.indices(self.shape[0])
        parts = [np.empty((0, *self.shape[1:]), self.dtype)]
        for group, end in enumerate(self._ends.tolist()):
            begin = int(self._ends[group - 1]) if group else 0
            if begin < stop and start < end:
                values = self._group(group)[max(start - begin, 0) : stop - begin]
                if values.shape[1:] != self.shape[1:]:
                    raise self._uneven()
                parts.append(values)
        return np.concatenate(parts)

    def _first(self) -> tuple[int]:
        """The shape of the first feature."""
        for batch in self._file.iter_batches(1, columns=[self._name]):
            first = batch.column(0)[0].as_py()
            if first is None:
                raise self._uneven()
            return (len(first),)
        return (0,)

    def _group(self, number: int) -> Array:
        """The features of a row group."""
        column = self._file.read_row_group(number, columns=[self._name])[self._name]
        column = column.combine_chunks()
        storage = getattr(column, "storage", column)
        values = storage.flatten()
        if column.null_count or values.null_count or len(values) % max(len(column), 1):
            raise self._uneven()
        if not hasattr(storage.type, "list_size"):
            lengths = np.diff(storage.offsets.to_numpy())
            if (lengths != lengths[:1]).any():
                raise self._uneven()
        own = _shape(column.type)
        shape = (-1,) if own is None else own
        found: Array = values.to_numpy(zero_copy_only=False).reshape(len(column), *shape)
        return found

    def _uneven(self) -> CallerError:
        return CallerError(
            f"{self._path}: the lists of column {self._name} differ in length, or values are missing"
        )


def write_parquet(
    file: BinaryIO,
    name: str,
    parts: Iterable[Array],
    dtype: np.dtype[Any],
    own: tuple[int, ...],
    metadata: dict[str, str],
) -> None:
    """Write a column of features, a row group for each part: N x D or N x C x H x W.

    own : shape of a feature.
    """
    arrow = _library()
    number = arrow.from_numpy_dtype(dtype)
    size = int(np.prod(own))
    storage = arrow.list_(number, size)
    kind = storage if len(own) == 1 else arrow.fixed_shape_tensor(number, own)
    schema = arrow.schema([arrow.field(name, kind, nullable=False)], metadata=metadata)
    with arrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for part in parts:
            flat = arrow.array(np.ascontiguousarray(part, dtype).reshape(-1))
            column = arrow.FixedSizeListArray.from_arrays(flat, size)
            if kind is not storage:
                column = arrow.ExtensionArray.from_storage(kind, column)
            writer.write_table(arrow.table([column], schema=schema), row_group_size=len(part))


def _number(kind: Any) -> Any:
    """The type of the values of a column of features; None for another column."""
    kind = getattr(kind, "storage_type", kind)
    value = getattr(kind, "value_type", None)
    types = _library().types
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return value if is_list and (types.is_integer(value) or types.is_floating(value)) else None


def _shape(kind: Any) -> tuple[int, ...] | None:
    """The shape of a feature of a column; None where it is not known before lists are read."""
    shape = getattr(kind, "shape", None)
    if shape is not None:
        return tuple(map(int, shape))
    size = getattr(getattr(kind, "storage_type", kind), "list_size", None)
    return None if size is None else (int(size),)
