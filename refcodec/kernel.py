"""Kernels: integer functions that numba compiles, and the folder that keeps them compiled.

A kernel means the same compiled and interpreted (``NUMBA_DISABLE_JIT=1``): it computes in int64, reads
array elements through ``int()``, and cannot overflow. ``tests/test_kernels.py`` walks the syntax trees of
all kernels for that.

numba's own cache does not notice that a *called* kernel has changed, nor a table (compiled code holds global
arrays as constants), nor that flags have. Hence one folder for each state of all kernels: its name is a hash
of their sources and tables, of numba's version and of its flags.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from shutil import disk_usage
from typing import Any, TypeVar

import numba

__all__ = [
    "KERNELS",
    "announce_compilation",
    "cache_folder",
    "compiled",
    "inlined",
    "kernel",
    "kernel_hash",
]

Function = TypeVar("Function", bound=Callable[..., Any])

KERNELS: dict[str, Callable[..., Any]] = {}
"""Every kernel as plain Python, by ``module.name``."""

_NATIVE = (
    *("workspace", "head", "channels", "decisions", "tree", "blocks", "coefficients"),
    *("reconstruction", "samples", "restoration", "transform", "encoder/blocks"),
)
_NATIVE_LOSSLESS = (
    *("header", "raw_bits", "models", "context", "fast"),
    *("encoder/survey", "encoder/context", "encoder/fast"),
)
_SOURCES = (
    "kernel.py",
    "entropy/*.py",
    *(f"coders/native/{name}.py" for name in _NATIVE),
    *(f"coders/native_lossless/{name}.py" for name in _NATIVE_LOSSLESS),
    "tables/__init__.py",
    "tables/logistic.txt",
)
"""Files of refcodec that hold kernels or the constants in them; a change in one recompiles all kernels."""

_ROOM = 64 << 20
"""Free disk space in bytes below which nothing is cached: numba fails on a full disk."""

_log = logging.getLogger("refcodec")


def kernel(function: Function) -> Function:
    """Register an integer function, to be compiled at its first call, once per machine."""
    _register(function)
    return compiled(function)


def inlined(function: Function) -> Function:
    """Register a kernel that is inlined into its callers: for those called at every decision.

    It saves a quarter of the time: to compiled code an array is seven numbers, and a call copies all of them.
    """
    _register(function)
    return compiled(function, forceinline=True)


def compiled(function: Function, forceinline: bool = False) -> Function:
    """Compile a function at its first call, without the rules of kernels: an encoder may use floats."""
    folder = cache_folder()
    options = {"nogil": True, "cache": folder is not None, "forceinline": forceinline}
    with _numba_cache(folder):
        dispatcher: Function = numba.njit(**options)(function)
    if folder is not None:
        _keep_carefully(dispatcher, folder)
    return dispatcher


def _keep_carefully(dispatcher: Any, folder: Path) -> None:
    """Let one process at a time write to the folder, and go on if it cannot be written.

    Without this, two processes that compile a kernel for different types would write to the same file, and a
    disk that fails would stop the program.
    """
    save = dispatcher._cache.save_overload

    def save_overload(signature: Any, code: Any) -> None:
        try:
            with (folder / "lock").open("w") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                save(signature, code)
        except OSError as error:
            _log.info("a compiled kernel could not be kept: %s", error)

    dispatcher._cache.save_overload = save_overload


def _register(function: Callable[..., Any]) -> None:
    KERNELS[f"{function.__module__.removeprefix('refcodec.')}.{function.__name__}"] = function


def kernel_hash(root: Path = Path(__file__).parent) -> str:
    """Hash of the sources of all kernels, the compiler's version and its flags."""
    digest = hashlib.sha256()
    for pattern in _SOURCES:
        for path in sorted(root.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    flags = sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_"))
    digest.update(repr((numba.__version__, platform.python_version(), flags)).encode())
    return digest.hexdigest()[:16]


@cache
def cache_folder() -> Path | None:
    """The folder of compiled kernels, or None if none can be written.

    ``REFCODEC_CACHE``, else ``XDG_CACHE_HOME/refcodec``, else ``~/.cache/refcodec``.
    """
    if numba.config.DISABLE_JIT:
        return None
    named = os.environ.get("REFCODEC_CACHE")
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = (Path(named) if named else home / "refcodec") / f"kernels-{kernel_hash()}"
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK | os.X_OK) and disk_usage(folder).free > _ROOM
    except (OSError, RuntimeError):
        usable = False
    if not usable:
        _log.info(
            "compiled kernels cannot be kept: set REFCODEC_CACHE to a folder that can be written"
        )
        return None
    return folder


@cache
def announce_compilation(entry: str = "channels.code_levels") -> None:
    """Log once, by the logger ``refcodec``, that kernels must be compiled first.

    entry : the kernel, as ``module.name``, that is compiled last, after all that it calls.
    """
    if numba.config.DISABLE_JIT:
        return
    folder = cache_folder()
    if folder is None or not any(folder.glob(f"*/{entry}-*.nbi")):
        often = "once" if folder else "in every process"
        _log.warning("compiling kernels for this machine: %s, for up to half a minute", often)


@contextmanager
def _numba_cache(folder: Path | None) -> Iterator[None]:
    """Set numba's cache folder while functions are decorated, which is when numba reads the setting."""
    before = numba.config.CACHE_DIR
    try:
        if folder is not None:
            numba.config.CACHE_DIR = str(folder)
        yield
    finally:
        numba.config.CACHE_DIR = before
