"""Help texts of the options for fields of EncoderConfig.

A field's entry in the docstring is its text, and the heading above it the panel. The coders that have the
option, and its default, are taken from the table of coders.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection
from typing import Any

from refcodec.config import CHOICES, EncoderConfig
from refcodec.registry import CODERS

__all__ = ["described_fields", "help_text", "metavar", "panel_of"]

_METAVARS = {
    "analysis": "FILE.safetensors",
    "clip": "LOW HIGH",
    "coder": "CODER",
    "contexts": "FILE.dfcm",
    "ffmpeg": "PROGRAM",
    "fill": "VALUE",
    "metadata": "KEY=VALUE",
    "model": "FILE.dfcm",
    "order": "N,N,...",
    "restoration": "MODE",
    "target_size": "BYTES",
    "target_snr": "DB",
    "timeout": "SECONDS",
}
"""Placeholders for values that are not one of a few words."""


def described_fields(docstring: str) -> dict[str, tuple[str | None, str]]:
    """Heading and text of each ``name : text`` of a docstring, by name."""
    found: dict[str, tuple[str | None, str]] = {}
    heading = name = None
    for line in inspect.cleandoc(docstring).splitlines():
        if entry := re.fullmatch(r"(\w+) *: (.*)", line):
            name = entry[1]
            found[name] = heading, entry[2]
        elif name and line.startswith(" "):
            found[name] = heading, f"{found[name][1]} {line.strip()}"
        else:
            name = None
            heading = line[:-1] if line.endswith(":") else heading
    return found


_DESCRIBED = described_fields(EncoderConfig.__doc__ or "")  # python -OO has no docstrings


def panel_of(field: str) -> str | None:
    """The panel of help that a field is in; None for that of all other options."""
    return _DESCRIBED.get(field, (None, ""))[0]


def metavar(field: str, coders: Collection[str] = CODERS) -> str | None:
    """The placeholder for a field's value: ``uniform|log|none``; None if the type suffices."""
    return _METAVARS.get(field) or "|".join(map(str, _words(field, coders))) or None


def help_text(field: str, coders: Collection[str], coder: str, remark: str = "") -> str:
    """The text of a field, in the markup of rich.

    coders : coders that a command offers.
    coder  : its default coder.
    remark : addition of the command to the docstring.
    """
    _, text = _DESCRIBED.get(field, (None, ""))
    text = text.replace("None for", "by default").replace("None", "the default")
    if not text.startswith(tuple(map(str, _words(field, coders)))):
        text = text[:1].upper() + text[1:]
    if field == "coder":
        remark = remark or f"One of {', '.join(coders)}."
        notes = [f"default: {coder}"]
    else:
        notes = [_having(field, coders), *_restricted(field, coders), _default(field, coders)]
    note = "; ".join(filter(None, notes))
    return f"{text} {remark}".strip() + (f" [dim]\\[{note}][/dim]" if note else "")


def _having(field: str, coders: Collection[str]) -> str:
    """The coders that have an option, or ``not`` and those that lack it if they are fewer; '' for all."""
    having = [name for name in coders if field in CODERS[name].options]
    lacking = [name for name in coders if name not in having]
    if not having or not lacking:
        return ""
    return f"not {', '.join(lacking)}" if len(lacking) < len(having) else ", ".join(having)


def _words(field: str, coders: Collection[str]) -> tuple[Any, ...]:
    """Allowed values of an option that takes one of a few words or numbers."""
    of_coders = (word for name in coders for word in CODERS[name].choices.get(field, ()))
    return CHOICES.get(field) or tuple(dict.fromkeys(of_coders))


def _restricted(field: str, coders: Collection[str]) -> list[str]:
    """The words that only some of the coders with an option take: ``mean: native``."""
    having = [name for name in coders if field in CODERS[name].choices]
    found = []
    for word in _words(field, having):
        taking = [name for name in having if word in CODERS[name].choices[field]]
        if len(taking) < len(having):
            found.append(f"{word}: {', '.join(taking)}")
    return found


def _default(field: str, coders: Collection[str]) -> str:
    """The default of an option, by coder; '' for a flag, and for a default that depends on the features."""
    groups: dict[Any, list[str]] = {}
    for name in coders:
        value = CODERS[name].options.get(field)
        if value is not None and value is not False:
            groups.setdefault(value, []).append(name)
    if not groups:
        return ""
    *others, last = sorted(groups, key=lambda value: len(groups[value]))
    parts = [f"{value} for {' and '.join(groups[value])}" for value in others]
    return "default: " + ", ".join([*parts, f"else {last}" if parts else str(last)])
