"""``refcodec plot``."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refcodec.cli import options
from refcodec.cli.networks import require_library
from refcodec.cli.terminal import may_replace
from refcodec.errors import CallerError
from refcodec.files import atomic_file

if TYPE_CHECKING:
    from refcodec.cli.arrays import Array

__all__ = ["plot"]

_SHOWN = 8
"""Channels that are shown where none are named."""


def plot(
    file: Annotated[Path, typer.Argument(metavar="FILE.dfc", help="A stream.")],
    target: Annotated[Path, typer.Argument(metavar="OUT.png|.svg", help="The plot.")],
    original: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="The features before coding, for errors: .npy and so on."
        ),
    ] = None,
    feature: Annotated[int, typer.Option(min=0, metavar="N", help="The feature to show.")] = 0,
    channels: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...", help="Channels to show as pictures; by default 8 that vary most."
        ),
    ] = None,
    force: options.Force = False,
) -> None:
    """Draw a feature: channels as pictures, before and after, errors, and bits of each channel.

    Bits are told of features that the native coder has coded in blocks, and not predicted.
    """
    suffix = target.suffix.lower().removeprefix(".")
    if suffix not in ("png", "svg"):
        raise CallerError(f"{target} is neither .png nor .svg")
    require_library("matplotlib", "plots")
    may_replace(str(target), force, [str(file), *([original] if original else [])])
    import numpy as np

    import refcodec
    from refcodec.channel_plot import draw_feature, liveliest

    with refcodec.open(file) as reader:
        after = reader[feature].astype(np.float64)
    before = None if original is None else _original(original, feature, after.shape)
    if after.ndim == 2:  # tokens, as one picture
        after, before = after[None], None if before is None else before[None]
    chosen = [0] if after.ndim == 1 else liveliest(after if before is None else before, _SHOWN)
    if channels is not None:
        chosen = _chosen(channels, after.shape)
    bits = _bits(file, feature)
    heading = f"{file.name}, feature {feature}, {' x '.join(map(str, after.shape))}"
    with atomic_file(target) as out:
        out.write(draw_feature(after, before, bits, chosen, heading, suffix))


def _original(path: str, number: int, shape: tuple[int, ...]) -> Array:
    """A feature before coding. Raises CallerError where it is none of that shape."""
    import numpy as np

    from refcodec.cli.arrays import open_features

    with open_features(path, tokens=len(shape) == 2) as found:
        one = next(islice(found.features, number, None), None)
    if one is None:
        raise CallerError(f"{path} holds {found.count} features, and no feature {number}")
    if one.shape != shape:
        raise CallerError(f"feature {number} has shape {one.shape} in {path}, and {shape} decoded")
    return one.astype(np.float64)


def _chosen(text: str, shape: tuple[int, ...]) -> list[int]:
    """Numbers of channels. Raises CallerError for others than the feature has."""
    if len(shape) == 1:
        raise CallerError("channels are of maps; a vector is drawn whole", hint="leave it out")
    try:
        numbers = [int(one) for one in text.split(",")]
    except ValueError:
        raise CallerError(f"channels are {text!r}; they are numbers, N,N,...") from None
    for one in numbers:
        if not 0 <= one < shape[0]:
            raise CallerError(f"there is no channel {one}: the feature has {shape[0]}")
    return numbers


def _bits(file: Path, number: int) -> Any:
    """Bits of each channel of a feature, C; None where they are not told."""
    from refcodec.coders.native.coder import initial_of
    from refcodec.coders.native.spent import bits_of_channels
    from refcodec.probability.store import ModelStore
    from refcodec.registry import record_of
    from refcodec.sources import byte_source
    from refcodec.stream.walk import Walk, coded_units
    from refcodec.syntax.codes import Coder, FeatureType
    from refcodec.syntax.structures import STREAM_HEADER_SIZE
    from refcodec.syntax.units import parse_stream_header

    with byte_source(file) as source:
        walk = Walk(parse_stream_header(source.read_whole(STREAM_HEADER_SIZE)))
        for unit in coded_units(walk, source):
            if number < len(unit.payloads):
                maps = unit.fps.feature_type in (FeatureType.CONV, FeatureType.POOL)
                if not maps or record_of(unit.fps.coder_id).coder_id != Coder.NATIVE:
                    return None
                payload = unit.payloads[number]
                initial = initial_of(payload, ModelStore(places=[file.parent]))
                return bits_of_channels(payload, initial)
            number -= len(unit.payloads)
    return None  # in a stream that follows the first one in the file
