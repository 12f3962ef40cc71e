"""Payloads coded again with other states: their content, apart from how it is coded. Not normative."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refcodec.coders.native.head import (
    PREDICTED,
    Bounds,
    empty_head,
    sample_bounds,
    step_sizes,
)
from refcodec.coders.native.payload import Content, Corrections, code_payload
from refcodec.coders.protocol import Payload
from refcodec.contexts import Initial
from refcodec.entropy.arithmetic import CODER_SIZE, DIRECTION
from refcodec.entropy.arrays import Int32, Int64

__all__ = ["Recording", "record"]

_ROOM = 32
"""Bytes for an element at most: 14 decisions of 11 bits, an Exp-Golomb code of 49 and a sign."""


class Recording(NamedTuple):
    """Content of a payload: head, levels, block sizes and corrections; and what else determines its bytes.

    steps, bounds, reference_feature : as of `code_payload`.
    """

    content: Content
    corrections: Corrections
    steps: Int64
    bounds: Bounds
    reference_feature: Int32 | None

    def code(self, begun: Initial) -> int:
        """Code the payload with states and weights, which are adapted; returns its size in bytes."""
        head, levels, sizes = self.content
        content = Content(head.copy(), levels.copy(), sizes.copy())
        coder = np.zeros(CODER_SIZE, np.int64)
        coder[DIRECTION] = 1
        output = np.zeros(_ROOM * levels.size + 4096, np.uint8)
        coded = code_payload(
            coder, output, content, self.steps, self.bounds, self.reference_feature,
            lambda samples: self.corrections, begun,
        )  # fmt: skip
        return coded.size


def record(
    payload: Payload, reference_feature: Int32 | None = None, initial: Initial | None = None
) -> tuple[Recording, Int32]:
    """Decode a payload; returns its content, and its samples, C x H x W.

    reference_feature, initial : as of `decode_payload`.

    Raises PayloadError.
    """
    fps = payload.fps
    shape = (fps.channels, fps.height, fps.width)
    head = empty_head(fps)
    head[PREDICTED] = reference_feature is not None
    content = Content(head, np.zeros(shape, np.int32), np.zeros(shape, np.int32))
    data = np.frombuffer(bytearray(payload.data), np.uint8)  # kernels want it writable
    steps, bounds = step_sizes(fps, payload.parameters), sample_bounds(fps)
    coded = code_payload(
        np.zeros(CODER_SIZE, np.int64), data, content, steps, bounds, reference_feature,
        model=initial and initial.copy(),
    )  # fmt: skip
    recording = Recording(content, coded.corrections, steps, bounds, reference_feature)
    return recording, coded.samples
