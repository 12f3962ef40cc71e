"""The tables of the specification: computed where a formula gives them, else read; hashes are checked.

``native_model.txt``, ``floats.txt`` and ``static_model.txt`` are trained: no formula gives them. They are
data that belongs to the specification (8.3.7.3, 8.3.8.2, 8.3.11.2) and is read from where the repository
keeps it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from .bits import Integers

FOLDER = Path(__file__).resolve().parents[2] / "refcodec" / "tables"
CENTRE = 2816  # of SQUASH: the stretched probability 0

HASHES = {
    "power_of_two": "bfd76e332187d4b04e77dfd941e5421b637a7d7b0340c45b8713c061df9f285c",
    "stretch": "73a73389b407d0fd7084e53dec43b3844ae0fb2381efa582d1d55f97133f1ff3",
    "squash": "9b95280411671fc94a9ff32d2fd4d28ecc10bfb97be2ff471a7ca5605ce75d4d",
    "reciprocal": "32a22c19139add6e8b3dee6b910ccc4c0d9deb58d3f43da5a98de18e9328134b",
    "native states": "4c98a51dbe0773a50968aa790748337da70ceb3537d64e16d5ce36cc1b9392e5",
    "native weights": "03cc3d4d16ba59b25ea463b30cbd1b97ced6870650a8c92f1866b4a3c7ebb066",
    "float states": "8af25e6bc239ab3837f0abfaa8a500a7c78c0f94637545d498e299a2973fbfee",
    "scales": "509b0f1202e8a775477427fe83b3bd9e46ecc28a55aee0d5973b01e06b3aca1e",
    "static frequencies": "27be61c3f3c4cb7783290bb2782f54d50d44318fbbdb3e007404420efad67ce3",
    "static first tables": "a9838cff83733a50a6fb9a0f4d288486518d2c07155d691584c3b18798386aab",
    "float weights": "ee252ed524add13f303c66233da7513851aed4b5e78cbf67e76fbeec953712d1",
}


def checked(name: str, entries: Sequence[int]) -> list[int]:
    """The entries of a table, if their hash is that of the specification."""
    data = np.array(entries, "<i8").tobytes()
    if hashlib.sha256(data).hexdigest() != HASHES[name]:
        raise ValueError(f"the table {name} differs from that of the specification")
    return list(entries)


def lines_of(name: str) -> list[str]:
    """The lines of a file of tables, without comments."""
    lines = (FOLDER / name).read_text(encoding="ascii").splitlines()
    return [line for line in lines if not line.startswith("#")]


def centred(probability: int, seen: int) -> int:
    """The state of a probability in the middle of a unit of 2^-12, and of a count (8.3.7.3)."""
    return ((2 * probability + 1) << 17) + seen


@cache
def stretch() -> list[int]:
    """STRETCH of 8.9.2."""
    logits = (256 * math.log((2 * i + 1) / (8191 - 2 * i)) for i in range(4096))
    return checked("stretch", [round(logit) for logit in logits])


@cache
def squash() -> list[int]:
    """SQUASH of 8.9.2."""
    chances = (65536 / (1 + math.exp(-(i - CENTRE) / 256)) for i in range(2 * CENTRE + 1))
    return checked("squash", [min(max(round(chance), 32), 65504) for chance in chances])


@cache
def reciprocal() -> list[int]:
    """RECIPROCAL of 8.9.2."""
    return checked("reciprocal", [round(65536 / (i + 1.6)) for i in range(256)])


@cache
def power_of_two() -> tuple[Integers, Integers]:
    """*coarse* and *fine* of 8.6.2."""
    coarse = [round(2 ** (30 + i / 4096)) for i in range(4096)]
    fine = [round(2 ** (30 + i / 4096**2)) for i in range(4096)]
    checked("power_of_two", coarse + fine)
    return np.array(coarse), np.array(fine)


@cache
def native_model() -> tuple[list[int], list[int]]:
    """The initial states and weights of the native coder (8.3.7.3)."""
    states: list[int] = []
    weights: list[int] = []
    for line in lines_of("native_model.txt"):
        kind, *entries = line.split()
        if kind == "weights":
            weights += map(int, entries)
            continue
        for entry in entries:
            probability, _, seen = entry.partition(":")
            states.append(1 << 29 if entry == "." else centred(int(probability), int(seen)))
    return checked("native states", states), checked("native weights", weights)


@cache
def float_model() -> tuple[list[int], list[int]]:
    """The initial states and weights of the context mode (8.3.8.2)."""
    numbers = [int(number) for line in lines_of("floats.txt") for number in line.split()]
    states = [centred(*divmod(number, 64)) for number in numbers[:8002]]
    return checked("float states", states), checked("float weights", numbers[8002:])


@cache
def scales() -> list[list[int]]:
    """The frequencies of the tables by scale (8.10.4): those of the values -k to k, then of the escape."""
    tables: list[list[int]] = []
    for line in lines_of("scales.txt"):
        escape, *sides = map(int, line.split())
        tables.append([*sides[:0:-1], *sides, escape])
    checked("scales", [entry for table in tables for entry in table])
    return tables


@cache
def static_model() -> list[tuple[list[list[int]], list[int]]]:
    """The tables of each group, as frequencies, and those that its contexts begin with (8.3.11.2)."""
    groups: list[tuple[list[list[int]], list[int]]] = []
    for line in lines_of("static_model.txt"):
        kind, *entries = line.split()
        if kind == "group":
            groups.append(([], []))
            tables, start = groups[-1]
        elif kind == "start":
            start += map(int, entries)
        elif kind == "symbols":
            tables.append([int(entry) for entry in entries])
        else:  # signed: after the first, each stands for two symbols
            zero, *pairs = map(int, entries)
            tables.append([zero, *(entry for entry in pairs for _ in range(2))])
    frequencies = [entry for tables, _ in groups for table in tables for entry in table]
    checked("static frequencies", frequencies)
    checked("static first tables", [number for _, start in groups for number in start])
    return groups
