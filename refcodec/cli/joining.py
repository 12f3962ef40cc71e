"""``refcodec concat``."""

from __future__ import annotations

from typing import Annotated

import typer

import refcodec
from refcodec.cli import options
from refcodec.cli.terminal import PIPE, may_replace, print_note, standard_output
from refcodec.errors import CallerError

__all__ = ["concat"]


def concat(
    target: Annotated[str, typer.Argument(metavar="OUT.dfc", help="The stream; - is a pipe.")],
    sources: Annotated[list[str], typer.Argument(metavar="IN.dfc...", help="Streams, in order.")],
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Text by key, which goes before that of the streams. May be repeated.",
        ),
    ] = None,
    force: options.Force = False,
) -> None:
    """Join streams, one after the other, without coding anything anew.

    Their metadata is merged; a key with two values is refused, unless --metadata says which one holds.
    """
    may_replace(target, force, sources)
    texts = {}
    for entry in metadata or ():
        key, equals, value = entry.partition("=")
        if not key or not equals:
            raise CallerError(f"--metadata {entry!r} is not of the form KEY=VALUE")
        texts[key] = value
    output = standard_output() if target == PIPE else target
    count = refcodec.concat(output, sources, metadata=texts, exist_ok=True)
    if target != PIPE:
        print_note(f"{target}: features {count:,}")
