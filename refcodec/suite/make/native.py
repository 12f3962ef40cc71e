"""Native payloads of chosen content, which an encoder would not produce; some are illegal.

An encoder decides by floating-point sums. Here all numbers are integers, so that every machine makes the same
bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.channels import cuts
from refcodec.coders.native.encoder.choice import Choice
from refcodec.coders.native.encoder.forwards import encoding_coder
from refcodec.coders.native.head import (
    BLOCK,
    DEPENDENT_QUANTISATION,
    FREQUENCY_SLOPE,
    GAINED,
    HEAD_SIZE,
    ORIGIN,
    POINTS,
    PREDICTED,
    RESTORATION,
    SHIFT_DOWN,
    SHIFT_RIGHT,
    empty_head,
    sample_bounds,
    step_sizes,
)
from refcodec.coders.native.payload import Content as PayloadContent
from refcodec.coders.native.payload import Corrections, code_payload
from refcodec.coders.native.tree import SPLIT_FROM, TEMPORAL_MARK
from refcodec.coders.native_static.encoder.feature import code_choice
from refcodec.coders.protocol import Payload
from refcodec.contexts import Initial
from refcodec.stream.walk import payloads_of
from refcodec.syntax.structures import (
    FeatureParameters,
    FeatureParameterSet,
)

__all__ = ["Content", "pattern", "payloads"]

Samples = npt.NDArray[np.int32]
Split = Callable[[int, int, int, int, int], bool]


def payloads(stream: bytes) -> list[Payload]:
    """The payloads of a stream, one for each feature. Raises StreamError."""
    return list(payloads_of(io.BytesIO(stream)))


def pattern(shape: tuple[int, ...], sparse: int, most: int) -> Samples:
    """Pseudo-random levels from -``most`` to ``most``, all but one in ``sparse`` of them 0."""
    count = int(np.prod(shape))
    words = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    words ^= words >> np.uint64(29)
    words *= np.uint64(0xBF58476D1CE4E5B9)
    values = (words >> np.uint64(30)) % np.uint64(2 * most + 1)
    levels = values.astype(np.int32) - most
    levels[(words >> np.uint64(8)) % np.uint64(sparse) > 0] = 0
    return levels.reshape(shape)


@dataclass(frozen=True)
class Content:
    """Chosen content of a payload.

    levels   : int32, C x H x W; with dependent quantisation, those with the same magnitudes to be coded.
    block    : largest side of a block, 8, 16 or 32; 4 for samples without a transform.
    split    : function of channel, row, column, height and width: true if that block is split.
    temporal : likewise: true if it is predicted from the reference feature.
    slope    : frequency slope.
    points   : reconstruction points.
    origin   : origin of samples without a transform.
    mode     : mode of restoration; its corrections are ``offsets`` and ``gains``, per channel.
    shift    : displacement, down and right.
    dependent: true for dependent quantisation.
    token_gains : of each token (8.3.7.11); empty for none.
    """

    levels: Samples
    block: int = 16
    split: Split = lambda c, y, x, height, width: False
    temporal: Split = lambda c, y, x, height, width: False
    slope: int = 0
    points: tuple[int, int, int] = (0, 0, 0)
    origin: int = 0
    mode: int = 0
    offsets: Sequence[int] = ()
    gains: Sequence[int] = ()
    shift: tuple[int, int] = (0, 0)
    dependent: bool = False
    token_gains: Sequence[int] = ()

    def code(
        self,
        fps: FeatureParameterSet,
        parameters: FeatureParameters,
        reference_feature: Samples | None = None,
        initial: Initial | None = None,
    ) -> tuple[bytes, Samples]:
        """The payload and its decoded samples; with mode 3, a decoder rejects it.

        reference_feature : samples of the preceding feature, to predict from.
        initial           : states and weights of a context model; None for those of the tables.
        """
        content = PayloadContent(
            self._head(fps, reference_feature is not None), self.levels.copy(), self._sizes()
        )
        coder, output = encoding_coder(), np.zeros(1 << 20, np.uint8)
        corrections = self._corrections(content.head)
        steps, bounds = step_sizes(fps, parameters), sample_bounds(fps)
        coded = code_payload(
            coder, output, content, steps, bounds, reference_feature, corrections,
            initial and initial.copy(),
        )  # fmt: skip
        return output[: coded.size].tobytes(), coded.samples

    def code_static(
        self,
        fps: FeatureParameterSet,
        parameters: FeatureParameters,
        channels: range | None = None,
        changes: npt.NDArray[np.int32] | None = None,
    ) -> tuple[bytes, Samples]:
        """The payload with static tables, and its samples; with mode 3, or block 4, a decoder rejects it.

        channels : those of a substream; None for all.
        changes  : of the tables of contexts; None for those that save bits.
        """
        choice = Choice(self._head(fps, False), self.levels, self._sizes(), 0.0)
        own = channels or range(fps.channels)
        steps = step_sizes(fps, parameters)[own.start : own.stop]
        bounds = sample_bounds(fps)
        return code_choice(choice, steps, bounds, self._corrections(choice.head), changes)

    def _corrections(self, head: npt.NDArray[np.int64]) -> Callable[[Samples], Corrections]:
        """The corrections, whatever the samples are."""

        def corrections(samples: Samples) -> Corrections:
            head[RESTORATION] = min(self.mode, 2)  # mode 3 has none of its own
            offsets, gains = np.zeros((2, len(samples)), np.int64)
            offsets[: len(self.offsets)], gains[: len(self.gains)] = self.offsets, self.gains
            return Corrections(offsets, gains)

        return corrections

    def _head(self, fps: FeatureParameterSet, predicted: bool) -> npt.NDArray[np.int64]:
        """The head of the payload."""
        head = empty_head(fps)
        head[BLOCK] = self.block.bit_length() - 3
        head[FREQUENCY_SLOPE], head[ORIGIN] = self.slope, self.origin
        head[POINTS : POINTS + 3] = self.points
        head[SHIFT_DOWN : SHIFT_RIGHT + 1] = self.shift
        head[PREDICTED], head[RESTORATION] = predicted, self.mode
        head[DEPENDENT_QUANTISATION] = self.dependent
        if self.token_gains:
            head[GAINED], head[HEAD_SIZE:] = 1, self.token_gains
        return head

    def _sizes(self) -> Samples:
        """Sizes of blocks at their first samples, marked if predicted from the reference feature."""
        ys, xs = (cuts(side, self.block) for side in self.levels.shape[1:])
        sizes = np.zeros(self.levels.shape, np.int32)
        waiting = [
            (c, int(y), int(x), int(below - y), int(right - x))
            for c in range(len(sizes))
            for y, below in pairwise(ys)
            for x, right in pairwise(xs)
        ]
        while waiting:
            c, y, x, height, width = block = waiting.pop()
            tall, wide = height >= SPLIT_FROM, width >= SPLIT_FROM
            if (tall or wide) and self.split(*block):
                top = (height + 1) // 2 if tall else height
                left = (width + 1) // 2 if wide else width
                for down, own_height in {0: top, top: height - top}.items():
                    for across, own_width in {0: left, left: width - left}.items():
                        if own_height and own_width:
                            waiting.append((c, y + down, x + across, own_height, own_width))
            else:
                mark = TEMPORAL_MARK * self.temporal(*block)
                sizes[c, y, x] = height * 64 + width + mark
        return sizes
