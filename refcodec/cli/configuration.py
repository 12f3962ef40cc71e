"""Options of the commands that encode: one for each field of EncoderConfig.

The type of a field is that of its option. Its line in the docstring is the help text, and the heading above
it the panel. The table of coders tells which coders have the option, and its default. What is not given is
left to EncoderConfig.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from functools import wraps
from types import UnionType
from typing import Annotated, Any, get_args, get_type_hints

import typer

from refcodec.config import _CHOICES, EncoderConfig
from refcodec.errors import CallerError
from refcodec.registry import CODERS

__all__ = ["Choices", "encoder_config", "option_name", "panel_of", "with_encoder_options"]

Choices = dict[str, Any]
"""Options that were given, by the names of the fields of EncoderConfig."""

_FIELDS = tuple(one.name for one in fields(EncoderConfig) if one.init)

_NAMES = {"feature_type": "--type"}
"""Options that are not named like their fields."""

_METAVARS = {
    "clip": "LOW HIGH",
    "coder": "CODER",
    "ffmpeg": "PROGRAM",
    "metadata": "KEY=VALUE",
    "order": "N,N,...",
    "restoration": "MODE",
    "target_size": "BYTES",
    "target_snr": "DB",
    "timeout": "SECONDS",
}
"""What help shows for a value that is not one of a few words."""


def option_name(field: str) -> str:
    """A field's option: ``--target-snr`` of ``target_snr``."""
    return _NAMES.get(field, f"--{field.replace('_', '-')}")


def panel_of(field: str) -> str | None:
    """A field's panel of help; None for that of all other options."""
    return _DESCRIBED[field][0]


# --- texts -----------------------------------------------------------------------------------------


def _described(docstring: str) -> dict[str, tuple[str | None, str]]:
    """Heading and text of each ``name : text`` of a docstring."""
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


_DESCRIBED = _described(EncoderConfig.__doc__ or "")


def _help(field: str, coders: Collection[str], coder: str, remark: str) -> str:
    text = _DESCRIBED[field][1]
    text = text.replace("None for", "by default").replace("None", "the default")
    if text.split(",")[0].split()[0] not in map(str, _words(field)):
        text = text[0].upper() + text[1:]
    if field == "coder":
        notes = [f"default: {coder}"]
        remark = f"One of {', '.join(coders)}."
    else:
        notes = [_having(field, coders), *_restricted(field, coders), _default(field, coders)]
    note = "; ".join(one for one in notes if one)
    return f"{text} {remark}".strip() + (f" [dim]\\[{note}][/dim]" if note else "")


def _having(field: str, coders: Collection[str]) -> str:
    """The coders that have an option, or lack it if these are fewer; '' for all."""
    having = [name for name in coders if field in CODERS[name].options]
    lacking = [name for name in coders if name not in having]
    if not having or not lacking:
        return ""
    return f"not {', '.join(lacking)}" if len(lacking) < len(having) else ", ".join(having)


def _words(field: str, coders: Collection[str] = CODERS) -> tuple[Any, ...]:
    """The values of an option that takes a word, or one of few numbers."""
    of_coders = [word for name in coders for word in CODERS[name].choices.get(field, ())]
    return _CHOICES.get(field) or tuple(dict.fromkeys(of_coders))


def _restricted(field: str, coders: Collection[str]) -> list[str]:
    """Words that only some of the coders with an option take."""
    choices = {name: CODERS[name].choices.get(field, ()) for name in coders}
    having = {name: words for name, words in choices.items() if words}
    taking = {word: [n for n in having if word in having[n]] for word in _words(field, having)}
    return [
        f"{word}: {', '.join(names)}"
        for word, names in taking.items()
        if names and len(names) < len(having)
    ]


def _default(field: str, coders: Collection[str]) -> str:
    """The default of an option, by coder; '' for one that depends on more."""
    groups: dict[Any, list[str]] = {}
    for name in coders:
        value = CODERS[name].options.get(field)
        if value is not None and value is not False:
            groups.setdefault(value, []).append(name)
    if not groups:
        return ""
    *others, last = sorted(groups, key=lambda value: len(groups[value]))
    parts = [f"{value} for {' and '.join(groups[value])}" for value in others]
    return "default: " + ", ".join([*parts, f"else {last}" if parts else f"{last}"])


# --- options ---------------------------------------------------------------------------------------


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise typer.BadParameter(f"{text!r} is not of the form KEY=VALUE")
    return key, value


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(map(int, text.split(",")))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no list of numbers, such as 2,0,1") from None


_TYPES = get_type_hints(EncoderConfig)
_PARSED: dict[str, tuple[Any, Callable[[str], Any]]] = {
    "metadata": (list[str], _pair),
    "order": (str, _numbers),
}
"""Options whose values are parsed: type of the argument, and its parser."""


def _parameter(
    field: str, coders: Collection[str], coder: str, remark: str = ""
) -> inspect.Parameter:
    """The option of a field, as a parameter of a command."""
    kind = _TYPES[field]
    optional = isinstance(kind, UnionType)
    if optional:
        kind = get_args(kind)[0]
    kind, parser = _PARSED.get(field, (kind, None))
    name = option_name(field)
    if kind is bool and optional:
        name = f"{name}/--no-{name[2:]}"
    words = "|".join(map(str, _words(field, coders)))
    option = typer.Option(
        name,
        help=_help(field, coders, coder, remark),
        metavar=_METAVARS.get(field) or words or None,
        rich_help_panel=panel_of(field),
        parser=parser,
    )
    return inspect.Parameter(
        field,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def with_encoder_options(
    *names: str,
    coders: Collection[str] = tuple(CODERS),
    coder: str = next(iter(CODERS)),
    remarks: Mapping[str, str] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Put options of EncoderConfig in the place of a command's parameter ``choices``, which receives them.

    names   : fields that the command offers; all where none is named.
    coders  : payload coders that it offers.
    coder   : the one that it takes where none is given.
    remarks : what help adds to the text of a field.
    """
    offered = names or _FIELDS
    options = [_parameter(one, coders, coder, (remarks or {}).get(one, "")) for one in offered]

    def extend(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def extended(**given: Any) -> None:
            choices = {name: given.pop(name) for name in offered}
            choices = {name: value for name, value in choices.items() if value is not None}
            if "metadata" in choices:
                choices["metadata"] = dict(choices["metadata"])
            command(choices={"coder": coder, **choices}, **given)

        parameters: list[inspect.Parameter] = []
        for one in inspect.signature(command, eval_str=True).parameters.values():
            own = one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            parameters += options if one.name == "choices" else [own]
        extended.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        extended.__annotations__ = {one.name: one.annotation for one in parameters}
        return extended

    return extend


# --- the configuration -----------------------------------------------------------------------------


def encoder_config(choices: Choices) -> EncoderConfig:
    """The configuration of the options that were given. Raises CallerError, which names them as typed."""
    try:
        return EncoderConfig(**choices)
    except CallerError as error:
        raise CallerError(_as_typed(error.what), hint=_as_typed(error.hint)) from None


_SUBJECT = re.compile(rf"(^|option |and |: )({'|'.join(_FIELDS)})\b(?! of)")


def _as_typed(message: str) -> str:
    """A message with options in the place of fields, wherever a field is what it speaks of."""
    return _SUBJECT.sub(lambda found: found[1] + option_name(found[2]), message)
