"""The plan of a store: where features come from, where they go, and how they are coded.

[source]
path = "features.npy"
[store]
path = "features.zarr"
chunk = 4096
[encoder]
coder = "native-lossless"
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refcodec.checked import Table, data_path, read_toml
from refcodec.chunks import ChunkCoder
from refcodec.errors import CallerError
from refcodec.stores.place import Location, Place

__all__ = ["StorePlan", "read_plan"]

_FEATURES = 4096
"""Features of a chunk, where nothing else is said."""


@dataclass(frozen=True)
class StorePlan:
    """A store to build.

    source  : ``.npy``, ``.zarr`` (a folder), ``.h5``, ``.parquet`` or ``.safetensors``; a path, or a URL
              of all but the last kind.
    array   : name of the array in the source; "" for the only one.
    target  : the zarr array: a folder, or a URL that fsspec knows, ``s3://bucket/features.zarr``.
    chunk   : features of a chunk.
    options : of the encoder, as `refcodec.zarr.encoding` takes them.
    storage : options of the file system that the URL of the target names, as fsspec takes them.
    source_storage : likewise, of the source.
    """

    source: Location
    target: Location
    array: str = ""
    chunk: int = _FEATURES
    options: dict[str, Any] | None = None
    storage: dict[str, Any] | None = None
    source_storage: dict[str, Any] | None = None

    @property
    def place(self) -> Place:
        """The place of the store."""
        return Place(self.target, self.storage)

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise CallerError(f"chunk is {self.chunk}; it is the number of features of a chunk")
        ChunkCoder(self.options or {})
        Place(self.target, self.storage)
        Place(self.source, self.source_storage)


def read_plan(path: Path, *, data: Path | None = None, changes: Iterable[str] = ()) -> StorePlan:
    """Read a plan from a TOML file.

    data    : folder that paths are relative to; None for ``$REFCODEC_DATA``, else that of the plan.
    changes : as of `refcodec.checked.read_toml`.

    Raises CallerError.
    """
    content, _, folder = read_toml(path, data=data, changes=changes)
    plan = Table(str(path), content)
    source, store = (Table(f"[{name}]", plan.take(name, dict)) for name in ("source", "store"))

    def located(table: Table) -> Location:
        where = table.take("path", str)
        return where if "://" in where else data_path(folder, where)

    found = StorePlan(
        source=located(source),
        array=source.take("array", str, ""),
        target=located(store),
        chunk=store.take("chunk", int, _FEATURES),
        options=plan.take("encoder", dict, {}),
        storage=store.take("options", dict, None),
        source_storage=source.take("options", dict, None),
    )
    for table in (plan, source, store):
        table.finish()
    return found
