"""Printing of the commands, and binary input and output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import typer

from refcodec.errors import CallerError
from refcodec.files import json_value, open_file

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "PIPE",
    "console",
    "many",
    "may_replace",
    "open_input",
    "places_of_models",
    "print_facts",
    "print_json",
    "print_note",
    "print_rate",
    "print_warning",
    "printable",
    "standard_output",
]

PIPE = "-"
"""Path that means standard input or standard output."""


# --- text ------------------------------------------------------------------------------------------


def console() -> Console:
    """Standard output: coloured and as wide as the terminal; plain and unbounded if it is not one."""
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with a status that has another meaning here

    width = None if sys.stdout.isatty() else 1_000_000
    return Piped(width=width, highlight=False, markup=False, emoji=False)


def print_facts(out: Console, title: str, facts: Iterable[tuple[str, str]]) -> None:
    """Print a heading, and under it one name and value per line."""
    out.print(printable(title), style="bold", soft_wrap=True)
    for name, value in facts:
        out.print(f"  {printable(name):<12} ", style="cyan", end="", soft_wrap=True)
        out.print(printable(value), soft_wrap=True)


def print_note(text: str) -> None:
    """Print a note on standard error if that is a terminal."""
    if sys.stderr.isatty():
        print(printable(text), file=sys.stderr)


def print_warning(text: str) -> None:
    """Print a warning on standard error."""
    print(f"warning: {printable(text)}", file=sys.stderr)


def print_rate(path: str, features: int, elements: int, original: int) -> None:
    """Print the size of a stream as a note; ``original`` is in bytes."""
    size = Path(path).stat().st_size
    print_note(
        f"{path}: features {features:,}, bytes {size:,} ({size / original:.2%} of the original), "
        f"bits per element {8 * size / elements:.3f}"
    )


def print_json(document: Any) -> None:
    """Print a JSON document; infinities and NaN become ``"inf"``, ``"-inf"`` or ``"nan"``."""
    print(json.dumps(json_value(document), indent=2, ensure_ascii=False, allow_nan=False))


def many(count: int, thing: str) -> str:
    """A count of things in words: ``1 feature``, ``2,000 features``."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def printable(text: str) -> str:
    """Text from a file, without control characters, which could change the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


# --- bytes -----------------------------------------------------------------------------------------


@contextmanager
def open_input(path: str) -> Iterator[BinaryIO]:
    """Open a file, or standard input for ``-``, for reading bytes. Raises CallerError."""
    if path == PIPE:
        yield sys.stdin.buffer
        return
    with open_file(path) as file:
        yield file


def places_of_models(models: Iterable[Path] | None, source: str) -> list[Path]:
    """Places to look for the entropy models of a stream: those given, and the folder of the stream."""
    beside = [] if source == PIPE else [Path(source).parent]
    return [*(models or ()), *beside]


def may_replace(path: str, force: bool, sources: Iterable[str] = ()) -> None:
    """Ask at a terminal before a file is replaced; elsewhere, such as in a script, warn.

    force   : replace it without a question or a warning.
    sources : files that are read, one of which it must not be.

    Raises CallerError if the answer is no, and for one of the sources.
    """
    if path == PIPE or force or not Path(path).is_file():
        return
    if any(one != PIPE and Path(one).exists() and Path(one).samefile(path) for one in sources):
        raise CallerError(
            f"{path} is what is read, and would be replaced",
            hint="name another file, or --force replaces it",
        )
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        print_warning(f"{path} exists and is replaced; --force omits this warning")
        return
    if not typer.confirm(f"{printable(path)} exists. Replace it?", err=True):
        raise CallerError(f"{path} stays as it is")


def standard_output() -> BinaryIO:
    """Standard output for bytes. Raises CallerError if it is a terminal."""
    if sys.stdout.isatty():
        raise CallerError("standard output is a terminal", hint="redirect it, or name a file")
    return sys.stdout.buffer
