"""The judge of a mutant: what the suite says of the decoder, or of the validator, of a changed refcodec.

This module imports nothing of refcodec before a mutant is installed; every mutant has a process of its own.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.abc
import importlib.machinery
import io
import json
import os
import signal
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parents[2]
SUITE = ROOT / "bitstreams"

Path_ = Literal["decode", "validate"]
PATHS: tuple[Path_, ...] = ("decode", "validate")


@dataclass(frozen=True)
class Trial:
    """A vector, and the path of the code on which it is used: decoding, or strict validation."""

    name: str
    path: Path_
    entry: dict[str, Any]
    stream: bytes

    def passes(self) -> bool:
        """True if the refcodec of this process treats the vector as the manifest says."""
        try:
            return self._decodes() if self.path == "decode" else self._validates()
        except Exception:  # whatever a mutant raises
            return False

    def _decodes(self) -> bool:
        from refcodec.errors import StreamError
        from refcodec.reader import open_stream

        output = b""
        sizes = [one["reconstruction"] for one in self.entry["features"]]
        try:
            found = []
            for feature in open_stream(io.BytesIO(self.stream), timeout=20.0):
                output = feature.astype(feature.dtype.newbyteorder("<")).tobytes()
                found.append(hashlib.sha256(output).hexdigest())
                if len(found) > len(sizes):
                    break
        except StreamError as error:
            violation = self.entry.get("violation")
            allowed = [violation["class"], *violation.get("also", ())] if violation else []
            return self.entry["decoder"] != "accept" and error.reject in allowed
        return self.entry["decoder"] != "reject" and found == sizes

    def _validates(self) -> bool:
        from refcodec.validator import validate

        report = validate(self.stream)
        found = [(one.reject, one.clause, one.bit_offset) for one in report.violations]
        violation = self.entry.get("violation")
        if violation is None:
            return found == [] and report.features == self.entry["feature_count"]
        return found[:1] == [(violation["class"], violation["clause"], violation["bit_offset"])]


def load_trials() -> list[Trial]:
    """Every vector on both paths."""
    content = json.loads((SUITE / "manifest.json").read_text(encoding="utf-8"))
    return [
        Trial(one["name"], path, one, (SUITE / one["file"]).read_bytes())
        for path in PATHS
        for one in content["vectors"]
    ]


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports changed modules from syntax trees instead of from their files."""

    def __init__(self, codes: dict[str, ast.Module], files: dict[str, str]) -> None:
        self.codes = codes
        self.files = files

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module, if it is a changed one."""
        if name not in self.codes:
            return None
        spec = importlib.machinery.ModuleSpec(name, self, origin=self.files[name])
        spec.has_location = True
        if self.files[name].endswith("__init__.py"):
            spec.submodule_search_locations = [str(Path(self.files[name]).parent)]
        return spec

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the changed source."""
        code = compile(self.codes[module.__name__], self.files[module.__name__], "exec")
        exec(code, module.__dict__)


def install(codes: dict[str, ast.Module], files: dict[str, str]) -> None:
    """Let this process import changed modules."""
    assert not any(name.startswith("refcodec") for name in sys.modules), "refcodec is there already"
    sys.meta_path.insert(0, _Changed(codes, files))


def warm_up(trials: Sequence[Trial]) -> None:
    """Import refcodec as it is and use it, so that forked processes find everything loaded."""
    for one in trials:
        one.passes()


def swap(module: str, name: str, file: str, tree: ast.Module) -> None:
    """Give a function of a loaded module the code that it has in a changed tree. Raises SyntaxError."""
    code = _code_of(compile(tree, file, "exec"), name)
    function: Any = sys.modules[module]
    for part in name.split("."):
        function = vars(function)[part]
    function = getattr(function, "fget", function)  # a property
    function = getattr(function, "__wrapped__", function)  # a cached function
    if code is None or code.co_freevars != function.__code__.co_freevars:
        raise SyntaxError(f"{name} has other variables")
    function.__code__ = code
    for own in [one for key, one in sys.modules.items() if key.startswith("refcodec")]:
        for value in list(vars(own).values()):
            if isinstance(value, functools._lru_cache_wrapper) and not _reads_data(value):
                value.cache_clear()


def _reads_data(function: Any) -> bool:
    """True for a function of the tables, which no mutant changes."""
    return str(function.__module__).startswith("refcodec.tables")


def _code_of(code: types.CodeType, name: str) -> types.CodeType | None:
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            if one.co_qualname == name:
                return one
            if found := _code_of(one, name):
                return found
    return None


def limit(seconds: float) -> None:
    """End this process by a signal once it has used so much processor time from now on."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def preload() -> None:
    """Import what refcodec imports, so that a forked process need not."""
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    os.environ["REFCODEC_INTERPRET_SYNTAX"] = (
        "1"  # declarations are mutated, not what they compile to
    )
    import bz2  # noqa: F401
    import concurrent.futures  # noqa: F401
    import difflib  # noqa: F401
    import gzip  # noqa: F401
    import lzma  # noqa: F401
    import tomllib  # noqa: F401
    import zlib  # noqa: F401

    import bitstring  # noqa: F401
    import construct  # noqa: F401
    import ffmpeg  # noqa: F401
    import imageio_ffmpeg  # noqa: F401
    import ml_dtypes  # noqa: F401
    import numba  # noqa: F401
    import numpy  # noqa: F401
