"""Cases: a conforming stream of the suite, and a few edits of its syntax elements.

Edits are those that vectors are made of (``refcodec.suite.assemble``), drawn by
``refcodec.suite.make.mutations``. A case depends on its number and on the seed of the campaign alone; a
finding is the name of a stream and a list of edits, hence the draft of a vector.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from refcodec.errors import StreamError
from refcodec.suite.assemble import Edit, disassemble, edit_to_json
from refcodec.suite.make.mutations import draw_edit
from refcodec.suite.manifest import load_manifest

__all__ = ["SUITE", "Case", "case", "mutate", "seeds"]

SUITE = Path(__file__).resolve().parents[2] / "bitstreams"

_MOST_EDITS = 4

_LARGEST_SEED = 6000
"""Bytes of a stream that cases are made of, at most."""

_SLOW = 0.1
"""Share of the cases that run ffmpeg, which takes as long as a hundred others."""


@dataclass(frozen=True)
class Case:
    """One input of the fuzzer.

    origin : name of the vector that it was made of.
    edits  : what was changed, as the manifest has it.
    """

    number: int
    origin: str
    edits: list[dict[str, Any]]
    stream: bytes


@cache
def seeds() -> Mapping[str, bytes]:
    """The valid streams of the suite, by name, but for the longest."""
    manifest = load_manifest(SUITE)
    names = {vector.name: vector for vector in manifest.vectors if vector.decoder == "accept"}
    return {
        name: (SUITE / vector.file).read_bytes()
        for name, vector in names.items()
        if vector.size <= _LARGEST_SEED
    }


def case(number: int, seed: int) -> Case:
    """The case of that number, in the campaign of that seed."""
    chance = random.Random(f"{seed}:{number}")
    slow = chance.random() < _SLOW
    names = [name for name in seeds() if name.startswith("hevc") == slow]
    origin = chance.choice(names)
    stream, edits = mutate(seeds()[origin], chance)
    return Case(number, origin, [edit_to_json(edit) for edit in edits], stream)


def mutate(stream: bytes, chance: random.Random) -> tuple[bytes, list[Edit]]:
    """The stream after one to four edits, and those."""
    edits: list[Edit] = []
    for _ in range(chance.randint(1, _MOST_EDITS)):
        try:
            edit = draw_edit(disassemble(stream), chance, list(seeds().values()))
            stream = edit(stream)
        except (StreamError, AssertionError, IndexError, ValueError):
            continue  # nothing is left to edit, or bits that make no whole byte
        edits.append(edit)
    return stream, edits
