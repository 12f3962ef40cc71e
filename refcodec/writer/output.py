"""The place that a stream is written to: a path, or a file object."""

from __future__ import annotations

import os
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

from refcodec.errors import CallerError
from refcodec.files import atomic_file

__all__ = ["Output", "Target", "open_output"]

Target = str | os.PathLike[str] | BinaryIO


class Output(NamedTuple):
    """An open file.

    name     : in messages.
    seekable : whether what was written can be written again.
    """

    file: BinaryIO
    name: str
    seekable: bool


def open_output(stack: ExitStack, target: Target, exist_ok: bool | None) -> Output:
    """Open a path, to be written whole or not at all when the stack closes; a file object stays open.

    exist_ok : whether a file of that name may be replaced; None for yes, with a warning.

    Raises CallerError, EnvironmentFault.
    """
    if isinstance(target, (str, os.PathLike)):
        name = os.fspath(target)
        if exist_ok is None and Path(target).is_file():
            warnings.warn(
                f"{name} exists, and is replaced: say exist_ok=True, or False to keep it",
                UserWarning,
                stacklevel=4,
            )
        file: BinaryIO = stack.enter_context(atomic_file(target, exist_ok=exist_ok is not False))
    elif hasattr(target, "write"):
        name, file = str(getattr(target, "name", "the output")), target
    else:
        raise CallerError(f"{target!r:.60} is neither a path nor a file")
    appends = "a" in str(getattr(file, "mode", ""))  # every write goes to the end
    return Output(file, name, file.seekable() and not appends)
