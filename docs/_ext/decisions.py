"""First decisions of payloads of the native coders, traced in the functions that the specification lists.

The kernels run as plain Python, each with the globals of its module; in these, some of them are replaced by
functions that note what goes in and out. What a table shows is so what the reference software computes.
"""

# ruff: noqa: D102 (what run() does, the class says)

from __future__ import annotations

import inspect
import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import FunctionType
from typing import Any

from docutils import nodes
from generated import Cell, Generated, table
from markup import reference

from refcodec.coders import payload_coder
from refcodec.coders.native import payload as native
from refcodec.coders.native.decisions import FAMILIES, Family
from refcodec.coders.native.head import named_elements, read_head, step_sizes
from refcodec.coders.native_lossless import context, fast
from refcodec.coders.native_lossless import payload as lossless
from refcodec.coders.native_lossless.fast import RANKS
from refcodec.coders.native_lossless.header import FAST_MODE
from refcodec.coders.native_static import payload as static
from refcodec.coders.protocol import Machine, Payload, Reference
from refcodec.kernel import KERNELS
from refcodec.ranges import convert_reference
from refcodec.stream.walk import Walk, coded_units
from refcodec.syntax.codes import Coder
from refcodec.syntax.structures import STREAM_HEADER_SIZE
from refcodec.syntax.units import parse_stream_header

SUITE = Path(__file__).resolve().parents[2] / "bitstreams"
SHOWN = 10
"""Decisions of an example."""

_NAMES = {family: name.upper() for name, family in FAMILIES.items()}

_PLAIN: list[Callable[..., Any]] = [
    *(native.decode_payload, native.code_payload, native._start, native._finish),
    *(lossless.decode_words, context.decode_context, fast.decode_fast),
    *(static.decode_substream, static.decode_head, static.code_feature),
]
"""Functions that call kernels and are none themselves."""


class Done(Exception):
    """Enough has been seen."""


@dataclass
class Decision:
    """One decision.

    asked    : functions that are running, outermost first, and the question.
    contexts : contexts, or states, that predict it.
    gives    : values that it completes.
    """

    asked: str
    contexts: str
    probability: int
    bit: int
    width: int
    code: int
    read: int
    gives: list[str] = field(default_factory=list)


# --- running the kernels as plain Python ----------------------------------------------------------------


def interpreted(replace: Callable[[str, Any], Any]) -> dict[str, Callable[..., Any]]:
    """All kernels, and the functions around them, interpreted; ``replace(name, function)`` may wrap each."""
    plain = {function.__qualname__ + function.__module__: function for function in KERNELS.values()}
    plain |= {function.__qualname__ + function.__module__: function for function in _PLAIN}
    spaces = {one.__module__: dict(one.__globals__) for one in plain.values()}
    made = {
        key: FunctionType(one.__code__, spaces[one.__module__], one.__name__, one.__defaults__)
        for key, one in plain.items()
    }
    wrapped = {key: replace(one.__name__, one) for key, one in made.items()}
    for space in spaces.values():
        for name, value in list(space.items()):
            own = getattr(value, "py_func", value)
            if isinstance(own, FunctionType):
                space[name] = wrapped.get(own.__qualname__ + own.__module__, value)
    return {one.__name__: wrapped[key] for key, one in made.items()}


class Recorder:
    """Notes the decisions of a decoder from the call of function ``after`` on, or the end of it."""

    def __init__(self, after: str, *, within: bool) -> None:
        self.decisions: list[Decision] = []
        self.calls: list[str] = []
        self.after, self.within, self.open = after, within, False
        self.question = self.contexts = ""

    def replace(self, name: str, function: Any) -> Any:
        """A function that notes its calls, and calls the one given."""

        def call(*given: Any) -> Any:
            if name == self.after and self.within:
                self.open = True
            self._before(name, given)
            self.calls.append(name)
            found = function(*given)
            self.calls.pop()
            self._behind(name, given, found)
            if name == self.after:
                self.open = True
            return found

        return call

    def _before(self, name: str, given: tuple[Any, ...]) -> None:
        if name == "code_decision":
            _, _, _, family, contexts, _, flag, _ = given
            self.question = f"{_NAMES[Family(*family)]}, flag {flag}"
            self.contexts = " ".join(str(int(one)) for one in contexts)

    def _behind(self, name: str, given: tuple[Any, ...], found: Any) -> None:
        if name == "decode_bit":
            coder, _, probability = given
            self._note(probability, found, int(coder[0]), int(coder[1]), int(coder[2]))
        elif name == "decode_decision":
            self._note(given[4], *found)
        elif name == "code_decision":
            self.question = self.contexts = ""
        elif name.endswith("_states"):
            self.question = name.removesuffix("_states")
            self.contexts = " ".join(map(str, found))
        elif name.startswith(("code_", "take_")) and isinstance(found, int) and self.decisions:
            here = self.decisions[-1].gives
            if not name.startswith(("code_bit", "code_payload")) or name == "code_bits":
                here.append(f"{name} = {found}".replace("-", "\N{MINUS SIGN}"))

    def _note(self, probability: int, bit: int, width: int, code: int, read: int) -> None:
        if not self.open:
            return
        if len(self.decisions) == SHOWN:
            raise Done
        names = [name for name in self.calls if name.startswith("code_")]
        inner = [name for name in names if name not in ("code_payload", "code_levels", "code_tree")]
        function = next((name for name in reversed(inner) if name not in _CODES), "")
        asked = self.question or next((_CODES[name] for name in inner if name in _CODES), "")
        self.decisions.append(
            Decision(
                f"{function}: {asked}" if function else asked,
                self.contexts,
                probability,
                bit,
                width,
                code,
                read,
            )
        )


_CODES = {
    "code_block": "",
    "code_decision": "",
    "code_magnitude": "rest of the magnitude",
    "code_bit": "sign",
    "code_bits": "bits",
    "code_golomb": "Exp-Golomb code",
    "code_signed_golomb": "signed Exp-Golomb code",
}
"""Functions that other functions code values with."""


def payloads(stream: bytes) -> Iterator[tuple[Payload, Reference | None]]:
    """The payloads of a stream of a native coder, each with the feature before it."""
    source = io.BytesIO(stream)
    walk = Walk(parse_stream_header(source.read(STREAM_HEADER_SIZE)))
    before: Reference | None = None
    for unit in coded_units(walk, source):
        for one in unit.payloads:
            yield one, before
            (samples,) = payload_coder(one.fps.coder_id).decode([one], Machine(), before)
            before = Reference(samples, one.parameters)


def first_decisions(
    payload: Payload, before: Reference | None, after: str, *, within: bool
) -> list[Decision]:
    """The first decisions from a call on."""
    recorder = Recorder(after, within=within)
    made = interpreted(recorder.replace)
    try:
        if payload.fps.coder_id == Coder.NATIVE:
            converted = None
            if before is not None and not payload.access_point:
                converted = convert_reference(
                    before.samples, before.parameters, payload.parameters, payload.fps
                )
            made["decode_payload"](payload, converted)
        else:
            made["decode_words"](payload.data, payload.fps)
    except Done:
        pass
    return recorder.decisions


def first_ranks(payload: Payload) -> tuple[list[dict[str, Any]], Any]:
    """Variables of the fast mode's decoder after each of the first words, and the frequencies."""
    rows: list[dict[str, Any]] = []
    raw: list[str] = []
    frequencies: list[Any] = []

    def replace(name: str, function: Any) -> Any:
        def call(*given: Any) -> Any:
            found = function(*given)
            if name == "take_raw" and given[2]:
                raw.append(f"{found:0{given[2]}b}")
            return found

        return call if name == "take_raw" else function

    made = interpreted(replace)
    lines, first = inspect.getsourcelines(KERNELS["coders.native_lossless.fast.decode_ranks"])
    (ending,) = (first + i for i, line in enumerate(lines) if line.strip() == "at += 1")

    def watch(frame: Any, event: str, _: Any) -> Any:
        if frame.f_code.co_name != "decode_ranks":
            return None
        if event == "line" and frame.f_lineno == ending:
            here = frame.f_locals
            names = ("one", "slot", "rank", "entry", "state", "position", "word")
            rows.append({name: int(here[name]) for name in names} | {"raw": " ".join(raw)})
            raw.clear()
            frequencies[:] = [here["frequencies"], here["starts"]]
            if len(rows) == SHOWN:
                raise Done
        return watch

    earlier = sys.gettrace()
    sys.settrace(watch)
    try:
        made["decode_words"](payload.data, payload.fps)
    except Done:
        pass
    finally:
        sys.settrace(earlier)
    return rows, frequencies


# --- tables ---------------------------------------------------------------------------------------------


class Decisions(Generated):
    """``.. decisions:: vector [FEATURE [FUNCTION]]``: the first decisions of a payload.

    With the native coder, those that follow the head, or those from the call of FUNCTION on; in the fast
    mode, the first words.
    """

    required_arguments = 1
    optional_arguments = 2
    has_content = True

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        path = SUITE / "valid" / name / "stream.dfc"
        self.env.note_dependency(str(path))
        self.env.note_dependency(__file__)
        feature = int(self.arguments[1]) if len(self.arguments) > 1 else 0
        payload, before = next(islice(payloads(path.read_bytes()), feature, None))
        made = [*self.parse_content_to_nodes(), self._title(name, feature, payload)]
        if payload.fps.coder_id == Coder.NATIVE:
            made.append(self._head(payload))
            function = self.arguments[2] if len(self.arguments) > 2 else ""
            found = first_decisions(payload, before, function or "code_head", within=bool(function))
            made.append(self._decisions(found, "Contexts"))
        elif payload.data[0] & 0xC0 == FAST_MODE:
            made += self._ranks(payload)
        else:
            found = first_decisions(payload, before, "start_decoding", within=False)
            made.append(self._decisions(found, "States"))
        return made

    def _title(self, name: str, number: int, payload: Payload) -> nodes.paragraph:
        fps = payload.fps
        shape = " \N{MULTIPLICATION SIGN} ".join(map(str, (fps.channels, fps.height, fps.width)))
        data = payload.data[:16].hex(" ")
        return nodes.paragraph(
            "",
            "",
            nodes.Text("The payload of feature "),
            nodes.Text(f"{number} of vector "),
            reference("vector", name, nodes.literal("", name)),
            nodes.Text(
                f", of {shape} samples, has {len(payload.data)} bytes, from byte "
                f"{payload.bit_offset // 8} of the stream on: "
            ),
            nodes.literal("", data + (" …" if len(payload.data) > 16 else "")),
        )

    def _head(self, payload: Payload) -> nodes.paragraph:
        head = named_elements(
            read_head(payload.data, payload.fps, predicted=not payload.access_point)
        )
        given = ", ".join(
            f"{name} = {value}".replace("-", "\N{MINUS SIGN}") for name, value in head.items()
        )
        step = int(step_sizes(payload.fps, payload.parameters)[0])
        text = f"Its head gives {given}. The step of channel 0 is {step}."
        return nodes.paragraph("", text.replace("_", " "))

    def _decisions(self, decisions: list[Decision], predicted_by: str) -> nodes.table:
        rows: list[list[Cell]] = []
        for i, one in enumerate(decisions):
            state = f"``{one.width:08x}``", f"``{one.code:08x}``", str(one.read)
            rows.append(
                [
                    *(str(i + 1), one.asked, one.contexts or "none", str(one.probability)),
                    *(str(one.bit), *state, ", ".join(one.gives)),
                ]
            )
        head = ["", "Question", predicted_by, "p", "Answer", "New width", "New code", "Bytes read"]
        return table([*head, "Completes"], rows, "decisions")

    def _ranks(self, payload: Payload) -> list[nodes.Node]:
        found, (frequencies, starts) = first_ranks(payload)
        bits = payload.fps.bits
        rows: list[list[Cell]] = []
        for i, one in enumerate(found):
            at = one["entry"]
            numbers = (
                i,
                one["one"],
                one["slot"],
                one["rank"],
                int(frequencies[at]),
                int(starts[at]),
            )
            word = one["word"] & ((1 << bits) - 1)
            rows.append(
                [
                    *(*map(str, numbers), f"``{one['state']:08x}``", str(one["position"])),
                    *(f"``{one['raw']}``" if one["raw"] else "none", f"``{word:0{bits // 4}x}``"),
                ]
            )
        listed: list[list[Cell]] = []
        for kind in sorted({one["one"] for one in found}):
            own = enumerate(frequencies[RANKS * kind : RANKS * (kind + 1)])
            listed.append([str(kind), ", ".join(f"{rank}: {int(n)}" for rank, n in own if n)])
        head = ["", "Class", "Slot", "Rank", "Frequency", "Start", "New state", "Bytes read"]
        return [
            table(["Class", "Frequencies of its ranks"], listed),
            table([*head, "Raw bits", "Word"], rows, "decisions"),
        ]


def setup(app: Any) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("decisions", Decisions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
