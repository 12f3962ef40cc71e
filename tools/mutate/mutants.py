"""All mutants, and which of them are known to be equivalent to the original."""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operators import Site, mutations
from probes import Condition, Map
from targets import Target

_FOLDER = Path(__file__).parent
_LONGEST = 70


@dataclass(frozen=True)
class Mutant:
    """One small change of a target.

    line   : number of the line.
    text   : that line.
    change : what stands there, and what instead.
    piece  : the piece of the code, whose vectors judge; None for a declaration.
    number : among mutants of the same function, line and change.
    """

    target: Target
    line: int
    text: str
    change: str
    piece: int | None
    number: int
    site: Site
    make: Callable[[], ast.AST]

    @property
    def name(self) -> str:
        """File, line, function and change, for people."""
        return (
            f"{self.target.module.file}:{self.line} {self.target.name}: {self.text} [{self.change}]"
        )

    @property
    def key(self) -> str:
        """The same in other words: without the number of the line, and unique."""
        place = f"{self.target.module.file} {self.target.name}"
        return f"{place}: {self.text} [{self.change}] {self.number}"

    def apply(self) -> None:
        """Change the syntax tree of the module."""
        self.site.put(_located(self.make(), self.site.node))


def _located(new: ast.AST, old: ast.AST) -> ast.AST:
    return ast.fix_missing_locations(ast.copy_location(new, old))


def all_mutants(found: list[Target], probed: Map) -> Iterator[Mutant]:
    """Every mutant of the targets, in their order."""
    for target in found:
        lines, seen = target.module.lines, Counter[tuple[str, str]]()
        for site, description, make in mutations(target.node):
            line = getattr(site.node, "lineno", getattr(site.owner, "lineno", 0))
            change = f"{_shown(site.node)} -> {description}"
            piece = probed.piece_of(target, site.node)
            text = lines[line - 1].strip()
            seen[text, change] += 1
            yield Mutant(target, line, text, change, piece, seen[text, change], site, make)


def _shown(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


class Explained:
    """A list of what cannot be found, with reasons: ``equivalent.toml`` or ``unreached.toml``.

    An entry names a file and a function, and a text, which the line of a mutant (or the condition) contains;
    ``change``, if there is one, is contained in the change, or is the outcome of the condition. One item of a
    list suffices. ``number`` tells mutants of one line and change apart.
    """

    def __init__(self, name: str) -> None:
        text = (_FOLDER / name).read_text(encoding="utf-8")
        self.entries: list[dict[str, Any]] = tomllib.loads(text).get("entry", [])
        self.used: set[int] = set()

    def reason(self, file: str, target: str, text: str, change: str, which: int = 1) -> str:
        """The reason that is given; '' for none."""
        for number, entry in enumerate(self.entries):
            if entry["file"] != file or entry.get("function", target) != target:
                continue
            if entry.get("number", which) != which:
                continue
            if _within(entry.get("text", ""), text) and _within(entry.get("change", ""), change):
                self.used.add(number)
                return str(entry["reason"])
        return ""

    def of_mutant(self, one: Mutant) -> str:
        """The reason why a mutant is equivalent."""
        place = one.target.module.file, one.target.name
        return self.reason(*place, one.text, one.change, one.number)

    def of_condition(self, one: Condition, outcome: str) -> str:
        """The reason why a condition never has an outcome, or a piece is never reached."""
        return self.reason(one.target.module.file, one.target.name, one.text, outcome)

    def stale(self) -> list[dict[str, Any]]:
        """Entries that explained nothing."""
        return [one for n, one in enumerate(self.entries) if n not in self.used]


def _within(wanted: str | list[str], text: str) -> bool:
    return any(one in text for one in ([wanted] if isinstance(wanted, str) else wanted))
