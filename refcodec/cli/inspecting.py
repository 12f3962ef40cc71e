"""``refcodec inspect``: elements, their bits, one place, or a page for the browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refcodec.cli import options
from refcodec.cli.terminal import PIPE, console, open_input, print_json, print_note, printable
from refcodec.errors import CallerError, StreamError

if TYPE_CHECKING:
    from rich.console import Console

    from refcodec.inspector import InspectedUnit
    from refcodec.syntax.bits import Element

__all__ = ["inspect"]

_NEIGHBOURS = 3
"""Elements that are shown on either side of a place."""

_BYTES_SHOWN = 48
"""Bytes of an element that are dumped at most."""


def inspect(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A stream; - is a pipe.")],
    bits: Annotated[
        bool, typer.Option("--bits", help="Show the bits of each element, as Annex J does.")
    ] = False,
    at: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="BIT", help="Show the element at this bit, and what is wrong with it."
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="PAGE", help="Write a page with elements, bits, charts, pictures."),
    ] = None,
    as_json: options.Json = False,
    force: options.Force = False,
) -> None:
    """Show every syntax element of a stream.

    Each with bit offset, width, descriptor, name and value, under its structure and clause. Constraints
    are checked only where elements have no meaning without; refcodec validate checks all.
    """
    if (at is not None) + (html is not None) + (as_json or bits) > 1:
        raise CallerError(
            "--at and --html exclude each other, --bits and --json", hint="choose one view"
        )
    if force and html is None:
        raise CallerError("--force is for --html", hint="nothing else writes a file")
    if html is not None:
        _write_page(file, html, force)
        return
    with _opened(file, whole=bits or at is not None) as (units, data):
        if data is not None and at is not None:
            _show_place(file, data, units, at)
        elif as_json:
            print_json([_unit_as_json(unit, data) for unit in units])
        else:
            out = console()
            for unit in units:
                for text, style in _unit_lines(unit, data):
                    out.print(text, style=style, no_wrap=True, overflow="ellipsis", crop=True)


# --- the stream and its bytes ----------------------------------------------------------------------


@contextmanager
def _opened(file: str, *, whole: bool) -> Iterator[tuple[Iterator[InspectedUnit], bytes | None]]:
    """The units of a stream, and its bytes where ``whole`` asks for them."""
    from refcodec.inspector import inspect_units

    with open_input(file) as source:
        data = source.read() if whole else None
        yield inspect_units(source if data is None else data), data


# --- all elements ----------------------------------------------------------------------------------


def _unit_lines(unit: InspectedUnit, data: bytes | None) -> Iterator[tuple[str, str]]:
    """Lines and their styles. Elements follow a heading with their structure and its clause."""
    yield f"{unit.name}  byte {unit.offset // 8:,}, {unit.size:,} bytes", "bold"
    above = ""
    for element in unit.elements:
        structure = element.path.rpartition(".")[0]
        if structure != above:
            yield f"  {structure}  (clause {_clause(element)})", "cyan"
            above = structure
        yield _element_line(element, data), ""
    if unit.problem:
        yield f"  problem: {printable(unit.problem)}", "red"


def _element_line(element: Element, data: bytes | None) -> str:
    """An element in a line; with its bits where the stream is given."""
    from refcodec.dump import bits_of
    from refcodec.inspector import shown

    place = f"{element.offset:>10} {element.width:>7}  "
    if data is not None:
        place += f"{bits_of(data, element):<26} "
    return f"{place}{element.descriptor:<8} {element.name:<28} {printable(shown(element))}"


def _clause(element: Element) -> str:
    from refcodec.tables import clause_titles

    return f"{element.clause} {clause_titles().get(element.clause, '')}".rstrip()


def _unit_as_json(unit: InspectedUnit, data: bytes | None) -> dict[str, Any]:
    return {
        "name": unit.name,
        "bit_offset": unit.offset,
        "bytes": unit.size,
        "problem": unit.problem,
        "elements": [_element_as_json(element, data) for element in unit.elements],
    }


def _element_as_json(element: Element, data: bytes | None) -> dict[str, Any]:
    from refcodec.dump import bits_of

    found = {
        "name": element.path,
        "bit_offset": element.offset,
        "width": element.width,
        "descriptor": element.descriptor,
        "value": _value_as_json(element.value),
        "clause": element.clause,
    }
    return found if data is None else {**found, "bits": bits_of(data, element)}


def _value_as_json(value: Any) -> Any:
    """Bytes in hexadecimal, arrays as lists, code points as numbers."""
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "tolist"):
        return value.tolist()
    return value if isinstance(value, float) else int(value)


# --- one place -------------------------------------------------------------------------------------


def _show_place(file: str, data: bytes, units: Iterator[InspectedUnit], at: int) -> None:
    """Print the element that holds a bit, its neighbours, its bytes, and the violations there.

    Raises CallerError for a bit beyond the stream.
    """
    import refcodec

    if at >= 8 * len(data):
        raise CallerError(
            f"{file} has {8 * len(data):,} bits", hint=f"give a BIT from 0 to {8 * len(data) - 1}"
        )
    out = console()
    out.print(f"{printable(file)}: bit {at:,}, bit {at % 8} of byte {at // 8:,}", style="bold")
    unit = _unit_at(units, at)
    if unit is not None:
        _print_place(out, unit, data, at)
    element = _innermost(unit, at)
    first, width = (element.offset, max(1, element.width)) if element else (at, 1)
    _print_bytes(out, data, first, first + width - 1, at)
    report = refcodec.validate(data)
    here = [one for one in report.violations if one.bit_offset == at]
    for one in here:
        out.print(f"{one.reject}: {printable(str(one))}", style="red", soft_wrap=True)
    others = len(report.violations) - len(here)
    if others:
        print_note(f"{others:,} violations at other places: refcodec validate {file}")


def _unit_at(units: Iterator[InspectedUnit], at: int) -> InspectedUnit | None:
    """The unit that holds a bit, or the last one where the framing is broken; None without a header."""
    found = None
    with suppress(StreamError):  # the validator reports it
        for unit in units:
            if unit.offset > at:
                break
            found = unit
    return found


def _holds(element: Element, at: int) -> bool:
    return element.offset <= at < element.offset + max(1, element.width)


def _innermost(unit: InspectedUnit | None, at: int) -> Element | None:
    """The smallest element that holds a bit."""
    elements = [one for one in unit.elements if _holds(one, at)] if unit else []
    return min(elements, key=lambda one: one.width, default=None)


def _print_place(out: Console, unit: InspectedUnit, data: bytes, at: int) -> None:
    """Print what holds a bit, outermost first, then the innermost element among its neighbours."""
    out.print(f"{unit.name}  byte {unit.offset // 8:,}, {unit.size:,} bytes", style="bold")
    element = _innermost(unit, at)
    if element is None:
        out.print("  no element of it was read there", style="yellow")
    else:
        structure = element.path.rpartition(".")[0]
        out.print(f"  {structure}  (clause {_clause(element)})", style="cyan")
        for one in unit.elements:
            if one is not element and _holds(one, at):
                _print_row(out, f" {_element_line(one, data)}  holds:")
        number = unit.elements.index(element)
        first = max(0, number - _NEIGHBOURS)
        for one in unit.elements[first : number + _NEIGHBOURS + 1]:
            if one is element:
                _print_row(out, f">{_element_line(one, data)}", "reverse")
            elif not _holds(one, at):
                _print_row(out, f" {_element_line(one, data)}")
    if unit.problem:
        out.print(f"  problem: {printable(unit.problem)}", style="red", soft_wrap=True)


def _print_row(out: Console, text: str, style: str = "") -> None:
    out.print(text, style=style, no_wrap=True, overflow="ellipsis", crop=True)


def _print_bytes(out: Console, data: bytes, first: int, last: int, at: int) -> None:
    """Print bytes that hold some bits, these in brackets, in rows of 16; of many, those around one bit."""
    from refcodec.dump import hex_rows

    start, end = first // 8, last // 8
    around = min(at // 8 - _BYTES_SHOWN // 2, end - _BYTES_SHOWN)
    begun = max(start, around // 16 * 16)
    shown = min(end, begun + _BYTES_SHOWN)
    if begun > start:
        out.print(f"  … {begun - start:,} bytes before")
    for position, row in hex_rows(data, begun, shown):
        cells = (
            f"[{byte:02x}]" if start <= position + i <= end else f" {byte:02x} "
            for i, byte in enumerate(row)
        )
        out.print(f"  {position:06x}  {''.join(cells)}", no_wrap=True, overflow="ellipsis")
    if shown < end:
        out.print(f"  … {end - shown:,} bytes more")


# --- a page ----------------------------------------------------------------------------------------


def _write_page(file: str, target: Path, force: bool) -> None:
    from refcodec.cli.progress import progress
    from refcodec.cli.terminal import may_replace
    from refcodec.files import atomic_file
    from refcodec.viewer import page_of

    may_replace(str(target), force, [file])
    with open_input(file) as source:
        data = source.read()
    with progress("looking", 4, "steps") as show:
        page = page_of(data, "standard input" if file == PIPE else Path(file).name, show)
    with atomic_file(target) as output:
        output.write(page.encode("utf-8"))
    print_note(f"{target}: {len(page.encode('utf-8')):,} bytes, for a browser")
