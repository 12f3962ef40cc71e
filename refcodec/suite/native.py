"""Native payloads of chosen content: such as no encoder would choose, and some of them illegal.

An encoder decides by sums of floating-point numbers. Here all numbers are integers, so that
every machine makes the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.coders import CodedFeature, native
from refcodec.decoder import Walker, walk
from refcodec.entropy import arithmetic
from refcodec.entropy import native as kernels
from refcodec.syntax.structures import STREAM_HEADER_SIZE
from refcodec.syntax.units import parse_stream_header

__all__ = ["Content", "coded_features", "pattern"]

Samples = npt.NDArray[np.int32]
Split = Callable[[int, int, int, int, int], bool]

arithmetic_coder: Any = arithmetic  # kernels have no types
model: Any = kernels


def coded_features(stream: bytes) -> list[CodedFeature]:
    """The coded features of a stream. Raises StreamError."""
    source = io.BytesIO(stream)
    walker = Walker(parse_stream_header(source.read(STREAM_HEADER_SIZE)))
    return [one for unit in walk(source, walker) for one in unit.features]


def pattern(shape: tuple[int, ...], sparse: int, most: int) -> Samples:
    """Levels from -``most`` to ``most`` without order, all but one in ``sparse`` of them 0."""
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
    """The content of a payload.

    levels   : int32, C x H x W.
    block    : largest side of a block, 8, 16 or 32; 4 for samples without a transform.
    split    : true for the blocks that are split, by channel, row, column, height and width.
    temporal : true for the blocks that are predicted from the previous feature, likewise.
    slope    : frequency slope.
    points   : reconstruction points.
    origin   : of samples without a transform.
    mode     : of restoration; its corrections are ``offsets`` and ``gains``, per channel.
    shift    : displacement, down and right.
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

    def code(
        self, fps: Any, parameters: Any, previous: Samples | None = None
    ) -> tuple[bytes, Samples]:
        """The payload, and the samples that a decoder makes of it; with mode 3, a decoder refuses it.

        previous : samples of the feature before, to predict from.
        """
        shape = self.levels.shape
        head = np.zeros(model.HEAD_SIZE, np.int64)
        head[model.BLOCK] = self.block.bit_length() - 3
        head[model.FREQUENCY_SLOPE], head[model.ORIGIN] = self.slope, self.origin
        head[model.POINTS : model.POINTS + 3] = self.points
        head[model.SHIFT_DOWN : model.SHIFT_RIGHT + 1] = self.shift
        head[model.PREDICTED], head[model.RESTORATION] = previous is not None, self.mode
        largest = (1 << int(fps.bits)) - 1
        steps = native.step_sizes(fps, parameters)
        room, ys, xs = native.workspace(shape[1], shape[2], self.block)
        coder, output = np.zeros(arithmetic.CODER_SIZE, np.int64), np.zeros(1 << 20, np.uint8)
        samples = np.zeros(shape, np.int32)
        arithmetic_coder.start_encoding(coder)
        coder[arithmetic.DIRECTION] = 1
        model.code_head(coder, output, head)
        model.code_levels(
            coder, output, room, head, steps, ys, xs, native.ROOTS, largest, self.levels.copy(),
            self._sizes(ys, xs), samples, native.reference(previous, head, largest, shape),
        )  # fmt: skip
        offsets, gains = np.zeros((2, shape[0]), np.int64)
        offsets[: len(self.offsets)], gains[: len(self.gains)] = self.offsets, self.gains
        head[model.RESTORATION] = min(self.mode, 2)
        model.code_restoration(coder, output, room, head, offsets, gains)
        size = arithmetic_coder.finish_encoding(coder, output)
        model.restore(samples, head, steps, offsets, gains)
        return output[:size].tobytes(), samples

    def _sizes(self, ys: npt.NDArray[np.int64], xs: npt.NDArray[np.int64]) -> Samples:
        """Sizes of blocks at their first samples, and marks of those predicted from the previous feature."""
        sizes = np.zeros(self.levels.shape, np.int32)
        waiting = [
            (c, int(y), int(x), int(below - y), int(right - x))
            for c in range(len(sizes))
            for y, below in pairwise(ys)
            for x, right in pairwise(xs)
        ]
        while waiting:
            c, y, x, height, width = block = waiting.pop()
            tall, wide = height >= model.SPLIT_FROM, width >= model.SPLIT_FROM
            if (tall or wide) and self.split(*block):
                top = (height + 1) // 2 if tall else height
                left = (width + 1) // 2 if wide else width
                for down, own_height in {0: top, top: height - top}.items():
                    for across, own_width in {0: left, left: width - left}.items():
                        if own_height and own_width:
                            waiting.append((c, y + down, x + across, own_height, own_width))
            else:
                mark = model.TEMPORAL_MARK * self.temporal(*block)
                sizes[c, y, x] = height * 64 + width + mark
        return sizes
