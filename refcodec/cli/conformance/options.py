"""Options that several commands of ``refcodec conformance`` share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refcodec.errors import CallerError

if TYPE_CHECKING:
    from refcodec.suite.run.contract import Decoder
    from refcodec.suite.run.selection import Selection

__all__ = [
    "Clauses",
    "Excluded",
    "Levels",
    "Memory",
    "Only",
    "Profiles",
    "ServerCommand",
    "Suite",
    "Tags",
    "Template",
    "Timeout",
    "Workers",
    "open_decoder",
    "selection_of",
]

Suite = Annotated[
    Path | None,
    typer.Option(help="Folder of the suite; the one that comes with refcodec if absent."),
]

# --- choice of vectors; each may be repeated, or a list with commas ---------------------------------

Profiles = Annotated[
    list[str] | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Profiles that the decoder claims; all if absent. Vectors of others are not applicable.",
    ),
]
Levels = Annotated[
    list[str] | None,
    typer.Option(
        "--level",
        metavar="[NAME:]LEVEL",
        help="Highest level that it claims, of all its profiles or of one: native:2.",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="PATTERN", help="Ids, names, tags or profile:NAME to run."),
]
Excluded = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="PATTERN", help="Ids, names, tags or profile:NAME to omit."),
]
Clauses = Annotated[
    list[str] | None,
    typer.Option(
        "--clause",
        metavar="PATTERN",
        help="Clauses to run, 8.6 includes 8.6.1; or requirements, R9.2-7.",
    ),
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="PATTERN", help="Tags to run, as coder:zlib.")
]


def selection_of(
    only: list[str] | None,
    exclude: list[str] | None,
    clauses: list[str] | None,
    tags: list[str] | None,
) -> Selection:
    """The selection that options ask for."""
    from refcodec.suite.run.selection import Selection, split_lists

    return Selection(*(split_lists(words or ()) for words in (only, exclude, clauses, tags)))


# --- the decoder -----------------------------------------------------------------------------------

Template = Annotated[
    str | None,
    typer.Option(
        "--decoder",
        metavar="COMMAND",
        help="Decoder to test, with {input} and {output}; refcodec's own if absent. It exits 0 "
        "and writes all features to {output}, each in C order, little-endian; or exits 1 and "
        "prints REJECT and the class as its last line; or exits 77 to skip a vector. Files for "
        "{samples} and {syntax} are optional, and show the stage of a mistake.",
    ),
]
ServerCommand = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="COMMAND",
        help="Decoder to test that reads a JSON line for each vector from its standard input and answers "
        "with one: a process for all vectors, for each worker.",
    ),
]
Memory = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="MIB", help="Address space that a process of the decoder may have, on Linux."
    ),
]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds for one vector.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Vectors at a time; one per processor if absent.")
]


@contextmanager
def open_decoder(template: str | None, server: str | None, memory: int | None) -> Iterator[Decoder]:
    """The decoder that options name, until the block ends; its memory is limited in MiB.

    Raises CallerError for options that do not go together, or a command that cannot be run.
    """
    from refcodec.suite.run.contract import BuiltIn, Command
    from refcodec.suite.run.server import open_server

    if template is not None and server is not None:
        raise CallerError("there are two decoders", hint="give --decoder or --server")
    if memory is not None and template is None and server is None:
        raise CallerError(
            "the memory of refcodec itself is not limited", hint="give --decoder or --server"
        )
    most = None if memory is None else memory << 20
    if server is not None:
        with open_server(server, most) as opened:
            yield opened
    else:
        yield Command.parse(template, most) if template is not None else BuiltIn()
