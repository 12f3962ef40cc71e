"""Normative numbers as data files, and their loaders (Annex A, clause 8.6.2).

Each loader reads its file once; nothing else in refcodec holds a copy of these numbers. Those that return
arrays import numpy when they are called, so that limits can be asked for at no cost.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "HIGHEST_LEVEL",
    "LONGEST_SEQUENCE",
    "NATIVE_MODEL",
    "STATIC_MODEL",
    "SUBSTREAMS",
    "Level",
    "clause_titles",
    "format_native_model",
    "hevc_constraints",
    "level",
    "levels",
    "power_of_two",
    "scale_deviations",
    "scale_frequencies",
    "static_model",
    "vvc_constraints",
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
    max_sequence_length, max_sequence_samples : features from an access point up to the next, and the samples
                        of their frames, or elements, together.
    max_model_contexts, max_model_tables, max_model_size : contexts and tables of an entropy model, and bytes
                        of its coded tables.
    max_network_weights : weights of all networks of a model.
    max_network_room    : outputs of a layer of a network, or values that a network takes.
    max_network_work    : multiply-accumulates of networks for each element of a feature.
    """

    level_idc: int
    max_elements: int
    max_channels: int
    max_frame_side: int
    max_frame_samples: int
    max_unit_size: int
    max_sequence_length: int
    max_sequence_samples: int
    max_model_contexts: int
    max_model_tables: int
    max_model_size: int
    max_network_weights: int
    max_network_room: int
    max_network_work: int


@cache
def levels() -> dict[int, Level]:
    """All levels by level_idc."""
    return {entry["level_idc"]: Level(**entry) for entry in _toml("levels.toml")["level"]}


HIGHEST_LEVEL = 4

LONGEST_SEQUENCE = 64
"""Most features from an access point up to the next, at the highest level."""

SUBSTREAMS = 64
"""Most substreams of a feature."""


def level(level_idc: int) -> Level | None:
    """One level, or None where no such level is defined."""
    return levels().get(level_idc)


@cache
def clause_titles() -> dict[str, str]:
    """Titles of all clauses of the specification, by number."""
    return {str(number): str(title) for number, title in _toml("clauses.toml")["clauses"].items()}


@cache
def hevc_constraints() -> dict[str, Any]:
    """Constraints on the parameter sets of an HEVC payload (9.3.1): profiles, elements that are zero."""
    return _toml("hevc.toml")


@cache
def vvc_constraints() -> dict[str, Any]:
    """Constraints on the parameter sets of a VVC payload (9.10.1): profiles, elements that are zero."""
    return _toml("vvc.toml")


@cache
def power_of_two() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The tables of 8.6.2: ``coarse[i] = 2^30 * 2^(i / 2^12)``, ``fine[i] = 2^30 * 2^(i / 2^24)``.

    Both have 4096 entries, rounded to nearest.
    """
    import numpy as np

    lines = (files(__package__) / "power_of_two.txt").read_text(encoding="ascii").split("\n")
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    both = np.array(rows, dtype=np.int64)
    return both[:, 0].copy(), both[:, 1].copy()


@cache
def logistic() -> tuple[npt.NDArray[np.int32], ...]:
    """The tables of 8.9.2: stretch (4096 entries), squash (5633) and reciprocal (256).

    As int32: tables that every decision reads should fit the first-level cache.
    """
    import numpy as np

    found: dict[str, list[int]] = {"stretch": [], "squash": [], "reciprocal": []}
    for line in (files(__package__) / "logistic.txt").read_text(encoding="ascii").splitlines():
        name, *values = line.split()
        if name in found:
            found[name] += map(int, values)
    return tuple(np.array(values, dtype=np.int32) for values in found.values())


@cache
def scale_frequencies() -> tuple[npt.NDArray[np.int64], ...]:
    """The frequencies of the family of 8.10.4, by scale: those of the values -R to R, then of the escape."""
    import numpy as np

    found = []
    for line in (files(__package__) / "scales.txt").read_text(encoding="ascii").splitlines():
        if not line.startswith("#"):
            escape, zero, *sides = map(int, line.split())
            found.append(np.array([*reversed(sides), zero, *sides, escape], np.int64))
    return tuple(found)


def scale_deviations() -> npt.NDArray[np.float64]:
    """The standard deviations that the tables of the family of 8.10.4 were made for, by scale."""
    import numpy as np

    return np.geomspace(0.11, 256.0, 64)


NATIVE_MODEL = Path(str(files(__package__))) / "native_model.txt"

STATIC_MODEL = Path(str(files(__package__))) / "static_model.txt"


@cache
def native_model() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The initial states and weights of the native coder (8.3.7.3), in the order of its families."""
    import numpy as np

    states: list[int] = []
    weights: list[int] = []
    for line in NATIVE_MODEL.read_text(encoding="ascii").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "states":
            for entry in rest.split():
                probability, _, seen = entry.strip(".").partition(":")
                states.append(
                    (int(probability or 2048) << 18) + (int(bool(seen)) << 17) + int(seen or 0)
                )
        elif kind == "weights":
            weights += map(int, rest.split())
    return np.array(states, np.int32), np.array(weights, np.int64)


@cache
def static_model() -> dict[str, tuple[list[npt.NDArray[np.int64]], list[int]]]:
    """The tables of the native coder with static tables (8.3.11.2), by group, and those of its contexts.

    Returns, for each group, the frequencies of the symbols of each of its tables, and the number of the
    table that each context begins with.
    """
    import numpy as np

    found: dict[str, tuple[list[npt.NDArray[np.int64]], list[int]]] = {}
    for line in STATIC_MODEL.read_text(encoding="ascii").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "group":
            found[rest] = ([], [])
            members, start = found[rest]
        elif kind == "start":
            start += map(int, rest.split())
        elif kind == "symbols":
            members.append(np.array(rest.split(), np.int64))
        elif kind == "signed":  # each frequency after the first is that of two symbols
            zero, *others = rest.split()
            members.append(np.array([zero, *(f for f in others for _ in (1, -1))], np.int64))
    return found


def format_native_model(
    states: npt.NDArray[np.int32], weights: npt.NDArray[np.int64], digest: str
) -> str:
    """Format states and weights as the text that :func:`native_model` reads.

    digest : SHA-256 of the list of files of the training corpus.
    """
    lines = [
        "# Initial states and weights of the native coder (8.3.7.3), made by tools/train_tables.py",
        f"# from the corpus whose SHA256SUMS has the SHA-256 {digest}.",
        "# A state is probability:count, in units of 2^-12 and taken half a unit higher; a point is one",
        "# that the corpus never met: probability 1/2, count 0. Weights are in units of 2^-16.",
    ]
    for i in range(0, len(states), 48):
        entries = (f"{s >> 18}:{s & 255}" if s & 255 else "." for s in states[i : i + 48].tolist())
        lines.append("states " + " ".join(entries))
    for i in range(0, len(weights), 12):
        lines.append("weights " + " ".join(map(str, weights[i : i + 12].tolist())))
    return "\n".join(lines) + "\n"
