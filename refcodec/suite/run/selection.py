"""Choice of vectors: by the profiles and levels that a decoder is claimed for, and by patterns.

The two differ in meaning. A vector outside the :class:`Scope` is *not applicable*: the decoder need not
decode it. A vector that the :class:`Selection` leaves out was merely not run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from refcodec.errors import CallerError
from refcodec.registry import profile_coders, suggest
from refcodec.suite.requirements import requirements_of
from refcodec.syntax.codes import Profile
from refcodec.syntax.structures import SIGNATURE
from refcodec.tables import HIGHEST_LEVEL

if TYPE_CHECKING:
    from refcodec.suite.manifest import Manifest, Vector

__all__ = ["PROFILES", "Scope", "Selection", "split_lists"]

_CODERS = profile_coders()

PROFILES = tuple(profile.name.lower() for profile in _CODERS)
"""Names of the profiles of Annex A."""

_HINT = "refcodec conformance list"


def split_lists(words: Iterable[str]) -> tuple[str, ...]:
    """Words of options that take lists: ``["a,b", "c"]`` is ``("a", "b", "c")``."""
    parts = (part.strip() for word in words for part in word.split(","))
    return tuple(part for part in parts if part)


# --- claims ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scope:
    """The profiles that a decoder is claimed for, and the highest level of each (B.5)."""

    levels: Mapping[str, int] = field(
        default_factory=lambda: dict.fromkeys(PROFILES, HIGHEST_LEVEL)
    )

    @classmethod
    def parse(cls, profiles: Iterable[str] = (), levels: Iterable[str] = ()) -> Scope:
        """Read a scope from words or lists of words.

        profiles : names; none for all profiles. A profile brings those that it includes (A.2).
        levels   : ``2`` for all profiles, or ``native:2``; the highest level where none is given.

        Raises CallerError for a profile or level that does not exist, or a level of an unclaimed profile.
        """
        named = split_lists(profiles) or PROFILES
        for name in named:
            if name not in PROFILES:
                raise CallerError(
                    f"there is no profile {name!r}",
                    hint=suggest(name, PROFILES) or f"choose from {', '.join(PROFILES)}",
                )
        claimed = {inner for name in named for inner in _included(name)}
        found = {name: HIGHEST_LEVEL for name in PROFILES if name in claimed}
        words = [word.rpartition(":")[::2] for word in split_lists(levels)]
        for profile, number in sorted(words):  # those without a profile come first
            if profile and profile not in found:
                raise CallerError(
                    f"the level of profile {profile!r} is given, and the profile is not claimed",
                    hint=f"claimed are {', '.join(found)}",
                )
            found |= dict.fromkeys([profile] if profile else found, _level(number))
        return cls(found)

    def __str__(self) -> str:
        return ", ".join(f"{name} at level {level}" for name, level in self.levels.items())

    def objection(self, suite: Manifest, vector: Vector) -> str:
        """Reason why a vector is not applicable; '' if it is applicable.

        Besides the manifest's profile and level, those that the stream header declares must be claimed: an
        edit may have changed them.
        """
        for profile, level in ((vector.profile, vector.level), _declared(suite, vector)):
            if profile not in self.levels:
                return f"profile {profile} is not claimed"
            if level > self.levels[profile]:
                return f"level {level} of profile {profile} is not claimed"
        return ""


def _included(name: str) -> list[str]:
    """The profiles whose coders a profile has, itself among them."""
    own = _CODERS[Profile[name.upper()]]
    return [profile.name.lower() for profile, coders in _CODERS.items() if coders <= own]


def _level(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= HIGHEST_LEVEL):
        raise CallerError(
            f"there is no level {text!r}", hint=f"levels are 1 to {HIGHEST_LEVEL}, as in native:2"
        )
    return int(text)


def _declared(suite: Manifest, vector: Vector) -> tuple[str, int]:
    """Profile and level of the stream header; those of the manifest where they are undefined."""
    try:
        with suite.path(vector).open("rb") as file:
            head = file.read(7)
    except OSError:
        head = b""  # the run reports it
    known = {int(profile): profile.name.lower() for profile in _CODERS}
    profile, level = vector.profile, vector.level
    if len(head) == 7 and head.startswith(SIGNATURE):
        profile = known.get(head[5], profile)
        level = head[6] >> 4 if 1 <= head[6] >> 4 <= HIGHEST_LEVEL else level
    return profile, level


# --- patterns --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Selection:
    """Patterns that choose vectors: those that match one pattern of every kind that is given.

    only    : shell patterns on ids, names, tags and ``profile:NAME``.
    exclude : likewise, for vectors to leave out.
    clauses : shell patterns on clauses, ``8.6`` includes ``8.6.1``; or on requirements, ``R9.2-7``.
    tags    : shell patterns on tags.
    """

    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    clauses: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        """True if there is no pattern."""
        return not (self.only or self.exclude or self.clauses or self.tags)

    def choose(self, suite: Manifest) -> tuple[Vector, ...]:
        """The chosen vectors of a suite, in its order.

        Raises CallerError for a pattern that matches no vector, or if nothing is chosen.
        """
        chosen = list(suite.vectors)
        for kind, patterns, texts in (
            ("only", self.only, _texts),
            ("clause", self.clauses, _clauses),
            ("tag", self.tags, _tags),
        ):
            matching = _matching(suite, kind, patterns, texts)
            chosen = [one for one in chosen if not patterns or one.id in matching]
        left_out = _matching(suite, "exclude", self.exclude, _texts)
        chosen = [one for one in chosen if one.id not in left_out]
        if not chosen:
            raise CallerError("no vector matches all of the patterns", hint=_HINT)
        return tuple(chosen)


def _matching(
    suite: Manifest,
    kind: str,
    patterns: Iterable[str],
    texts: Callable[[Vector], Iterable[str]],
) -> set[str]:
    """Ids of the vectors that match one of the patterns. Raises CallerError for one without a match."""
    found = set()
    for pattern in patterns:
        own = {
            vector.id
            for vector in suite.vectors
            if any(fnmatchcase(text, pattern) for text in texts(vector))
        }
        if not own:
            raise CallerError(f"no vector matches {kind} {pattern!r}", hint=_HINT)
        found |= own
    return found


def _texts(vector: Vector) -> Iterable[str]:
    return vector.id, vector.name, f"profile:{vector.profile}", *vector.tags


def _tags(vector: Vector) -> Iterable[str]:
    return vector.tags


def _clauses(vector: Vector) -> Iterable[str]:
    """The clauses of a vector, those in which they lie, and the requirements that it tests."""
    yield from (f"R{number}" for number in requirements_of(vector))
    for clause in vector.clauses:
        parts = clause.split(".")
        yield from (".".join(parts[: end + 1]) for end in range(len(parts)))
