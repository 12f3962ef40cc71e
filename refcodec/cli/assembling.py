"""``refcodec asm`` and ``refcodec disasm``."""

from __future__ import annotations

import shutil
from io import BytesIO
from typing import Annotated

import typer

from refcodec.cli import options
from refcodec.cli.terminal import PIPE, may_replace, open_input, standard_output
from refcodec.errors import CallerError
from refcodec.files import atomic_file

__all__ = ["asm", "disasm"]


def disasm(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A stream; - is a pipe.")],
    output: Annotated[
        str, typer.Argument(metavar="TEXT", help="File for the text; standard output if absent.")
    ] = PIPE,
    force: options.Force = False,
) -> None:
    """Write a stream as text: every syntax element by its name, legal or not.

    refcodec asm makes the same bytes of the text, and another stream of an edited one.
    """
    from refcodec.suite.text import disasm as text_of

    with open_input(file) as source:
        text = text_of(source.read())
    if output == PIPE:
        print(text, end="")
    else:
        _write(output, text.encode("utf-8"), force, file)


def asm(
    file: Annotated[str, typer.Argument(metavar="TEXT", help="A text; - is a pipe.")],
    output: Annotated[str, typer.Argument(metavar="STREAM", help="The stream; - is a pipe.")],
    force: options.Force = False,
) -> None:
    """Make a stream of a text, as refcodec disasm writes it.

    Sizes, alignment bits and CRCs that the text leaves out are computed; any element may be illegal.
    """
    from refcodec.suite.text import asm as stream_of

    with open_input(file) as source:
        data = source.read()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CallerError(f"line {line}: byte {error.start} is no UTF-8") from None
    _write(output, stream_of(text), force, file)


def _write(path: str, data: bytes, force: bool, source: str) -> None:
    may_replace(path, force, [source])
    if path == PIPE:
        shutil.copyfileobj(BytesIO(data), standard_output())
        return
    with atomic_file(path) as file:
        file.write(data)
