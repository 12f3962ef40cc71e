"""Payload coders: integer samples to payload bytes and back (clause 8.3), one module a family.

``lossless`` holds raw and the byte compressors, ``hevc`` the borrowed video coder with ``ffmpeg`` as
its process. Both serve the two functions below, between which the parameter set chooses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.coders import hevc, lossless
from refcodec.coders.coded import CodedFeature
from refcodec.coders.hevc import Machine
from refcodec.syntax.codes import Coder

__all__ = ["CodedFeature", "Encoded", "Machine", "decode_payloads", "encode_payloads"]

Samples = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a coder made of some features that share a parameter set.

    payloads       : one a feature.
    decoded        : the samples that a decoder will return, int32, C x H x W each.
    access_points  : whether decoding can begin at the feature.
    parameter_sets : HEVC parameter sets, to stand in the feature parameter set.
    """

    payloads: list[bytes]
    decoded: list[Samples]
    access_points: list[bool] = field(default_factory=list)
    parameter_sets: bytes = b""


def decode_payloads(run: Sequence[CodedFeature], machine: Machine) -> Iterator[Samples]:
    """(8.3) Decode consecutive features of one parameter set, the first of them an access point.

    Yields int32 samples, C x H x W. Raises PayloadError, SyntaxViolation or ConstraintError, with the
    place of the payload; EnvironmentFault where ffmpeg fails to run.
    """
    if run[0].fps.coder_id == Coder.HEVC:
        return hevc.decode(run, machine)
    return (lossless.decode_payload(one) for one in run)


def encode_payloads(
    samples: Sequence[Samples], parameters: Sequence[Any], fps: Any, machine: Machine, gop: int
) -> Encoded:
    """Code consecutive features of one parameter set.

    gop : features from one access point to the next, for temporal prediction; 0 for none.
    """
    if fps.coder_id == Coder.HEVC:
        return Encoded(*hevc.encode(samples, parameters, fps, machine, gop))
    payloads = [lossless.encode_payload(one, fps) for one in samples]
    return Encoded(payloads, list(samples), [True] * len(payloads))
