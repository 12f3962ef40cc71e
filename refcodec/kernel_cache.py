"""The cache of compiled kernels: one file for each kernel, types of arguments and processor.

Compiled code is pickled, and whoever can write a pickle runs code in the process that reads it. So a folder
is used only where nobody but this user and root can write, at every level up to the root. A file carries a
digest: one that is damaged is compiled anew and replaced. A file appears whole or not at all, and its name
says all that its content depends on: processes that compile at once need no lock.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import pickle
import re
import shutil
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

__all__ = ["KernelCache", "Untrusted", "fault_of", "prune", "trusted_folder"]

_DIGEST = 32
_PRIVATE = 0o700
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

_log = logging.getLogger("refcodec")


class Untrusted(Exception):
    """Others can write where compiled code would be kept; the text says where, and what to do."""


class KernelCache:
    """The compiled forms of one kernel, as numba's dispatcher asks for them.

    function : the kernel, as plain Python.
    folder   : gives the folder, or None where nothing can be kept; asked at the first compilation.
    missing  : called where nothing has been kept, before the kernel is compiled.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        folder: Callable[[], Path | None],
        missing: Callable[[], None] = lambda: None,
    ) -> None:
        self._missing = missing
        self._name = f"{function.__module__.removeprefix('refcodec.')}.{function.__qualname__}"
        self._folder = folder

    @property
    def cache_path(self) -> str | None:
        """The folder, for numba's statistics."""
        folder = self._folder()
        return None if folder is None else str(folder)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Machine code for these types of arguments; None where it must be compiled."""
        found = self._kept(signature, target)
        if found is None:
            self._missing()
        return found

    def _kept(self, signature: Any, target: Any) -> Any:
        """Machine code that was kept; None if there is none, or it is damaged."""
        target.refresh()
        folder = self._folder()
        if folder is None:
            return None
        identity = self._identity(signature, target.codegen())
        path = self._path(folder, identity)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        try:
            digest, data = content[:_DIGEST], content[_DIGEST:]
            if digest != _digest(identity, data):
                raise ValueError("its digest does not match")
            return CompileResult._rebuild(target, *pickle.loads(data))
        except Exception as error:  # whatever unpickling and linking raise
            _log.info("%s is damaged (%s): compiled again", path, error)
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep machine code. A disk that fails is no reason to fail: it is compiled again next time."""
        folder = self._folder()
        if folder is None or compiled.lifted or compiled.library.has_dynamic_globals:
            return
        identity = self._identity(signature, compiled.codegen)
        data = dumps(compiled._reduce())
        try:
            _replace(self._path(folder, identity), _digest(identity, data) + data)
        except OSError as error:
            _log.info("a compiled kernel could not be kept: %s", error)

    def enable(self) -> None:
        """Part of numba's protocol; always enabled."""

    def disable(self) -> None:
        """Part of numba's protocol; always enabled."""

    def flush(self) -> None:
        """Part of numba's protocol; the folder's name changes with the kernels instead."""

    def _identity(self, signature: Any, codegen: Any) -> bytes:
        types = [(type(one).__name__, one.name) for one in signature]
        return repr((self._name, types, codegen.magic_tuple())).encode()

    def _path(self, folder: Path, identity: bytes) -> Path:
        name = re.sub(r"[^\w.]", "", self._name)
        return folder / f"{name}-{hashlib.sha256(identity).hexdigest()[:16]}.nbc"


def _digest(identity: bytes, data: bytes) -> bytes:
    return hashlib.sha256(identity + data).digest()


def _replace(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(name, path)  # noqa: PTH105 - the name is a string
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


# --- the folder ------------------------------------------------------------------------------------


def trusted_folder(path: Path) -> Path:
    """A folder that nobody but this user and root can write to; made, with mode 700, where it is missing.

    Every level is checked, from the root down, and links are followed first: the folder that comes back has
    none. Where a system has no owners and modes as POSIX has them, the folder is as private as its place.

    Raises Untrusted where others can write at any level, OSError where it cannot be made.
    """
    folder = Path(os.path.realpath(path))
    for level in reversed([folder, *folder.parents]):
        status = _made(level)
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(level))
        fault = fault_of(level, status, leaf=level == folder)
        if fault:
            raise Untrusted(fault)
    return folder


def _made(folder: Path) -> os.stat_result:
    """The status of a folder, which is made where it is missing."""
    with suppress(FileNotFoundError):
        return folder.stat()
    with suppress(FileExistsError):  # another process was faster
        folder.mkdir(_PRIVATE)
    return folder.stat()


def fault_of(path: Path, status: os.stat_result, *, leaf: bool, user: int | None = None) -> str:
    """The reason not to trust what lies in a folder; empty where there is none.

    leaf : it holds compiled code itself. Further up, a folder such as /tmp may be open to all if it is
           sticky: then only the owners of its entries, which are checked in turn, can replace them.
    user : the id of this user, if not that of the process.
    """
    if not hasattr(os, "getuid"):
        return ""
    if status.st_uid not in (0, os.getuid() if user is None else user):
        return f"{path} belongs to another user: set REFCODEC_CACHE to a folder of your own"
    if status.st_mode & _OTHERS_WRITE and (leaf or not status.st_mode & stat.S_ISVTX):
        return (
            f"others can write to {path}: take that right away (chmod go-w), after removing what "
            "others may have left there, or set REFCODEC_CACHE to a folder of your own"
        )
    return ""


def prune(folder: Path, pattern: str, kept: int) -> None:
    """Remove neighbours of a folder that match a pattern, but for the few that were used most recently."""
    found = []
    for one in folder.parent.glob(pattern):
        with suppress(OSError):
            status = one.lstat()
            own = stat.S_ISDIR(status.st_mode) and not fault_of(one, status, leaf=True)
            if own and one != folder:
                found.append((status.st_mtime_ns, one))
    for _, one in sorted(found, reverse=True)[kept:]:
        shutil.rmtree(one, ignore_errors=True)
