"""Coding of a choice to a payload, by the normative functions in the direction of encoding."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.encoder.choice import Choice
from refcodec.coders.native.encoder.corrections import find_corrections
from refcodec.coders.native.encoder.prediction import Prediction
from refcodec.coders.native.head import (
    RESTORATION,
    Bounds,
)
from refcodec.coders.native.payload import Coded, Content, Corrections, code_payload
from refcodec.contexts import Initial
from refcodec.entropy.arithmetic import CODER_SIZE, DIRECTION, OVERRUN
from refcodec.entropy.arrays import Int32, Int64

__all__ = ["encoding_coder", "run_forwards"]


def encoding_coder() -> Int64:
    """The state of an arithmetic coder that encodes."""
    coder = np.zeros(CODER_SIZE, np.int64)
    coder[DIRECTION] = 1
    return coder


def run_forwards(
    exact: npt.NDArray[Any],
    choice: Choice,
    steps: Int64,
    bounds: Bounds,
    prediction: Prediction | None = None,
    initial: Initial | None = None,
) -> tuple[bytes, Coded]:
    """Code a choice; returns the payload, and the decoded samples with their corrections.

    exact   : samples before rounding, C x H x W: corrections depend on them and on their reconstruction.
    initial : states and weights of a context model; None for those of the tables.
    """
    mode = int(choice.head[RESTORATION])
    content = Content(choice.head, choice.levels, choice.sizes)
    reference_feature = None if prediction is None else prediction.reference_feature

    def corrections(samples: Int32) -> Corrections:
        return find_corrections(exact, samples, steps, mode)

    capacity = exact.size + 1024
    while True:
        coder, output = encoding_coder(), np.zeros(capacity, np.uint8)
        coded = code_payload(
            coder, output, content, steps, bounds, reference_feature, corrections,
            initial and initial.copy(),
        )  # fmt: skip
        if not coder[OVERRUN]:
            return output[: coded.size].tobytes(), coded
        capacity *= 2
