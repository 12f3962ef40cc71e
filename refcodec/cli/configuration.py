"""Options of the commands that encode: one for each field of EncoderConfig.

An option has the type of its field, and its help is in ``help_texts``. Options that are not given have the
defaults of EncoderConfig.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from functools import wraps
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args, get_type_hints

import typer

from refcodec.cli.help_texts import help_text, metavar, panel_of
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError
from refcodec.registry import CODERS

__all__ = ["Choices", "encoder_config", "option_name", "with_encoder_options"]

Choices = dict[str, Any]
"""Options that were given, by the names of the fields of EncoderConfig."""

_FIELDS = tuple(one.name for one in fields(EncoderConfig) if one.init)

_NAMES = {"feature_type": "--type", "model": "--model-file"}
"""Options that are not named like their fields; a network is called model, too."""


def option_name(field: str) -> str:
    """A field's option: ``--target-snr`` of ``target_snr``."""
    return _NAMES.get(field, f"--{field.replace('_', '-')}")


def _argument(field: str) -> str:
    """Name of a field's option among the arguments of a command."""
    return option_name(field)[2:].replace("-", "_")


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
_PARSED: dict[str, tuple[Any, Callable[[str], Any] | None]] = {
    "metadata": (list[str], _pair),
    "analysis": (Path, None),
    "contexts": (Path, None),
    "model": (Path, None),
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
    option = typer.Option(
        name,
        help=help_text(field, coders, coder, remark),
        metavar=metavar(field, coders),
        rich_help_panel=panel_of(field),
        parser=parser,
    )
    return inspect.Parameter(
        _argument(field),
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
    """Replace a command's parameter ``choices`` by options of EncoderConfig, which it then receives.

    names   : fields that the command offers; all if none is named.
    coders  : payload coders that it offers.
    coder   : its default coder.
    remarks : additions to the help texts of fields.
    """
    offered = names or _FIELDS
    options = [_parameter(one, coders, coder, (remarks or {}).get(one, "")) for one in offered]

    def extend(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def extended(**given: Any) -> None:
            choices = {name: given.pop(_argument(name)) for name in offered}
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
    """The configuration from the given options. Raises CallerError that names options as they are typed."""
    try:
        return EncoderConfig(**choices)
    except CallerError as error:
        raise CallerError(_as_typed(error.what), hint=_as_typed(error.hint)) from None


_SUBJECT = re.compile(rf"(^|option |and |: )({'|'.join(_FIELDS)})\b")


def _as_typed(message: str) -> str:
    """Replace the fields that a message is about by their options."""
    return _SUBJECT.sub(lambda found: found[1] + option_name(found[2]), message)
