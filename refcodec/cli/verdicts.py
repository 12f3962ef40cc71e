"""Verdicts of the validator over many files: found, judged, told, and counted."""

from __future__ import annotations

import glob
import json
import shlex
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from refcodec.cli.terminal import PIPE, many, open_input, printable
from refcodec.errors import DFCError
from refcodec.files import json_value

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Verdict", "as_junit", "as_line", "found_files", "judge", "print_verdict", "summary_of"]

Verdict = dict[str, Any]
"""A report as JSON types, with the name of its file, and an error where that could not be read."""


# --- files -----------------------------------------------------------------------------------------


def found_files(names: Iterable[str]) -> list[str]:
    """Files of these names, each once: a folder stands for the .dfc files in it, a pattern for its matches.

    A name that stands for nothing stays, so that it is missed.
    """
    found: dict[str, None] = {}
    for name in names:
        path = Path(name)
        if name != PIPE and path.is_dir():
            inside = sorted(str(one) for one in path.rglob("*.dfc") if one.is_file())
        elif name == PIPE or path.exists() or not glob.has_magic(name):
            inside = [name]
        else:
            inside = sorted(one for one in glob.glob(name, recursive=True) if Path(one).is_file())  # noqa: PTH207 - a pattern may be absolute
        found |= dict.fromkeys(inside or [name])
    return list(found)


def judge(name: str, limits: dict[str, Any]) -> Verdict:
    """The validator's verdict on a file; where that cannot be read, the error instead.

    limits : arguments of `refcodec.validate`.
    """
    import refcodec

    try:
        if name != PIPE and Path(name).is_dir():
            return _unread(name, f"there is no .dfc file in {name}")
        if name == PIPE:
            with open_input(name) as file:
                report = refcodec.validate(file, **limits)
        else:
            report = refcodec.validate(name, **limits)
    except DFCError as error:
        return _unread(name, str(error))
    return {"file": name, **report.as_json(), "error": None}


def _unread(name: str, error: str) -> Verdict:
    empty = {"features": 0, "units": 0, "unverified": [], "violations": []}
    return {"file": name, "conforming": False, **empty, "error": error}


def _reject_of(verdict: Verdict) -> str:
    """The class of the first violation; '' where there is none."""
    return str(verdict["violations"][0]["class"]) if verdict["violations"] else ""


def _kind_of(verdict: Verdict) -> str:
    """The verdict in two words at most: not read, rejected, not verified, or conforming."""
    if verdict["error"]:
        return "not read"
    if verdict["violations"]:
        return "rejected"
    return "conforming" if verdict["conforming"] else "not verified"


# --- what is said ----------------------------------------------------------------------------------


def summary_of(verdicts: Iterable[Verdict]) -> tuple[str, list[str]]:
    """The counts of many files in one line, and the classes of those rejected, in their order."""
    kinds: Counter[str] = Counter()
    rejected = []
    for verdict in verdicts:
        kind = _kind_of(verdict)
        if kind == "rejected":
            rejected.append(_reject_of(verdict))
        kinds[kind] += 1
    parts = [f"{kinds['conforming']:,} conforming"]
    if rejected:
        classes = ", ".join(f"{kind} {count:,}" for kind, count in Counter(rejected).items())
        parts.append(f"{kinds['rejected']:,} rejected ({classes})")
    parts += [f"{kinds[kind]:,} {kind}" for kind in ("not verified", "not read") if kinds[kind]]
    return f"{kinds.total():,} files: {', '.join(parts)}", rejected


def as_line(verdict: Verdict) -> str:
    """The verdict as one line of JSON."""
    return json.dumps(json_value(verdict), ensure_ascii=False, allow_nan=False)


def print_verdict(out: Console, verdict: Verdict) -> None:
    """Print a verdict, and under it every violation with its place."""
    held = f"{many(verdict['features'], 'feature')} in {many(verdict['units'], 'unit')}"
    violations = verdict["violations"]
    plural = "" if len(violations) == 1 else "s"
    text, style = {
        "conforming": (f"conforming, {held}", "green"),
        "rejected": (f"not conforming, {len(violations):,} violation{plural}; {held}", "red"),
        "not verified": (f"not verified; {held}", "yellow"),
        "not read": ("not read", "yellow"),
    }[_kind_of(verdict)]
    out.print(f"{printable(verdict['file'])}: ", style="bold", end="", soft_wrap=True)
    out.print(text, style=style, soft_wrap=True)
    for violation in violations:
        out.print(f"  {violation['class']:<11} ", style="red", end="")
        out.print(_place(violation), style="cyan", soft_wrap=True)
        _print_indented(out, violation["what"])
        if violation["hint"]:
            _print_indented(out, f"({violation['hint']})")
        if violation["bit_offset"] is not None and verdict["file"] != PIPE:
            name = shlex.quote(printable(verdict["file"]))
            place = " " * 14 + f"see: refcodec inspect {name} --at {violation['bit_offset']}"
            out.print(place, style="dim", soft_wrap=True)
    for reason in verdict["unverified"]:
        out.print("  unverified  ", style="yellow", end="")
        out.print(printable(reason), soft_wrap=True)


def _place(violation: dict[str, Any]) -> str:
    bit = violation["bit_offset"]
    place = [] if bit is None else [f"byte {bit // 8}, bit {bit}"]
    if violation["clause"]:
        place.append(f"clause {violation['clause']} {violation['clause_title']}".rstrip())
    if violation["requirement"]:
        place.append(f"R{violation['requirement']}")
    return "; ".join(place)


def _print_indented(out: Console, text: str) -> None:
    margin = " " * 14
    width = max(out.width, 2 * len(margin))
    wrapped = textwrap.fill(printable(text), width, initial_indent=margin, subsequent_indent=margin)
    out.print(wrapped, soft_wrap=True)


# --- JUnit -----------------------------------------------------------------------------------------


def as_junit(verdicts: list[Verdict]) -> bytes:
    """The verdicts as JUnit XML: a file is a case, and one that was not read or verified an error."""
    failures = sum(bool(one["violations"]) for one in verdicts)
    errors = sum(not one["conforming"] for one in verdicts) - failures
    suite = ElementTree.Element(
        "testsuite",
        name="refcodec validate",
        tests=str(len(verdicts)),
        failures=str(failures),
        errors=str(errors),
        skipped="0",
    )
    for verdict in verdicts:
        name = printable(verdict["file"])
        case = ElementTree.SubElement(suite, "testcase", classname="refcodec.validate", name=name)
        violations = list(_told(verdict["violations"]))
        doubts = [verdict["error"]] if verdict["error"] else verdict["unverified"]
        if violations:
            kind = _reject_of(verdict)
            told = ElementTree.SubElement(case, "failure", type=kind, message=violations[0])
            told.text = "\n".join(violations)
        elif doubts:
            kind = "not read" if verdict["error"] else "not verified"
            message = printable("; ".join(doubts))
            ElementTree.SubElement(case, "error", type=kind, message=message)
    ElementTree.indent(suite)
    document: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _told(violations: list[dict[str, Any]]) -> Iterator[str]:
    for one in violations:
        yield printable(f"{one['class']}: {one['what']} [{_place(one)}]")
