"""Fidelity vectors: the numbers that an evaluation of decoded features must give, and verdicts on others.

``bitstreams/fidelity/fidelity.json`` has metrics on small arrays, and the decisions of the demonstration
network's tail on committed streams. ``tools/fidelity/make_fidelity.py`` derives the values in exact
arithmetic.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from refcodec.errors import CallerError
from refcodec.suite.manifest import find_suite

__all__ = [
    "Expected",
    "FidelityVector",
    "Found",
    "Numbers",
    "compare",
    "fidelity_schema",
    "load_fidelity",
    "read_results",
]

Numbers = float | tuple[int, ...]
"""A number, or a list of integers such as classes."""

_LONGEST = 64 << 20
"""Bytes of a file of results that are read at most."""


@dataclass(frozen=True, slots=True)
class Expected:
    """An expected value.

    tolerance : largest difference that passes, relative to the value where that exceeds 1; 0 for integers.
    """

    name: str
    value: Numbers
    tolerance: float


@dataclass(frozen=True, slots=True)
class FidelityVector:
    """A metric and its arguments, or a stream for the network's tail, and what must come out.

    source : paper and equation.
    exact  : the value in words, where it has a short form.
    """

    id: str
    name: str
    metric: str
    source: str
    purpose: str
    inputs: dict[str, Any]
    expected: tuple[Expected, ...]
    exact: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A value of a third party beside the expected one; None where it was not given."""

    vector: FidelityVector
    expected: Expected
    value: Numbers | None

    @property
    def status(self) -> Literal["pass", "fail", "absent"]:
        """The verdict; an absent value has not passed."""
        if self.value is None:
            return "absent"
        return "pass" if _agree(self.expected, self.value) else "fail"


# --- files -----------------------------------------------------------------------------------------


def fidelity_schema() -> dict[str, Any]:
    """The JSON schema of the fidelity vectors."""
    text = (files(__package__) / "fidelity.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def load_fidelity(suite: str | os.PathLike[str] | None = None) -> tuple[FidelityVector, ...]:
    """Load the fidelity vectors of a suite, and check them against their schema.

    suite : its folder; None for the one that comes with refcodec.

    Raises CallerError for a suite without them, or with others than the schema describes.
    """
    import jsonschema

    path = find_suite(suite) / "fidelity" / "fidelity.json"
    content = _read_json(path)
    try:
        jsonschema.validate(content, fidelity_schema())
    except jsonschema.ValidationError as error:
        raise CallerError(f"{path} has no fidelity vectors: {error.message}") from None
    return tuple(map(_vector, content["vectors"]))


def _vector(entry: dict[str, Any]) -> FidelityVector:
    tolerance = entry["tolerance"]
    expected = tuple(
        Expected(name, _numbers(value), tolerance[name])
        for name, value in entry["expected"].items()
    )
    names = ("id", "name", "metric", "source", "purpose", "inputs")
    plain = {name: entry[name] for name in names}
    return FidelityVector(**plain, expected=expected, exact=entry.get("exact", ""))


def read_results(
    path: str | os.PathLike[str], vectors: tuple[FidelityVector, ...]
) -> dict[str, dict[str, Numbers]]:
    """Read a third party's values: by id or name of the vector, then by name of the value.

    A vector with one value may have it without a name. Infinities are written ``"inf"`` and ``"-inf"``.

    Raises CallerError for a file that cannot be read, and for a vector or a value that does not exist.
    """
    content = _read_json(path)
    if not isinstance(content, dict):
        raise CallerError(f"{path} is no object of vectors", hint="see docs/guides/fidelity")
    by_name = {name: vector for vector in vectors for name in (vector.id, vector.name)}
    found: dict[str, dict[str, Numbers]] = {}
    for name, values in content.items():
        vector = by_name.get(name)
        if vector is None:
            raise CallerError(f"{path}: no fidelity vector is called {name!r}")
        wanted = [one.name for one in vector.expected]
        if not isinstance(values, dict):
            values = {wanted[0]: values} if len(wanted) == 1 else {"": values}
        if unknown := [one for one in values if one not in wanted]:
            raise CallerError(
                f"{path}: {name} has no value {unknown[0]!r}", hint=f"it has {', '.join(wanted)}"
            )
        try:
            found[vector.id] = {key: _numbers(value) for key, value in values.items()}
        except (TypeError, ValueError, OverflowError):
            raise CallerError(
                f"{path}: {name} is neither a number nor a list of integers"
            ) from None
    return found


def _read_json(path: str | os.PathLike[str]) -> Any:
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LONGEST + 1)
        if len(data) > _LONGEST:
            raise CallerError(f"{path} is longer than {_LONGEST} bytes")
        return json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, CallerError):
            raise
        raise CallerError(f"cannot read {path} as JSON: {error}") from None


def _numbers(value: Any) -> Numbers:
    """A number or a list of integers from JSON. Raises TypeError or ValueError for anything else."""
    if isinstance(value, list):
        if not all(isinstance(one, int) and not isinstance(one, bool) for one in value):
            raise TypeError("not integers")
        return tuple(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError("not a number")
    return float(value)


# --- verdicts --------------------------------------------------------------------------------------


def compare(
    vectors: tuple[FidelityVector, ...], results: dict[str, dict[str, Numbers]]
) -> list[Found]:
    """Every expected value beside that of a third party.

    results : by id of the vector and name of the value, as `read_results` gives them.
    """
    return [
        Found(vector, one, results.get(vector.id, {}).get(one.name))
        for vector in vectors
        for one in vector.expected
    ]


def _agree(expected: Expected, value: Numbers) -> bool:
    wanted = expected.value
    if isinstance(wanted, tuple) or isinstance(value, tuple):
        return wanted == value
    if math.isinf(wanted) or not math.isfinite(value):
        return wanted == value
    return abs(value - wanted) <= expected.tolerance * max(1.0, abs(wanted))
