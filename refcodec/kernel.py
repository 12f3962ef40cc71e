"""Kernels: integer functions that numba compiles, and the folder that keeps them compiled.

A kernel means the same compiled and interpreted (``NUMBA_DISABLE_JIT=1``): it computes in int64, reads
array elements through ``int()``, and cannot overflow. ``tests/test_kernels.py`` walks the syntax trees of
all kernels for that.

numba's own cache does not notice that a *called* kernel has changed, nor a table (compiled code holds global
arrays as constants), nor that flags have. Hence one folder for each state of all kernels: its name is a hash
of their sources and tables, of numba's version and of its flags. `refcodec.kernel_cache` keeps it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba

from refcodec.kernel_cache import KernelCache, Untrusted, prune, trusted_folder
from refcodec.kernel_compiler import KernelDispatcher

__all__ = [
    "KERNELS",
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
    *("reconstruction", "samples", "restoration", "transform", "gains"),
    *("encoder/blocks", "encoder/levels", "encoder/trellis"),
)
_NATIVE_LOSSLESS = (
    *("header", "raw_bits", "models", "contexts", "context", "fast"),
    *("encoder/survey", "encoder/context", "encoder/fast"),
)
_SOURCES = (
    "kernel.py",
    "kernel_cache.py",
    "kernel_compiler.py",
    "entropy/*.py",
    "networks/layers.py",
    "networks/weights.py",
    *(f"coders/native/{name}.py" for name in _NATIVE),
    "coders/native_static/*.py",
    "coders/native_static/encoder/*.py",
    *(f"coders/native_lossless/{name}.py" for name in _NATIVE_LOSSLESS),
    "contexts.py",
    "uniform.py",
    "tables/__init__.py",
    "tables/families.py",
    "tables/logistic.txt",
)
"""Files of refcodec that hold kernels or the constants in them; a change in one recompiles all kernels."""

_RECENT = 4
"""Folders of other states that are kept: other versions of refcodec, numba or Python, and other flags."""

_log = logging.getLogger("refcodec")


def kernel(function: Function) -> Function:
    """Register an integer function, to be compiled at its first call, once per machine."""
    _register(function)
    return compiled(function)


def inlined(function: Function) -> Function:
    """Register a kernel that is inlined into its callers: for those called often, or from one place.

    To compiled code an array is seven numbers, and a call copies all of them.
    """
    _register(function)
    return compiled(function, forceinline=True)


def compiled(function: Function, forceinline: bool = False) -> Function:
    """Compile a function at its first call; it may use floats, as a choice of an encoder does."""
    if numba.config.DISABLE_JIT:
        return function
    cache = KernelCache(function, cache_folder, announce_compilation)
    dispatcher: Any = KernelDispatcher(function, cache, inlined=forceinline)
    found: Function = dispatcher
    return found


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


_STATE = kernel_hash()
"""The state that this process runs: files may be edited before the first kernel is compiled."""


@cache
def cache_folder() -> Path | None:
    """The folder of compiled kernels, or None where nothing can be kept.

    Below ``REFCODEC_CACHE``, else ``XDG_CACHE_HOME/refcodec``, else ``~/.cache/refcodec``. Missing folders
    are made with mode 700. Folders that others can write to are not used: a warning says so, once.
    """
    if numba.config.DISABLE_JIT or not Path(__file__).is_file():  # without sources, no hash of them
        return None
    try:
        folder = _place() / f"kernels-{_STATE}"
        new = not folder.exists()
        folder = trusted_folder(folder)
    except Untrusted as fault:
        _log.warning("compiled kernels are not kept: %s", fault)
        return None
    except (OSError, RuntimeError):
        _log.info(
            "compiled kernels cannot be kept: set REFCODEC_CACHE to a folder that can be written"
        )
        return None
    with suppress(OSError):
        os.utime(folder)  # the time of its last use
    if new:
        prune(folder, f"kernels-{'[0-9a-f]' * 16}", _RECENT)
    return folder


def _place() -> Path:
    """The folder around all states of the kernels. Raises RuntimeError where the user has no home."""
    if named := os.environ.get("REFCODEC_CACHE"):
        return Path(named).expanduser().absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if shared.is_absolute():  # else to be ignored, says the XDG base directory specification
        return shared / "refcodec"
    home = Path.home()
    if os.environ.get("HOME") == "" or not (home.is_absolute() and home.is_dir()):
        raise RuntimeError("this user has no home")
    return home / ".cache" / "refcodec"


@cache
def announce_compilation() -> None:
    """Log once, by the logger ``refcodec``, that kernels are compiled now."""
    folder = cache_folder()
    often = "once" if folder and os.access(folder, os.W_OK) else "in every process"
    _log.warning("compiling kernels for this machine: %s, for some seconds", often)
