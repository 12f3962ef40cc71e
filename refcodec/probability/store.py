"""Stores of models: folders and files in which a model is found by its SHA-256 (clause 8.10.6)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from refcodec.errors import EnvironmentFault, StreamError
from refcodec.probability.kinds import Model, read_model
from refcodec.tables import Level

__all__ = ["ModelReference", "ModelStore", "default_folder", "usual_places"]

_MOST_FILES = 10_000
"""Files of a folder that are looked into for a model that no file is named after."""


class ModelReference(NamedTuple):
    """A model of a stream: one that the stream holds, or the SHA-256 of its file.

    model  : None for one that is kept apart.
    sha256 : of the file; empty for a model that the stream holds.
    limits : those of the level of the stream, for a model that is kept apart.
    """

    model: Model | None
    sha256: bytes = b""
    limits: Level | None = None


class ModelStore:
    """Models that were given, and places where others are looked for.

    models : models at hand.
    places : files, and folders of files, in the order in which they are looked into.
    """

    def __init__(
        self, models: Sequence[Model] = (), places: Sequence[str | os.PathLike[str]] = ()
    ) -> None:
        self._places = [Path(one) for one in places]
        self._found = {one.sha256: one for one in models}

    def find(self, reference: ModelReference) -> Model:
        """The model of a reference. Raises EnvironmentFault where it is not there, or damaged."""
        if reference.model is not None:
            return reference.model
        wanted = reference.sha256
        if wanted not in self._found:
            self._found[wanted] = self._look(wanted)
        return self._found[wanted]

    def _look(self, wanted: bytes) -> Model:
        name = f"{wanted.hex()}.dfcm"
        places = [*self._places, *usual_places()]
        for path in _candidates(places, name):
            data = b""
            with suppress(OSError):
                data = path.read_bytes()
            if hashlib.sha256(data).digest() == wanted:
                try:
                    return read_model(data)
                except StreamError as error:
                    raise EnvironmentFault(f"the model {path}: {error.what}") from None
        looked = ", ".join(map(str, places)) or "nowhere"
        raise EnvironmentFault(
            f"the stream needs the model of SHA-256 {wanted.hex()}, which was not found in {looked}",
            hint=f"put the file, as {name}, into {default_folder()}, or name its folder by models= "
            "or REFCODEC_MODELS",
        )


def default_folder() -> Path:
    """The folder of models of this user: below ``XDG_DATA_HOME``, else ``~/.local/share``."""
    shared = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not shared.is_absolute():
        shared = Path("~/.local/share").expanduser()
    return shared / "refcodec" / "models"


def usual_places() -> list[Path]:
    """The places of ``REFCODEC_MODELS``, and the user's folder."""
    named = [one for one in os.environ.get("REFCODEC_MODELS", "").split(os.pathsep) if one]
    return [*(Path(one).expanduser() for one in named), default_folder()]


def _candidates(places: Sequence[Path], name: str) -> Iterator[Path]:
    """Files that may be the model: first those of that name, then the others."""
    folders = [place for place in places if place.is_dir()]
    yield from (place for place in places if place.is_file())
    yield from (folder / name for folder in folders if (folder / name).is_file())
    for folder in folders:
        yield from islice(folder.glob("*.dfcm"), _MOST_FILES)
