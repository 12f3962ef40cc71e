"""Checks of what a caller asks of decoding: the highest level, and resources of the machine."""

from __future__ import annotations

import operator
import os
from pathlib import Path
from typing import Any

from refcodec.coders.protocol import Machine
from refcodec.errors import CallerError
from refcodec.probability.kinds import Model
from refcodec.probability.store import ModelStore
from refcodec.stored_model import StoredModel
from refcodec.tables import HIGHEST_LEVEL

__all__ = ["asked_level", "asked_machine"]


def asked_level(max_level: Any) -> int:
    """The highest level to accept, 1 to `HIGHEST_LEVEL`. Raises CallerError."""
    if isinstance(max_level, bool) or not hasattr(max_level, "__index__"):
        raise CallerError(f"max_level is {_shown(max_level)}; it is an integer")
    number = operator.index(max_level)
    if not 1 <= number <= HIGHEST_LEVEL:
        raise CallerError(f"max_level is {number}; it is 1 to {HIGHEST_LEVEL}")
    return number


def asked_machine(
    ffmpeg: Any, timeout: Any, models: Any = None, source: Any = None, workers: Any = 1
) -> Machine:
    """The program for video, the seconds for one run of it, models and threads. Raises CallerError.

    models  : models of latents, and paths of files or folders of them; one, or several.
    source  : of the stream; models are looked for in its folder, too, if it is a path.
    workers : threads; None for one per processor.
    """
    if ffmpeg is not None and not isinstance(ffmpeg, (str, os.PathLike)):
        raise CallerError(f"ffmpeg is {_shown(ffmpeg)}; it is the path of a program")
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float, type(None))):
        raise CallerError(f"timeout is {_shown(timeout)}; it is a number of seconds")
    if timeout is not None and not timeout > 0:
        raise CallerError(f"timeout is {timeout}; it is above 0")
    if workers is None:
        workers = os.cpu_count() or 1
    if isinstance(workers, bool) or not hasattr(workers, "__index__") or workers < 1:
        raise CallerError(f"workers is {_shown(workers)}; it is an integer, 1 or more")
    program = None if ffmpeg is None else os.fspath(ffmpeg)
    return Machine(program, operator.index(workers), timeout, _store(models, source))


def _store(models: Any, source: Any) -> ModelStore:
    """The store of models of a caller. Raises CallerError."""
    single = models is None or isinstance(models, (str, os.PathLike, StoredModel))
    given = [models] if single else list(models)
    places: list[str | os.PathLike[str]] = []
    at_hand: list[Model] = []
    for one in given:
        if isinstance(one, Model):
            at_hand.append(one)
        elif isinstance(one, (str, os.PathLike)):
            if not Path(one).exists():
                raise CallerError(f"models: there is no {os.fspath(one)}")
            places.append(one)
        elif one is not None:
            raise CallerError(f"models is {_shown(one)}; it is a model, a file or a folder")
    if isinstance(source, (str, os.PathLike)):
        places.append(Path(source).parent)
    return ModelStore(at_hand, places)


def _shown(value: Any) -> str:
    """A value of any type in a message: numbers and texts themselves, of others the type."""
    if isinstance(value, (bool, int, float, str)):
        return repr(value)[:60]
    return f"a {type(value).__name__}"
