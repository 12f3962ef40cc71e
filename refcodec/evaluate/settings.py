"""Settings of coders: the options of a ``[[coders]]`` table of an experiment, and the points it defines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import product
from typing import Any, Final

from refcodec.allocate.methods import Allocation, method_of
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError
from refcodec.evaluate.peers import PEERS
from refcodec.registry import CODERS

__all__ = ["CHOICES", "IMAGE_CODERS", "Setting", "settings_of"]

IMAGE_CODERS: Final = ("jpeg", "hevc-image")
"""Coders of the image itself, the layer ``image``; all others code features."""

_NOT_CHOSEN_HERE = frozenset(
    {"coder", "feature_type", "metadata", "ffmpeg", "workers", "timeout", "order", "clip"}
)
_OF_DFC = tuple(one.name for one in fields(EncoderConfig) if one.name not in _NOT_CHOSEN_HERE)

CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(CODERS, _OF_DFC),
    **dict.fromkeys(PEERS, ("qp",)),
    "jpeg": ("quality", "subsampling"),
    "hevc-image": ("qp", "chroma", "preset"),
}
"""Options by coder: those of `refcodec.EncoderConfig`, and those of the peers."""

_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    **{name: {"qp": 32} for name in PEERS},
    "jpeg": {"quality": 75, "subsampling": "4:2:0"},
    "hevc-image": {"qp": 32, "chroma": "4:4:4", "preset": "slower"},
}


@dataclass(frozen=True)
class Setting:
    """A coder with all its parameters: a point of a curve.

    curve      : name of the curve; its points differ only in the varied parameters.
    coder      : one of `CHOICES`.
    choices    : the given parameters.
    varied     : names of those that differ from point to point.
    allocation : the allocation of bits.
    """

    curve: str
    coder: str
    choices: Mapping[str, Any] = field(default_factory=dict)
    varied: tuple[str, ...] = ()
    allocation: Allocation = field(default_factory=Allocation)

    @property
    def codes_images(self) -> bool:
        """True if the image is coded, not features."""
        return self.coder in IMAGE_CODERS

    @property
    def lossless(self) -> bool:
        """True if features are decoded bit for bit."""
        return self.coder in CODERS and self.config.lossy_quantiser is None

    @property
    def label(self) -> str:
        """Label of the point on its curve, from the varied parameters: ``QP 24``; may be empty."""
        values = {**self.choices, **self.allocation.parameters}
        return ", ".join(f"{_NAMES.get(name, name)} {values[name]}" for name in self.varied)

    @property
    def config(self) -> EncoderConfig:
        """The configuration of a coder of refcodec, for one thread. Raises CallerError."""
        return EncoderConfig(coder=self.coder, workers=1).but(**self.choices)

    def chosen(self, name: str) -> Any:
        """An option, or its default, of a coder that is not one of refcodec."""
        return self.choices.get(name, _DEFAULTS[self.coder][name])


_NAMES = {"qp": "QP", "quality": "Q", "target_snr": "SNR", "target_size": "size"}


def settings_of(
    curve: str, coder: str, choices: Mapping[str, Any], allocation: Allocation
) -> list[Setting]:
    """The points of one curve: options, or parameters of the allocation, that are lists are varied.

    If several are varied, there is a point for every combination. Raises CallerError for invalid options.
    """
    given = {**choices, **allocation.parameters}
    varied = tuple(name for name, value in given.items() if isinstance(value, list))
    for name in varied:
        if not given[name]:
            raise CallerError(f"{name} is an empty list")
    found = []
    for values in product(*(given[name] for name in varied)):
        now = given | dict(zip(varied, values, strict=True))
        setting = Setting(
            curve,
            coder,
            {name: now[name] for name in choices},
            varied,
            Allocation(allocation.method, {name: now[name] for name in allocation.parameters}),
        )
        _check(setting)
        found.append(setting)
    return found


def _check(setting: Setting) -> None:
    """Raise CallerError for values that the coder does not take."""
    method_of(setting.allocation)
    if setting.coder in CODERS:
        config = setting.config
        if setting.allocation.method != "none" and not config.lossy_quantiser:
            raise CallerError(f"{setting.coder} loses nothing: there are no bits to allocate")
        own_qp = (setting.allocation.method, setting.coder) == ("tail-aware", "native")
        if own_qp and "qp" in setting.choices:
            raise CallerError(
                "tail-aware encoding with native has a QP of its own",
                hint="give strength, or qp, as parameters of the allocation",
            )
        return
    if setting.allocation.method != "none":
        raise CallerError(f"{setting.coder} is a peer, and takes no allocation")
    for name, allowed in _ALLOWED.items():
        if name in _DEFAULTS[setting.coder]:
            value = setting.chosen(name)
            # types must be the same, since 24.0 and True are in ranges of integers
            if type(value) is not type(allowed[0]) or value not in allowed:
                raise CallerError(f"{name} of {setting.coder} is {value!r}; {_say(allowed)}")


_ALLOWED: Final[Mapping[str, Sequence[Any]]] = {
    "qp": range(52),
    "quality": range(1, 101),
    "subsampling": ("4:4:4", "4:2:2", "4:2:0"),
    "chroma": ("4:4:4", "4:2:0"),
    "preset": (
        *("ultrafast", "superfast", "veryfast", "faster", "fast", "medium"),
        *("slow", "slower", "veryslow", "placebo"),
    ),
}


def _say(allowed: Sequence[Any]) -> str:
    if isinstance(allowed, range):
        return f"it lies in {allowed[0]}..{allowed[-1]}"
    return f"it is one of {', '.join(allowed)}"
