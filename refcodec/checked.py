"""TOML files that a command reads: tables with checks of types, and errors for unknown keys."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from refcodec.errors import CallerError
from refcodec.files import storage_error

__all__ = ["Table", "data_path", "instead", "read_toml"]

VARIABLE: Final = "REFCODEC_DATA"
"""The environment variable that names the data folder."""


def read_toml(
    path: Path, *, data: Path | None = None, changes: Iterable[str] = ()
) -> tuple[dict[str, Any], str, Path]:
    """Read a TOML file; returns its content, its text with the changes, and the data folder.

    data    : the data folder; None for ``$REFCODEC_DATA``, else the folder of the file.
    changes : ``KEY=VALUE``, a dotted key and its new value in TOML; quotes of a word may be omitted:
              ``networks.vgg16.weights=vgg16.pth``.

    Raises CallerError if the file cannot be read or is not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise storage_error(error, path) from None
    except UnicodeDecodeError:
        raise CallerError(f"{path} is no text in UTF-8") from None
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CallerError(f"{path} is no TOML: {error}") from None
    changes = list(changes)
    for change in changes:
        _change(found, change)
    return found, "\n".join([text, *changes]), data or Path(os.environ.get(VARIABLE) or path.parent)


def _change(found: dict[str, Any], change: str) -> None:
    key, equals, value = change.partition("=")
    *way, last = key.strip().split(".")
    if not equals or not last:
        raise CallerError(f"{change!r} is not of the form KEY=VALUE")
    table = found
    for step in way:
        table = table.setdefault(step, {})
        if not isinstance(table, dict):
            raise CallerError(f"{key!r} cannot be set: {step!r} is no table")
    try:
        table[last] = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        table[last] = value.strip()


def data_path(folder: Path, name: str) -> Path:
    """Resolve a path of a file: ``~`` and ``$NAME`` are expanded; it is relative to the data folder.

    Raises CallerError where ``~`` stands for no folder.
    """
    try:
        return folder / Path(os.path.expandvars(name)).expanduser()
    except RuntimeError:
        raise CallerError(
            f"{name}: this user has no home folder", hint="write the path without ~"
        ) from None


class Table:
    """A table of the file; every key in it must be taken.

    where : name of the table in messages.
    """

    def __init__(self, where: str, content: Any) -> None:
        if not isinstance(content, dict):
            raise CallerError(f"{where} is {content!r}; it is a table")
        self.where = where
        self._left = dict(content)
        self._known: list[str] = []

    def take(self, key: str, kind: Any, *default: Any) -> Any:
        """Take a value of a type, or the default if it is absent. Raises CallerError."""
        self._known.append(key)
        if key not in self._left:
            if not default:
                for close in get_close_matches(key, self._left, 1):
                    raise self._unknown(close)
                raise CallerError(f"{self.where} needs {key!r}")
            return default[0]
        value = self._left.pop(key)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            names = " or ".join(_TYPES[one] for one in kinds)
            raise CallerError(f"{key!r} of {self.where} is {value!r}; it is {names}")
        return value

    def tables(self, key: str) -> dict[str, Table]:
        """The tables inside a table, by name."""
        inside = self.take(key, dict, {})
        return {name: Table(f"[{key}.{name}]", one) for name, one in inside.items()}

    def names(self, key: str, *default: Any) -> Any:
        """A list of names, as a tuple."""
        found = self.take(key, list, *default)
        if found and not all(isinstance(one, str) for one in found):
            raise CallerError(f"{key!r} of {self.where} is {found!r}; it is a list of names")
        return found if found is None else tuple(found)

    def numbers(self, key: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """A list of numbers, as a tuple."""
        found = self.take(key, list, list(default))
        if not all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in found):
            raise CallerError(f"{key!r} of {self.where} is {found!r}; it is a list of numbers")
        return tuple(map(float, found))

    def one_of(self, key: str, there: Mapping[str, Any], default: str | None) -> Any:
        """The object of a name in ``there``. Raises CallerError for another name."""
        name = self.take(key, str, *([default] if default else []))
        if name not in there:
            raise CallerError(f"{key!r} of {self.where} is {name!r}{instead(name, there)}")
        return there[name]

    def rest(self, known: Sequence[str]) -> dict[str, Any]:
        """All keys not yet taken, with their values. Raises CallerError for keys that are not ``known``."""
        self._known.extend(known)
        taken = {name: self._left.pop(name) for name in list(self._left) if name in known}
        self.finish()
        return taken

    def finish(self) -> None:
        """Raise CallerError for a key that was not taken."""
        for key in self._left:
            raise self._unknown(key)

    def _unknown(self, key: str) -> CallerError:
        return CallerError(f"{self.where} has an unknown key {key!r}{instead(key, self._known)}")


_TYPES = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


def instead(name: Any, there: Iterable[str]) -> str:
    """The end of a message on an unknown name: the most similar known one, or all known ones."""
    there = list(dict.fromkeys(there))
    close = get_close_matches(str(name), there, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; there is {', '.join(there)}"
