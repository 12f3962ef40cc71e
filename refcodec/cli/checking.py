"""``refcodec validate``."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refcodec.cli import options
from refcodec.cli.progress import progress
from refcodec.cli.terminal import PIPE, console, open_input, print_json, printable

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["validate"]


def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Streams; - is a pipe.")],
    as_json: options.Json = False,
    max_level: options.MaxLevel = None,
    ffmpeg: options.Ffmpeg = None,
    timeout: options.Timeout = None,
) -> None:
    """Check streams against every clause of the specification.

    If a stream does not conform, the last line is REJECT and the class of the first violation.
    """
    import refcodec
    from refcodec.tables import HIGHEST_LEVEL

    reports: list[dict[str, Any]] = []
    with progress("validating", len(files), "files") as show:
        for name in files:
            with open_input(name) as file:
                report = refcodec.validate(
                    file.read() if name == PIPE else name,
                    max_level=HIGHEST_LEVEL if max_level is None else max_level,
                    ffmpeg=ffmpeg,
                    timeout=timeout,
                )
            reports.append({"file": name, **report.as_json()})
            show(len(reports))
    rejected = [one["violations"][0]["class"] for one in reports if one["violations"]]
    if as_json:
        print_json(reports)
    else:
        out = console()
        for one in reports:
            _print_report(out, one)
        if rejected:
            print(f"REJECT {rejected[0]}")
    if rejected:
        raise typer.Exit(1)
    if not all(one["conforming"] for one in reports):  # unverified on this machine
        raise typer.Exit(2)


def _print_report(out: Console, report: dict[str, Any]) -> None:
    held = f"{report['features']:,} features in {report['units']:,} units"
    violations = report["violations"]
    verdict, style = f"conforming, {held}", "green"
    if violations:
        plural = "" if len(violations) == 1 else "s"
        verdict, style = f"not conforming, {len(violations):,} violation{plural}; {held}", "red"
    elif report["unverified"]:
        verdict, style = f"not verified; {held}", "yellow"
    out.print(f"{printable(report['file'])}: ", style="bold", end="", soft_wrap=True)
    out.print(verdict, style=style, soft_wrap=True)
    for violation in violations:
        out.print(f"  {violation['class']:<11} ", style="red", end="")
        out.print(_place(violation), style="cyan", soft_wrap=True)
        _print_indented(out, violation["what"])
        if violation["hint"]:
            _print_indented(out, f"({violation['hint']})")
    for reason in report["unverified"]:
        out.print("  unverified  ", style="yellow", end="")
        out.print(printable(reason), soft_wrap=True)


def _place(violation: dict[str, Any]) -> str:
    bit = violation["bit_offset"]
    place = [] if bit is None else [f"byte {bit // 8}, bit {bit}"]
    if violation["clause"]:
        place.append(f"clause {violation['clause']} {violation['clause_title']}".rstrip())
    return "; ".join(place)


def _print_indented(out: Console, text: str) -> None:
    margin = " " * 14
    width = max(out.width, 2 * len(margin))
    wrapped = textwrap.fill(printable(text), width, initial_indent=margin, subsequent_indent=margin)
    out.print(wrapped, soft_wrap=True)
