"""Normative numbers as data files, and their loaders (Annex A, clause 8.6.2).

Each loader reads its file once; nothing else in refcodec holds a copy of these numbers.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "HIGHEST_LEVEL",
    "Level",
    "clause_titles",
    "hevc_constraints",
    "level",
    "levels",
    "power_of_two",
]


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads((files(__package__) / name).read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Level:
    """Limits of one level (A.3); a decoder checks them before it allocates.

    max_elements      : elements of one feature.
    max_channels      : channels of one feature; values of an fc feature.
    max_frame_side    : width and height of a coded frame, in samples.
    max_frame_samples : samples of all frames of one feature, padding included.
    max_unit_size     : payload bytes of one unit.
    """

    level_idc: int
    max_elements: int
    max_channels: int
    max_frame_side: int
    max_frame_samples: int
    max_unit_size: int


@cache
def levels() -> dict[int, Level]:
    """All levels by level_idc."""
    return {entry["level_idc"]: Level(**entry) for entry in _toml("levels.toml")["level"]}


HIGHEST_LEVEL = 4


def level(level_idc: int) -> Level | None:
    """One level, or None where no such level is defined."""
    return levels().get(level_idc)


@cache
def clause_titles() -> dict[str, str]:
    """Titles of all clauses of the specification, by number."""
    return {str(number): str(title) for number, title in _toml("clauses.toml")["clauses"].items()}


@cache
def hevc_constraints() -> dict[str, Any]:
    """What the parameter sets of an HEVC payload may say (9.3.1): profiles, elements that are zero."""
    return _toml("hevc.toml")


@cache
def power_of_two() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The tables of 8.6.2: ``coarse[i] = 2^30 * 2^(i / 2^12)``, ``fine[i] = 2^30 * 2^(i / 2^24)``.

    Both have 4096 entries, rounded to nearest.
    """
    lines = (files(__package__) / "power_of_two.txt").read_text(encoding="ascii").split("\n")
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    both = np.array(rows, dtype=np.int64)
    return both[:, 0].copy(), both[:, 1].copy()
