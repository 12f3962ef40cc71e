"""Traces the way of one small feature through refcodec: which rooms it enters, in which order.

    python tools/trace_feature.py [--coder hevc] [--tree]

A *room* is a top-level module or package of refcodec: ``reader``, ``syntax``, ``coders``. A room is open
while a call into it has not returned. It should be entered once, in the order of the data: the table
shows the rooms in the order of their first entry, and those to which the way came back after another room,
with the number of times. Calls of one room in a row are one entry.

*Leaf helpers* are put aside: rooms that call no other room, and rooms that call no others than these, as
the trace itself tells; ``--depth 1`` leaves it at the first. A generator begins when it is
first asked for a value; that it goes on later is no new entry, but counted apart (*resumed*). A *call
back* enters a room that is still open, from a room that it called.

*Calls* are Python calls of functions and methods; C functions, the inside of compiled kernels and other
packages do not show. *Switches* are calls to a function of another file, or room, than that of the call
before; ``--without syntax/bits.py syntax/descriptors.py`` leaves out what is done for every element of
the syntax. Each action has run before it is traced, so that neither imports nor compilation count.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from rich import box, console, table, tree  # noqa: E402

__all__ = ["Trace", "Visit", "main", "trace"]

DEPTH = 2
"""Depth of leaf helpers: rooms that call no other room, and those that call only these."""

_SUSPENDS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

_PARTS_OF_FUNCTIONS = ("<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>")
"""Code that has frames of its own, in some versions of Python, but is part of a function."""


# --- what a trace holds ----------------------------------------------------------------------------


@dataclass
class Visit:
    """A stay in one room, from the call that enters it until that call returns.

    function : the function that was called, or resumed.
    kind     : ``entered``, ``entered again``, ``called back`` or ``resumed``.
    visits   : stays in other rooms, that were called from here.
    """

    room: str
    function: str
    kind: str
    visits: list[Visit] = field(default_factory=list)

    def walk(self) -> Iterator[Visit]:
        """This stay and all those inside it, in the order of their beginning."""
        yield self
        for one in self.visits:
            yield from one.walk()


@dataclass
class Trace:
    """Calls in a package while an action ran.

    files   : file of each call, relative to the package, in order.
    resumed : times that a generator went on.
    visits  : stays in rooms, nested as the calls were.
    """

    files: list[str] = field(default_factory=list)
    resumed: int = 0
    visits: list[Visit] = field(default_factory=list)

    def walk(self) -> Iterator[Visit]:
        """All stays, in the order of their beginning."""
        for one in self.visits:
            yield from one.walk()

    def rooms(self) -> list[str]:
        """Rooms in the order of their first entry."""
        return list(dict.fromkeys(one.room for one in self.walk()))

    def count(self, *kinds: str) -> Counter[str]:
        """Stays of these kinds, by room."""
        return Counter(one.room for one in self.walk() if one.kind in kinds)

    def helpers(self, depth: int = DEPTH) -> list[str]:
        """Leaf helpers, in the order of their first entry.

        depth : 0 for none, 1 for rooms that call no other, 2 for those that call no others than such
                ones as well, and so on. The first room is never a helper.
        """
        below: dict[str, set[str]] = {room: set() for room in self.rooms()}
        for one in self.walk():
            below[one.room].update(inner.room for inner in one.visits if inner.kind != "resumed")
        found: set[str] = set()
        for _ in range(depth):
            found |= {room for room, called in below.items() if called - {room} <= found}
        return [room for room in self.rooms()[1:] if room in found]

    def _entered_again(self, helpers: Sequence[str]) -> dict[str, int]:
        """Rooms to which the way came back after another one, and how often; without helpers."""
        way = [
            one.room
            for one in self.walk()
            if one.kind in ("entered", "entered again") and one.room not in helpers
        ]
        entries = Counter(room for room, _ in groupby(way))
        return {room: times - 1 for room, times in entries.items() if times > 1}

    def as_json(self, depth: int = DEPTH, without: Sequence[str] = ()) -> dict[str, Any]:
        """The figures of the table as JSON types.

        without : files whose calls are left out of files and switches.
        """
        files = [one for one in self.files if one not in without]
        helpers = self.helpers(depth)
        entries = self.count("entered", "entered again", "called back")

        def proper(counts: Mapping[str, int]) -> dict[str, int]:
            return {room: times for room, times in counts.items() if room not in helpers}

        return {
            "calls": len(self.files),
            "resumed": self.resumed,
            "files": sorted(set(files)),
            "file_switches": _switches(files),
            "room_switches": _switches([room_of(one) for one in files]),
            "rooms": [room for room in self.rooms() if room not in helpers],
            "entered_again": self._entered_again(helpers),
            "called_back": proper(self.count("called back")),
            "helpers": {room: entries[room] for room in helpers},
        }


def room_of(file: str) -> str:
    """The room of a file: the top-level module or package that it belongs to."""
    return file.partition("/")[0].removesuffix(".py")


def _switches(names: Sequence[str]) -> int:
    """Neighbours that differ."""
    return sum(one != other for one, other in pairwise(names))


# --- tracing ---------------------------------------------------------------------------------------


def trace(action: Callable[[], object], package: Path) -> Trace:
    """Run an action, and note what it calls in the package of that folder.

    Only calls of the thread that asks are seen. What the action raises is passed on.
    """
    tracer = _Tracer(package)
    before = sys.getprofile()
    sys.setprofile(tracer)
    try:
        action()
    finally:
        sys.setprofile(before)
    return tracer.trace


class _Tracer:
    """A profile function that keeps a stack of the package's frames, each with the stay it is part of."""

    def __init__(self, package: Path) -> None:
        self.trace = Trace()
        self._package = package.resolve()
        self._files: dict[CodeType, str] = {}
        self._stack: list[tuple[FrameType, Visit]] = []
        self._begun: set[FrameType] = set()  # generators
        self._known: set[str] = set()  # rooms

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if event not in ("call", "return") or not (file := self._file(frame.f_code)):
            return
        if event == "call":
            self._enter(frame, file)
        elif any(frame is other for other, _ in self._stack):
            while self._stack.pop()[0] is not frame:
                pass  # a frame that ended unseen

    def _file(self, code: CodeType) -> str:
        """File of a function, relative to the package; '' for those of others, and for modules."""
        if code not in self._files:
            path = Path(code.co_filename).resolve()
            inside = path.is_relative_to(self._package) and code.co_name != "<module>"
            self._files[code] = path.relative_to(self._package).as_posix() if inside else ""
        return self._files[code]

    def _enter(self, frame: FrameType, file: str) -> None:
        code, room = frame.f_code, room_of(file)
        resumed = frame in self._begun or code.co_name == "<genexpr>"
        if code.co_flags & _SUSPENDS:
            self._begun.add(frame)
        if resumed:
            self.trace.resumed += 1
        elif code.co_name not in _PARTS_OF_FUNCTIONS:
            self.trace.files.append(file)
        visit = self._stack[-1][1] if self._stack else None
        if visit is None or visit.room != room:
            siblings = visit.visits if visit else self.trace.visits
            visit = Visit(room, code.co_qualname, "resumed" if resumed else self._kind(room))
            siblings.append(visit)
            self._known.add(room)
        self._stack.append((frame, visit))

    def _kind(self, room: str) -> str:
        """Kind of a stay that begins with a call from another room."""
        if any(visit.room == room for _, visit in self._stack):
            return "called back"
        return "entered again" if room in self._known else "entered"


# --- the feature -----------------------------------------------------------------------------------


def trace_feature(coder: str, shape: Sequence[int]) -> dict[str, Trace]:
    """Traces of encode, decode and validate for one feature, C x H x W."""
    import numpy as np

    import refcodec

    encode, decode, validate = refcodec.encode, refcodec.decode, refcodec.validate
    feature = np.random.default_rng(0).standard_normal(shape, np.float32)
    data = encode(feature, coder=coder, workers=1)
    actions: dict[str, Callable[[], object]] = {
        "encode": lambda: encode(feature, coder=coder, workers=1),
        "decode": lambda: decode(data),
        "validate": lambda: validate(data),
    }
    found = {}
    for name, action in actions.items():
        action()
        found[name] = trace(action, Path(refcodec.__file__).parent)
    return found


# --- showing ---------------------------------------------------------------------------------------


def trace_table(figures: Mapping[str, dict[str, Any]]) -> table.Table:
    """Figures as :meth:`Trace.as_json` gives them, a column for each action."""
    shown = table.Table(box=box.SIMPLE_HEAD)
    shown.add_column("")
    for name in figures:
        shown.add_column(name)
    columns = figures.values()
    shown.add_row("calls", *(f"{one['calls']:,}" for one in columns))
    shown.add_row("generators resumed", *(f"{one['resumed']:,}" for one in columns))
    shown.add_row("files", *(f"{len(one['files']):,}" for one in columns))
    shown.add_row("switches between files", *(f"{one['file_switches']:,}" for one in columns))
    shown.add_row("switches between rooms", *(f"{one['room_switches']:,}" for one in columns))
    shown.add_section()
    shown.add_row("rooms, by first entry", *("\n".join(one["rooms"]) for one in columns))
    for title, key in (
        ("entered again", "entered_again"),
        ("called back", "called_back"),
        ("leaf helpers: entries", "helpers"),
    ):
        shown.add_section()
        shown.add_row(title, *(_counts(one[key]) for one in columns))
    return shown


def _counts(counts: Mapping[str, int]) -> str:
    if not counts:
        return "none"
    return "\n".join(f"{room} {times}" for room, times in counts.items())


def room_tree(name: str, found: Trace) -> tree.Tree:
    """Stays nested as the calls were; equal ones in a row are one line."""
    top = tree.Tree(name)

    def grow(branch: tree.Tree, visits: Sequence[Visit]) -> None:
        for text, same in groupby(visits, key=_line):
            own = list(same)
            times = f"  x {len(own)}" if len(own) > 1 else ""
            grow(branch.add(text + times), [inner for one in own for inner in one.visits])

    grow(top, found.visits)
    return top


def _line(visit: Visit) -> str:
    kind = "" if visit.kind == "entered" else f"  ({visit.kind})"
    return f"{visit.room}: {visit.function}{kind}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Trace one feature, and print what was found."""
    parser = argparse.ArgumentParser(
        prog="trace_feature.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--coder", default="native", help="payload coder (default native)")
    add("--shape", type=int, nargs=3, default=(4, 16, 16), metavar=("C", "H", "W"))
    add(
        "--depth", type=int, default=DEPTH, help=f"depth of leaf helpers (default {DEPTH}; 0: none)"
    )
    add("--without", nargs="+", default=(), metavar="FILE", help="files that do not count")
    add("--json", action="store_true", help="print the figures as JSON")
    add("--tree", action="store_true", help="print the calls from room to room as well")
    options = parser.parse_args(arguments)
    traces = trace_feature(options.coder, options.shape)
    figures = {
        name: found.as_json(options.depth, options.without) for name, found in traces.items()
    }
    if options.json:
        print(json.dumps(figures, indent=1))
        return 0
    out = console.Console(highlight=False, markup=False)
    out.print(trace_table(figures))
    if options.tree:
        for name, found in traces.items():
            out.print(room_tree(name, found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
