"""Syntax elements, values and tools that a set of streams uses, and those that it never does.

An encoder shows what it writes only by streams that have it. Elements and code points are taken from the
declarations, tools from the labels of the suite's vectors of the same profiles.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from typing import Any

from construct import Array as Repeat
from construct import IfThenElse, Switch

from refcodec.inspector import inspect_units
from refcodec.registry import profile_coders
from refcodec.suite.assemble import own_elements
from refcodec.suite.derive import labels
from refcodec.suite.manifest import Manifest
from refcodec.syntax.codes import Coder, Profile, UnitType, is_kept
from refcodec.syntax.descriptors import AlignmentBits, Descriptor, U
from refcodec.syntax.structures import (
    FEATURE_PARAMETERS,
    METADATA_ENTRY,
    STREAM_HEADER,
    UNIT_HEADER,
    UNIT_STRUCTURES,
)

__all__ = ["Coverage"]

_PARENTS = {"unit": "unit_header", "parameters": "feature_parameters", "entries": "metadata_entry"}
"""Titles of structures whose elements have another parent in a trace."""


@dataclass(slots=True)
class Coverage:
    """The elements, values and tools that were met.

    elements : number of each element, by structure and name.
    values   : values of each flag and enumeration.
    tools    : labels, as the manifest has them.
    profiles : profiles of the streams.
    """

    elements: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    values: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    tools: set[str] = field(default_factory=set)
    profiles: set[Profile] = field(default_factory=set)

    def add(self, stream: bytes) -> None:
        """Add a conforming stream."""
        domains = _domains()
        for unit in inspect_units(stream):
            for one in own_elements(unit.elements):
                *_, parent, name = one.path.split(".")
                key = f"{_PARENTS.get(parent, parent)}.{name}"
                self.elements[key] += 1
                if key in domains:
                    self.values[key].add(int(one.value))
        found = labels(stream)
        self.tools |= set(found.tags)
        self.profiles.add(Profile[found.profile.upper()])

    @property
    def declared(self) -> tuple[str, ...]:
        """All elements that a stream may have."""
        return _declared()

    def unused_elements(self) -> list[str]:
        """Declared elements that no stream has."""
        return [name for name in self.declared if not self.elements.get(name)]

    def unused_values(self) -> dict[str, list[str]]:
        """Values that no stream gives to an element which some stream has; coders only of its profiles."""
        allowed = {coder for one in self.profiles for coder in profile_coders()[one]}
        found: dict[str, list[str]] = {}
        for name, domain in _domains().items():
            rest = [
                text
                for value, text in domain.items()
                if value not in self.values[name]
                and not (name.endswith(".coder_id") and Coder(value) not in allowed)
            ]
            if rest and self.elements.get(name):
                found[name] = rest
        return found

    def unused_tools(self, suite: Manifest) -> list[str]:
        """Labels of the suite's valid vectors, of the profiles of the streams, that no stream has."""
        profiles = {profile.name.lower() for profile in self.profiles} | {"lossless"}
        known = {
            tag
            for vector in suite.vectors
            if vector.decoder == "accept" and vector.profile in profiles
            for tag in vector.tags
        }
        return sorted(known - self.tools - _NO_TOOLS, key=_by_number)

    def as_json(self, suite: Manifest) -> dict[str, Any]:
        """The coverage as JSON types."""
        return {
            "profiles": sorted(profile.name.lower() for profile in self.profiles),
            "elements": {name: self.elements.get(name, 0) for name in _declared()},
            "unused_elements": self.unused_elements(),
            "unused_values": self.unused_values(),
            "tools": sorted(self.tools),
            "unused_tools": self.unused_tools(suite),
        }


_NO_TOOLS = frozenset({"small", "empty", "newer-minor-version", "reserved-bits", "unknown-unit"})
"""Labels of a vector that say nothing of an encoder, or that no encoder of this version may earn."""


def _by_number(label: str) -> list[str | int]:
    """Sort key in which ``bits:2`` precedes ``bits:10``."""
    parts = re.split(r"(\d+)", label)
    return [int(part) if number % 2 else part for number, part in enumerate(parts)]


# --- declarations ----------------------------------------------------------------------------------


def _structures() -> Iterable[Any]:
    own = (STREAM_HEADER, UNIT_HEADER, FEATURE_PARAMETERS, METADATA_ENTRY)
    return (*own, *dict.fromkeys(UNIT_STRUCTURES.values()))


@cache
def _declared() -> tuple[str, ...]:
    """Elements that occupy bits, by structure and name, but for alignment."""
    return tuple(
        f"{structure.title}.{one.name}"
        for structure in _structures()
        for one in structure.subcons
        if any(_is_element(coding) for coding in _codings(one.subcon))
    )


@cache
def _domains() -> Mapping[str, Mapping[int, str]]:
    """The values of flags, of enumerations, and of codes of two bits, with their names."""
    found: dict[str, Mapping[int, str]] = {"unit_header.unit_type": _names(UnitType)}
    for structure in _structures():
        for one in structure.subcons:
            for coding in _codings(one.subcon):
                if isinstance(coding, U) and not one.name.startswith("reserved"):
                    domain = _domain(coding)
                    if domain:
                        found[f"{structure.title}.{one.name}"] = domain
    return found


def _domain(coding: U) -> dict[int, str]:
    if coding.values is not None:
        return _names(coding.values)
    if coding.width <= 2:
        return {value: str(value) for value in range(1 << coding.width)}
    return {}


def _names(codes: type[IntEnum]) -> dict[int, str]:
    return {int(code): code.name.lower() for code in codes if not is_kept(code)}


def _is_element(coding: Any) -> bool:
    """True for what is written: a descriptor, but not a structure, which has elements of its own."""
    return isinstance(coding, Descriptor) and not isinstance(coding, AlignmentBits)


def _codings(coding: Any) -> Iterator[Any]:
    """The codings that the conditions of a declaration lead to."""
    if isinstance(coding, IfThenElse):
        yield from _codings(coding.thensubcon)
        yield from _codings(coding.elsesubcon)
    elif isinstance(coding, Repeat):
        yield from _codings(coding.subcon)
    elif isinstance(coding, Switch):
        for one in (*coding.cases.values(), coding.default):
            yield from _codings(one)
    else:
        yield coding
