"""Places of stores and of their sources: paths of this machine, and URLs of object stores, by fsspec."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from refcodec.errors import CallerError, DFCError, EnvironmentFault
from refcodec.files import storage_error

__all__ = ["Location", "Place"]

Location = Path | str
"""A path, or a URL that fsspec knows: ``s3://bucket/features.zarr``."""


class Place:
    """A folder or a file; it goes to workers by pickle. The files of a folder are read and written whole.

    where   : a path, or a URL.
    options : of the file system, as fsspec takes them, ``{"endpoint_url": ...}``; of a URL alone.

    Raises CallerError for options of a path.
    """

    def __init__(self, where: Location, options: dict[str, Any] | None = None) -> None:
        self.remote = "://" in str(where)
        self.where = str(where) if self.remote else Path(where)
        self._options = dict(options or {})
        if options and not self.remote:
            raise CallerError(
                f"{where} is a path, which takes no options of a file system",
                hint="what is elsewhere has a URL: s3://bucket/features.zarr",
            )

    def __str__(self) -> str:
        return str(self.where)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and self.where == other.where

    def __hash__(self) -> int:
        return hash(self.where)

    @property
    def path(self) -> PurePath:
        """The path, or that of the URL, which has the name and the suffix of the file."""
        if isinstance(self.where, Path):
            return self.where
        return PurePosixPath(self.where.split("://", 1)[1])

    @property
    def array(self) -> dict[str, Any]:
        """Keywords by which zarr opens or makes the array here."""
        return {"store": self.where, **({"storage_options": self._options} if self.remote else {})}

    def exists(self) -> bool:
        """True if there is a file or a folder. Raises EnvironmentFault."""
        if isinstance(self.where, Path):
            return self.where.exists()
        with self._system() as (system, root):
            found: bool = system.exists(root)
            return found

    def holds_anything(self) -> bool:
        """True if there is any file."""
        if isinstance(self.where, Path):
            return self.where.exists() and any(self.where.iterdir())
        with self._system() as (system, root):
            system.invalidate_cache()
            try:
                return bool(system.ls(root, detail=False))
            except FileNotFoundError:
                return False

    @contextmanager
    def open(self) -> Iterator[Any]:
        """The file here, to read in any order. Raises CallerError, EnvironmentFault, also while read."""
        if isinstance(self.where, Path):
            try:
                file = self.where.open("rb")
            except OSError as error:
                raise storage_error(error, self.where) from None
            with file:
                yield file
            return
        with self._system() as (system, root), system.open(root, "rb") as remote:
            yield remote

    def read(self, name: str) -> bytes:
        """The content of a file. Raises FileNotFoundError, EnvironmentFault."""
        if isinstance(self.where, Path):
            return (self.where / name).read_bytes()
        with self._system() as (system, root):
            data: bytes = system.cat_file(f"{root}/{name}")
            return data

    def write(self, name: str, data: bytes) -> None:
        """Write a file of an object store, which appears whole or not at all. Raises EnvironmentFault."""
        with self._system() as (system, root):
            system.pipe_file(f"{root}/{name}", data)

    @contextmanager
    def _system(self) -> Iterator[tuple[Any, str]]:
        """The file system, and the root of the store there, with its errors as those of this library."""
        from fsspec.core import url_to_fs

        with self.blamed():
            yield url_to_fs(self.where, **self._options)

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Errors of a file system, raised inside, as those of this library: an EnvironmentFault."""
        try:
            yield
        except (FileNotFoundError, DFCError):
            raise
        except ImportError as error:
            raise EnvironmentFault(f"{self}: {error}", hint="pip install 'refcodec[s3]'") from None
        except Exception as error:  # what a client of an object store raises
            raise EnvironmentFault(f"{self} cannot be used: {error}") from None
