"""First symbols of payloads with static tables, traced in the functions that the specification lists."""

# ruff: noqa: D102 (what run() does, the class says)

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from decisions import SHOWN, SUITE, Done, interpreted, payloads
from docutils import nodes
from generated import Cell, Generated, table
from markup import reference

from refcodec.coders.native_static.contexts import EQUIPROBABLE, GROUPS
from refcodec.coders.native_static.symbols import POSITION
from refcodec.coders.protocol import Payload
from refcodec.entropy.static import PRECISION


@dataclass
class Symbol:
    """One symbol.

    function : listing that asks for it.
    table    : number of the table of its context.
    before   : state of the lane, and ``after`` it, a word that it has taken included.
    low      : cumulative frequency below the symbol.
    words    : those taken so far.
    gives    : values that it completes.
    """

    function: str
    context: int
    table: int
    before: int
    low: int
    frequency: int
    symbol: int
    after: int
    words: int
    gives: list[str] = field(default_factory=list)


class Recorder:
    """Notes the symbols of a decoder, from the first call of function ``start`` on."""

    def __init__(self, start: str) -> None:
        self.start, self.open = start, False
        self.symbols: list[Symbol] = []
        self.calls: list[str] = []
        self.context = self.bits = 0

    def replace(self, name: str, function: Any) -> Any:
        """A function that notes its calls, and calls the one given."""

        def call(*given: Any) -> Any:
            self.open = self.open or name == self.start
            if name == "code_symbol":
                self.context = given[1]
            elif name == "code_bits":
                self.bits = given[2]
            elif name == "take":
                return self._note(function, *given)
            self.calls.append(name)
            found = function(*given)
            self.calls.pop()
            if (
                name.startswith("code_")
                and isinstance(found, int)
                and self.symbols
                and name != "code_symbol"
            ):
                self.symbols[-1].gives.append(f"{name} = {found}".replace("-", "\N{MINUS SIGN}"))
            return found

        return call

    def _note(self, take: Any, s: Any, lane: int, state: int) -> None:
        """Note a symbol, whose lane takes a new state."""
        context, before = self.context, int(s.states[lane])
        if self.calls[-1] == "code_bits":
            width = min(self.bits, 8)
            self.bits -= width
            context = EQUIPROBABLE + width
        take(s, lane, state)
        if not self.open:
            return
        if len(self.symbols) == SHOWN:
            raise Done
        number = int(s.table_of[context])
        bounds = s.tables.bounds[s.tables.begin[number] : s.tables.begin[number + 1]]
        found = int(np.searchsorted(bounds, before % (1 << PRECISION), "right")) - 1
        low, high = map(int, bounds[found : found + 2])
        asking = next((one for one in reversed(self.calls) if one not in _PARTS), "")
        after, words = int(s.states[lane]), int(s.cursor[POSITION])
        given = asking, context, number, before, low, high - low, found, after, words
        self.symbols.append(Symbol(*given))


_PARTS = {"code_symbol", "code_bits", "code_level", "code_number", "code_large", "code_low_bits"}
"""Functions that other functions code values with."""


def first_symbols(payload: Payload, start: str) -> list[Symbol]:
    """The first symbols from the call of a function on; of a payload without substreams."""
    recorder, fps = Recorder(start), payload.fps
    decode = interpreted(recorder.replace)["decode_substream"]
    samples = np.empty((fps.channels, fps.height, fps.width), np.int32)
    with suppress(Done):
        decode(payload, payload.data, range(fps.channels), samples)
    return recorder.symbols


def name_of(context: int) -> str:
    """The group of a context, and its number in it."""
    if context > EQUIPROBABLE:
        return f"bits, {context - EQUIPROBABLE}"
    first = 0
    for name, group in GROUPS.items():
        if context < first + group.contexts:
            return f"{name} {context - first}"
        first += group.contexts
    raise ValueError(f"there is no context {context}")


class Symbols(Generated):
    """``.. symbols:: vector [FUNCTION]``: the first symbols of a payload; from the call of FUNCTION on."""

    required_arguments = 1
    optional_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        path = SUITE / "valid" / name / "stream.dfc"
        self.env.note_dependency(str(path))
        self.env.note_dependency(__file__)
        ((payload, _),) = islice(payloads(path.read_bytes()), 1)
        start = self.arguments[1] if len(self.arguments) > 1 else "decode_substream"
        made = nodes.paragraph(
            "",
            "",
            nodes.Text("The payload of vector "),
            reference("vector", name, nodes.literal("", name)),
            nodes.Text(f" has {len(payload.data)} bytes, the first of which are "),
            nodes.literal("", payload.data[:16].hex(" ")),
            nodes.Text("."),
        )
        return [*self.parse_content_to_nodes(), made, _table(first_symbols(payload, start))]


def _table(symbols: list[Symbol]) -> nodes.table:
    rows: list[list[Cell]] = []
    for i, one in enumerate(symbols):
        slot = one.before & (1 << PRECISION) - 1
        numbers = name_of(one.context), one.table, slot, one.symbol, one.low, one.frequency
        state = f"``{one.after:08x}``", str(one.words)
        rows.append([str(i + 1), one.function, *map(str, numbers), *state, ", ".join(one.gives)])
    head = ["", "Asked by", "Context", "Table", "Slot", "Symbol", "Low", "Frequency", "New state"]
    return table([*head, "Words taken", "Completes"], rows, "decisions")


def setup(app: Any) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("symbols", Symbols)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
