"""Everything that decoding a stream gives, stage by stage: what a decoder under test is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from refcodec.coders.protocol import Machine, Payload, Samples
from refcodec.decoder import Sequences, decode_window
from refcodec.stream.limits import check_level
from refcodec.stream.walk import Walk, coded_units
from refcodec.stream.windows import windows_of
from refcodec.syntax.structures import STREAM_HEADER_SIZE
from refcodec.syntax.units import ByteSource, parse_stream_header
from refcodec.tables import HIGHEST_LEVEL

__all__ = ["Decoded", "decoded_features"]


@dataclass(frozen=True, slots=True)
class Decoded:
    """One feature of a stream.

    samples : int32, C x H x W.
    values  : in the source type, C x H x W or D.
    """

    payload: Payload
    samples: Samples
    values: npt.NDArray[Any]


def decoded_features(source: ByteSource, machine: Machine | None = None) -> Iterator[Decoded]:
    """The features of one stream, in order, from its front.

    Raises StreamError after the features that precede the error, EnvironmentFault without ffmpeg.
    """
    header = parse_stream_header(source.read(STREAM_HEADER_SIZE))
    for error in check_level(header, HIGHEST_LEVEL):
        raise error
    sequences: Sequences = {}
    for window in windows_of(coded_units(Walk(header), source)):
        for unit in decode_window(window, machine or Machine(), sequences):
            yield from map(Decoded, unit.unit.payloads, unit.samples, unit.features)
