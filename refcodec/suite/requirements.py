"""Requirements of the specification and the vectors that test them: ``requirements.toml``, read once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refcodec.suite.manifest import Vector

__all__ = ["requirements_of"]


def requirements_of(vector: Vector, *, own: bool = False) -> tuple[str, ...]:
    """Numbers of the requirements that a vector tests, ``9.2-7``: its own, followed by those of its folder.

    own : leave out requirements that all valid, or all invalid vectors test.
    """
    tested = _by_vector()
    folder = vector.file.partition("/")[0]
    shared = () if own else tested.get(folder, ())
    return tested.get(vector.name, ()) + shared


@cache
def _by_vector() -> Mapping[str, tuple[str, ...]]:
    """Requirements by the name of a vector, or of the folder for which they stand."""
    text = (files(__package__) / "requirements.toml").read_text(encoding="utf-8")
    found: dict[str, tuple[str, ...]] = {}
    for number, entry in tomllib.loads(text).items():
        for name in entry.get("vectors", ()):
            found[name] = (*found.get(name, ()), number)
    return found
