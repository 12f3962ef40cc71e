"""Examination of an installation: what works on this machine, what is slow, and what to do about it.

Nothing is taken on trust: coders code a feature, ffmpeg runs, kernels are compiled where they are not yet.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np
import numpy.typing as npt

import refcodec
from refcodec.coders.ffmpeg import find_ffmpeg
from refcodec.errors import CallerError, DFCError, EnvironmentFault
from refcodec.kernel import cache_folder
from refcodec.metrics import signal_to_noise
from refcodec.probability.store import default_folder, usual_places
from refcodec.quantise import NUMPY_TYPES
from refcodec.reader import decode
from refcodec.registry import CODERS, CoderRecord
from refcodec.writer import encode

__all__ = ["Finding", "examine", "works"]

_PROGRAM_SECONDS = 60.0

_ENOUGH = 6.0
"""Signal-to-noise ratio in dB that every lossy coder exceeds by far, as it is by default."""

_OPTIONAL = {"vvc", "av1"}
"""Coders that many builds of ffmpeg lack."""

_VARIABLES = ("REFCODEC_", "NUMBA_", "OMP_NUM_THREADS")
"""Beginnings of variables of the environment that change what this package does, or how fast."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    topic : what it belongs to, such as ``coders``.
    name  : its name there.
    state : ``fine``; ``slow`` where it works and could be faster; ``absent``, which is no fault; ``broken``
            where something that is needed does not work.
    text  : what was found.
    hint  : what to do next; may be empty.
    """

    topic: str
    name: str
    state: Literal["fine", "slow", "absent", "broken"]
    text: str
    hint: str = ""


def examine() -> Iterator[Finding]:
    """Look at the installation and the machine, from versions to extras."""
    yield from _versions()
    yield from _machine()
    yield from _ffmpeg()
    yield from _kernels(cache_folder())
    for record in CODERS.values():
        yield _guarded("coders", record.name, partial(_coder, record))
    yield _guarded("data types", "source types", _types)
    yield from _models()
    yield from _extras()


def works(findings: list[Finding]) -> bool:
    """True if everything that is needed does its work."""
    return all(one.state != "broken" for one in findings)


def _guarded(topic: str, name: str, look: Callable[[], Finding]) -> Finding:
    """What was found, or the error that kept it from being found."""
    try:
        return look()
    except DFCError as error:
        lacking = name in _OPTIONAL and isinstance(error, (EnvironmentFault, CallerError))
        return Finding(topic, name, "absent" if lacking else "broken", error.what, error.hint)
    except Exception as error:  # a broken library raises anything
        return Finding(topic, name, "broken", f"{type(error).__name__}: {error}")


# --- versions, and optional packages ---------------------------------------------------------------


def _versions() -> Iterator[Finding]:
    home = Path(refcodec.__file__).parent
    yield Finding("versions", "refcodec", "fine", f"{refcodec.__version__}, in {home}")
    yield Finding(
        "versions", "Python", "fine", f"{platform.python_version()}, {platform.platform()}"
    )
    needed = [name for name, extra in _required() if not extra]
    if not needed:
        text, hint = "refcodec is imported, but not installed", "pip install it: zarr looks there"
        yield Finding("versions", "packages", "absent", text, hint)
    for name in needed:
        found = _version(name)
        if found is None:
            yield Finding("versions", name, "broken", "missing", f"pip install {name}")
        else:
            yield Finding("versions", name, "fine", found)


def _extras() -> Iterator[Finding]:
    groups: dict[str, list[str]] = {}
    for name, extra in _required():
        if extra and name != "refcodec":
            groups.setdefault(extra, []).append(name)
    for extra, names in groups.items():
        missing = [name for name in names if _version(name) is None]
        if missing:
            hint = f"pip install 'refcodec[{extra}]'"
            yield Finding("extras", extra, "absent", f"without {', '.join(missing)}", hint)
        else:
            found = ", ".join(f"{name} {_version(name)}" for name in names)
            yield Finding("extras", extra, "fine", found)


def _required() -> list[tuple[str, str]]:
    """Names of packages that refcodec needs, each with the extra that it belongs to, or ''."""
    try:
        lines = requires("refcodec") or []
    except PackageNotFoundError:
        return []
    found = []
    for line in lines:
        extra = re.search(r"""extra == ["']([\w-]+)["']""", line)
        name = re.match(r"[\w.-]+", line)
        assert name is not None
        found.append((name[0], extra[1] if extra else ""))
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


# --- the machine -----------------------------------------------------------------------------------


def _machine() -> Iterator[Finding]:
    cores = os.cpu_count() or 1
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    if mine < cores:
        text = f"{cores}, of which this process may use {mine}"
        hint = f"workers={mine}, or --workers {mine}: by default there is one for each processor"
        yield Finding("machine", "processors", "slow", text, hint)
    else:
        yield Finding("machine", "processors", "fine", str(cores))
    if hasattr(os, "getloadavg"):
        load = os.getloadavg()[0]
        busy = load > cores
        hint = "other processes compete for the processors" if busy else ""
        yield Finding("machine", "load", "slow" if busy else "fine", f"{load:.1f}", hint)
    for name, value in sorted(os.environ.items()):
        if name.startswith(_VARIABLES):
            yield Finding("machine", name, "fine", value)


def _ffmpeg() -> Iterator[Finding]:
    try:
        program = find_ffmpeg()
        start = perf_counter()
        head = _output(program, "-version").split()
        seconds = perf_counter() - start
        encoders, decoders = (_output(program, one) for one in ("-encoders", "-decoders"))
    except DFCError as error:
        yield Finding("ffmpeg", "program", "broken", error.what, error.hint)
        return
    except (OSError, subprocess.SubprocessError) as error:
        hint = "pip install imageio-ffmpeg, or set REFCODEC_FFMPEG"
        yield Finding("ffmpeg", "program", "broken", str(error), hint)
        return
    if head[:2] != ["ffmpeg", "version"]:
        text, hint = f"{program} is no ffmpeg", "correct the variable REFCODEC_FFMPEG"
        yield Finding("ffmpeg", "program", "broken", text, hint)
        return
    yield Finding("ffmpeg", "program", "fine", f"{' '.join(head[2:3])}, {program}")
    yield Finding(
        "ffmpeg",
        "start",
        "fine",
        f"{1e3 * seconds:.0f} ms each time: hevc features that are written together share it",
    )
    yield _parts("encoders", encoders, {"libx265": "HEVC", "libvvenc": "VVC", "libaom-av1": "AV1"})
    yield _parts("decoders", decoders, {"hevc": "HEVC", "vvc": "VVC", "libdav1d": "AV1"})


def _parts(name: str, listed: str, wanted: dict[str, str]) -> Finding:
    """Encoders or decoders of ffmpeg, of which the first is needed."""
    having = [word for word in wanted if word in listed.split()]
    text = ", ".join(f"{word} ({wanted[word]})" for word in having) or "none"
    needed = next(iter(wanted))
    if needed in having:
        return Finding("ffmpeg", name, "fine", text)
    hint = "point REFCODEC_FFMPEG to a program that has it"
    return Finding("ffmpeg", name, "broken", f"{text}; {needed} is missing", hint)


def _output(program: str, option: str) -> str:
    """What ffmpeg says of itself. Raises OSError, SubprocessError."""
    done = subprocess.run(
        [program, "-hide_banner", option],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_PROGRAM_SECONDS,
        check=True,
    )
    return done.stdout.decode("utf-8", "replace")


# --- kernels and coders ----------------------------------------------------------------------------


def _kernels(folder: Path | None) -> Iterator[Finding]:
    from numba import config

    if config.DISABLE_JIT:
        text = "interpreted, some hundred times slower: NUMBA_DISABLE_JIT is set"
        yield Finding("kernels", "compiler", "slow", text, "unset NUMBA_DISABLE_JIT")
    elif folder is None:
        hint = "set REFCODEC_CACHE to a folder of your own that can be written"
        yield Finding("kernels", "cache", "slow", "none: every process compiles anew", hint)
    else:
        yield Finding("kernels", "cache", "fine", f"{folder}, {_count(folder)} compiled")


def _count(folder: Path | None) -> int:
    """Number of compiled kernels that are kept."""
    return 0 if folder is None else sum(1 for _ in folder.glob("*.nbc"))


def _feature() -> npt.NDArray[np.float32]:
    """A rectified feature of 64 x 14 x 14."""
    values = np.random.default_rng(0).normal(size=(64, 14, 14))
    return np.maximum(8 * values, 0).astype(np.float32)


def _coder(record: CoderRecord) -> Finding:
    """One coder, by what it makes of a feature."""
    feature, folder = _feature(), cache_folder()
    before, start = _count(folder), perf_counter()
    found = decode(encode(feature, coder=record.name))
    seconds, new = perf_counter() - start, _count(folder) - before
    snr = signal_to_noise(found, feature)
    kept = found.tobytes() == feature.tobytes()
    if snr < _ENOUGH or (record.options["quantiser"] == "none" and not kept):
        text = f"a feature came back as another one, at {snr:.1f} dB"
        return Finding(
            "coders", record.name, "broken", text, "report this, with all of this output"
        )
    start = perf_counter()
    data = encode(feature, coder=record.name)
    middle = perf_counter()
    decode(data)
    text = (
        f"{1e3 * (middle - start):.1f} ms to write and {1e3 * (perf_counter() - middle):.1f} ms to read "
        f"64 x 14 x 14 values, {8 * len(data) / feature.size:.2f} bits each"
    )
    if not new:
        return Finding("coders", record.name, "fine", text)
    text += f"; {new} kernels were compiled now, in {seconds:.1f} s"
    hint = "refcodec warm-up compiles all, before a program has to wait for it"
    return Finding("coders", record.name, "slow", text, hint)


def _types() -> Finding:
    given = _feature()
    for dtype in NUMPY_TYPES.values():
        one = given.astype(dtype)
        if decode(encode(one, coder="raw")).tobytes() != one.tobytes():
            return Finding("data types", "source types", "broken", f"{dtype} does not come back")
    text = ", ".join(str(dtype) for dtype in NUMPY_TYPES.values())
    return Finding("data types", "source types", "fine", text)


def _models() -> Iterator[Finding]:
    for place in usual_places():
        if place.exists():
            count = len([place] if place.is_file() else list(place.glob("*.dfcm")))
            yield Finding("models of latents", str(place), "fine", f"{count} .dfcm")
        else:
            own = place == default_folder()
            hint = "" if own else "correct the variable REFCODEC_MODELS"
            yield Finding("models of latents", str(place), "absent", "not there", hint)
