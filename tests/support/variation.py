"""The machine that the tests run on, and its variation by ``tox -e variation``.

Variables of the environment let the libraries compute as on other machines. A library passes over what it
does not know in silence; here it stops the run.
"""

from __future__ import annotations

import locale
import os
import platform
import sys
from pathlib import Path

import pytest

PATIENCE = 1800
"""Seconds after which something hangs, however slow the machine; no test measures time by it."""

UMASK = "REFCODEC_TEST_UMASK"
"""The variable with the umask, in octal digits, under which the tests run."""

_TERMINAL = (
    *(
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "COLUMNS",
        "FORCE_COLOR",
        "GITHUB_ACTIONS",
        "LINES",
        "NO_COLOR",
    ),
    *("PY_COLORS", "TERMINAL_WIDTH", "TTY_COMPATIBLE", "TTY_INTERACTIVE"),
)
"""Variables by which a terminal, or a service that runs tests, changes the width and colours of text."""


def settle() -> None:
    """Take away what no test shall feel, and set what a run leaves open."""
    for name in _TERMINAL:
        os.environ.pop(name, None)
    # two processes of tests with a thread for each processor get in each other's way
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if UMASK in os.environ:
        os.umask(int(os.environ[UMASK], 8))


def threads() -> int:
    """The number of threads on which torch works in a test."""
    return int(os.environ["OMP_NUM_THREADS"])


def in_force() -> str:
    """The settings of this run, in one line. Raises UsageError where one was asked for in vain."""
    mask = os.umask(0)
    os.umask(mask)
    parts = [
        f"Python {platform.python_version()}",
        *_numpy(),
        *_numba(),
        *_torch(),
        f"{threads()} threads",
        f"hash seed {os.environ.get('PYTHONHASHSEED', 'random')}",
        f"encoding {locale.getencoding()}" + (" and UTF-8 mode" if sys.flags.utf8_mode else ""),
        f"time zone {os.environ.get('TZ', 'of the system')}",
        f"umask {mask:03o}",
        f"home {Path.home()}",
    ]
    return ", ".join(parts)


def _numpy() -> list[str]:
    names = os.environ.get("NPY_DISABLE_CPU_FEATURES", "").replace(",", " ").split()
    if not names:
        return []
    from numpy._core._multiarray_umath import (  # type: ignore[import-not-found]
        __cpu_dispatch__,
        __cpu_features__,
    )

    for name in names:
        if name not in __cpu_dispatch__:
            known = " ".join(__cpu_dispatch__)
            raise pytest.UsageError(f"NPY_DISABLE_CPU_FEATURES: numpy knows {known}, not {name}")
        _demand("NPY_DISABLE_CPU_FEATURES", name, not __cpu_features__[name])
    return [f"numpy without {' '.join(names)}"]


def _numba() -> list[str]:
    name = os.environ.get("NUMBA_CPU_NAME")
    if not name:
        return []
    from numba.core.registry import cpu_target

    _, found, _ = cpu_target.target_context.codegen().magic_tuple()
    _demand("NUMBA_CPU_NAME", name, found == name)
    return [f"numba for {name}"]


def _torch() -> list[str]:
    name = os.environ.get("ATEN_CPU_CAPABILITY")
    if not name:
        return []
    import torch

    found = torch.backends.cpu.get_cpu_capability()
    _demand("ATEN_CPU_CAPABILITY", name, found.lower() == name.lower())
    return [f"torch {found}"]


def _demand(variable: str, value: str, fulfilled: bool) -> None:
    if not fulfilled:
        raise pytest.UsageError(f"{variable} asks for {value}, and that has no effect")
