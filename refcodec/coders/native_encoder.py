"""The native encoder: what to code, and how finely. Nothing here is normative.

samples --blocks and levels (native_choice)--> the functions of ``entropy.native``, forwards --> payload
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise, product
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.coders import native_choice
from refcodec.coders.advice import NO_ADVICE, Advice
from refcodec.coders.native import ROOTS, geometry, reference, step_sizes, workspace
from refcodec.entropy import native as model
from refcodec.entropy.arithmetic import (
    CODER_SIZE,
    DIRECTION,
    OVERRUN,
    finish_encoding,
    start_encoding,
)
from refcodec.kernel import announce_compilation
from refcodec.tables import native_model
from refcodec.transform import forward

__all__ = ["Choice", "Tuning", "choose", "encode", "encode_payload", "run_forwards", "tuning_of"]

Samples = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Tuning:
    """What an encoder tries for a feature.

    blocks      : largest block sides to choose among; 0 codes samples without a transform.
    exhaustive  : choose by coding the feature with each of them, instead of by an estimate.
    depths      : how often blocks of 16 may be split; of 32, once more.
    strength    : the multiplier of a bit, in squared steps.
    slopes      : frequency slopes to choose among.
    restoration : 0, 1 or 2; None decides by size.
    """

    blocks: tuple[int, ...] = (16, 32)
    exhaustive: bool = False
    depths: int = 2
    strength: float = 0.04
    slopes: tuple[int, ...] = (0,)
    restoration: int | None = None


_SPEEDS = {
    "fast": Tuning(blocks=(16,), depths=1, strength=0.0),
    "default": Tuning(),
    "best": Tuning(blocks=(16, 32), exhaustive=True),
}
_SAMPLED_CHANNELS = 8
"""One channel in so many decides on the largest block."""

_MATCHED_CHANNELS, _REACH = 6, 8
"""Channels that a displacement is searched by, and how far it may go, in samples."""

_RESTORED_SAMPLES = 64
"""Channels of fewer samples have little mean to lose, and a correction costs them much."""

_RESTORATIONS = {"off": 0, "mean": 1, "channel": 2, "auto": None}


def tuning_of(speed: str, restoration: str) -> Tuning:
    """The tuning of a speed setting, with the restoration that is wished for."""
    return replace(_SPEEDS[speed], restoration=_RESTORATIONS[restoration])


@dataclass(frozen=True, slots=True)
class Choice:
    """What an encoder decided before it codes.

    head   : of the payload.
    levels : int32, C x H x W.
    sizes  : of blocks, at their first samples, int32, C x H x W.
    cost   : estimate of squared error and rate, in squared steps; 0 without a transform.
    """

    head: npt.NDArray[np.int64]
    levels: Samples
    sizes: Samples
    cost: float


@dataclass(frozen=True, slots=True)
class Base:
    """What a feature is predicted from: the samples of the previous one, moved by ``shift`` (down, right)."""

    shift: tuple[int, int]
    samples: Samples


@dataclass(frozen=True, slots=True)
class Written:
    """A payload, the samples that a decoder will have, and the corrections of their channels."""

    payload: bytes
    samples: Samples
    offsets: npt.NDArray[np.int64]
    gains: npt.NDArray[np.int64]


def encode_payload(
    positions: npt.NDArray[Any],
    fps: Any,
    parameters: Any,
    tuning: Tuning = Tuning(),
    advice: Advice = NO_ADVICE,
    previous: Samples | None = None,
) -> tuple[bytes, Samples]:
    """Code one feature.

    positions : samples before rounding, float, C x H x W.
    advice    : where errors matter; or the choice that is to be coded, from which ``tuning`` takes nothing.
    previous  : decoded samples of the feature before, to predict from.

    Returns the payload and the samples that a decoder will have.
    """
    announce_compilation()
    steps = step_sizes(fps, parameters)
    base = None if previous is None else find_base(positions, previous, (1 << int(fps.bits)) - 1)
    if advice.choice is not None:
        written = run_forwards(positions, fps, advice.choice, steps, base)
        return written.payload, written.samples

    def cost(written: Written) -> float:
        error = (written.samples - positions) * (65536 / steps)[:, None, None]
        if advice.spectral:
            error = forward(error, *([0, side] for side in error.shape[1:]))
        weights = 1.0 if advice.weights is None else advice.weights
        return float((weights * error**2).sum()) + tuning.strength * 8 * len(written.payload)

    trials = []
    for block in _blocks_to_try(positions, steps, tuning):
        for slope in tuning.slopes if block else (0,):
            chosen = choose(positions, steps, tuning, advice, block, slope, base=base)
            trials.append(run_forwards(positions, fps, chosen, steps, base))
    best = min(trials, key=cost) if len(trials) > 1 else trials[0]
    return best.payload, best.samples


def _blocks_to_try(
    positions: npt.NDArray[Any], steps: npt.NDArray[np.int64], tuning: Tuning
) -> tuple[int, ...]:
    """The largest blocks worth coding with: all of the tuning's, or the best by a sample of channels."""
    if positions[0].size == 1:
        return (0,)
    longest = max(positions.shape[1:])
    blocks = tuple(b for b in tuning.blocks if b <= 16 or longest > 16) or tuning.blocks[:1]
    if tuning.exhaustive or len(blocks) == 1:
        return blocks
    if steps.mean() < 65536 * positions.std():  # many levels: blocks of 32 would be split anyway
        return blocks[:1]
    every = slice(None, None, _SAMPLED_CHANNELS)
    costs = [
        choose(positions[every], steps[every], tuning, NO_ADVICE, block, 0).cost for block in blocks
    ]
    return (blocks[int(np.argmin(costs))],)


def encode(
    positions: Sequence[npt.NDArray[Any]],
    fps: Any,
    parameters: Sequence[Any],
    tuning: Tuning,
    advice: Sequence[Advice],
    gop: int,
) -> Iterator[tuple[bytes, Samples]]:
    """Code a sequence, each feature but every ``gop``-th predicted from the one before."""
    previous: Samples | None = None
    for number, exact in enumerate(positions):
        payload, previous = encode_payload(
            exact, fps, parameters[number], tuning, advice[number],
            previous if number % gop else None,
        )  # fmt: skip
        yield payload, previous


def find_base(positions: npt.NDArray[Any], previous: Samples, largest: int) -> Base:
    """The displacement of the previous feature that fits best, by the channels that vary most."""
    chosen = np.argsort(-positions.reshape(len(positions), -1).var(axis=1))[:_MATCHED_CHANNELS]
    wanted, found = positions[chosen].astype(np.float32), previous[chosen].astype(np.float32)
    _, height, width = wanted.shape
    reach_y, reach_x = min(_REACH, height // 4), min(_REACH, width // 4)
    inner = wanted[:, reach_y : height - reach_y, reach_x : width - reach_x]

    def misfit(shift: tuple[int, int]) -> float:
        top, left = reach_y + shift[0], reach_x + shift[1]
        own = found[:, top : top + inner.shape[1], left : left + inner.shape[2]]
        return float(np.abs(inner - own).sum()) * (1 + 0.001 * (abs(shift[0]) + abs(shift[1])))

    shifts = product(range(-reach_y, reach_y + 1), range(-reach_x, reach_x + 1))
    best = min(shifts, key=misfit)
    head = np.zeros(model.HEAD_SIZE, np.int64)
    head[model.SHIFT_DOWN : model.SHIFT_RIGHT + 1] = best
    return Base(best, reference(previous, head, largest, positions.shape))


def choose(
    positions: npt.NDArray[Any],
    steps: npt.NDArray[np.int64],
    tuning: Tuning,
    advice: Advice,
    block: int,
    slope: int,
    rates: npt.NDArray[np.float32] | None = None,
    base: Base | None = None,
) -> Choice:
    """Choose block sizes and levels, with largest blocks of one side (0: without a transform).

    rates : see ``native_choice.rate_table``; None for those of the initial states.
    base  : what blocks may be predicted from.
    """
    shape = positions.shape
    scales = (steps / 65536).astype(np.float32)[:, None, None]
    head = np.zeros(model.HEAD_SIZE, np.int64)
    head[model.FREQUENCY_SLOPE] = slope
    head[model.RESTORATION] = _restoration(shape, tuning)
    if base is not None:
        head[model.PREDICTED] = 1
        head[model.SHIFT_DOWN : model.SHIFT_RIGHT + 1] = base.shift
    levels = np.zeros(shape, np.int32)
    sums = np.zeros((2, 3))
    cost = 0.0
    if block == 0:
        sizes = np.zeros((1, 1, 1), np.int32)
        head[model.ORIGIN] = _origin(positions)
        scaled = (positions - head[model.ORIGIN]).astype(np.float32) / scales
        np.rint(scaled, out=levels, casting="unsafe")
        for m in (1, 2, 3):
            chosen = (np.abs(levels) == m) if m < 3 else np.abs(levels) > 2
            sums[:, m - 1] = (np.abs(scaled) - np.abs(levels))[chosen].sum(), chosen.sum()
    else:
        head[model.BLOCK] = block.bit_length() - 3
        sizes = np.zeros(shape, np.int32)
        ys, xs, scans, scan_at = geometry(*shape[1:], block)
        grids = _grids(ys, xs, tuning.depths + (block > 16))
        planes = _planes(positions, grids, slope)[:, None]
        if base is not None:
            moved = _planes(positions - base.samples, grids, slope)[:, None]
            planes = np.concatenate([planes, moved], axis=1)
        blocks, starts = native_choice.list_blocks(grids)
        if rates is None:
            rates = _initial_rates()
        trial = np.zeros(planes.shape[1:], np.int32)
        weights = _weight_planes(advice, shape[0], grids)
        for c in range(shape[0]):
            cost += native_choice.choose_channel(
                planes[c] / scales[c], weights[c], tuning.strength, rates, scans, scan_at, blocks, starts,
                trial, levels[c], sizes[c], sums,
            )  # fmt: skip
    if not (block == 0 and (steps == 65536).all()):  # there, every level is a sample
        points = np.rint(32 * sums[0] / np.maximum(sums[1], 1))
        head[model.POINTS : model.POINTS + 3] = np.clip(points, -8, 7)
    return Choice(head, levels, sizes, cost)


def run_forwards(
    positions: npt.NDArray[Any],
    fps: Any,
    chosen: Choice,
    steps: npt.NDArray[np.int64],
    base: Base | None = None,
) -> Written:
    """Code what was chosen; corrections of channels are found on the way, when their samples are known."""
    shape = positions.shape
    head = chosen.head
    moved = np.zeros((shape[0], 0, 0), np.int32) if base is None else base.samples
    capacity = positions.size + 1024
    while True:
        room, ys, xs = workspace(shape[1], shape[2], 4 << int(head[model.BLOCK]))
        coder = np.zeros(CODER_SIZE, np.int64)
        output = np.zeros(capacity, np.uint8)
        samples = np.zeros(shape, np.int32)
        start_encoding(coder)
        coder[DIRECTION] = 1
        model.code_head(coder, output, head)
        model.code_levels(
            coder, output, room, head, steps, ys, xs, ROOTS, (1 << int(fps.bits)) - 1,
            chosen.levels, chosen.sizes, samples, moved,
        )  # fmt: skip
        offsets, gains = _corrections(positions, samples, steps)
        offsets *= head[model.RESTORATION] > 0
        gains *= head[model.RESTORATION] > 1
        model.code_restoration(coder, output, room, head, offsets, gains)
        size = finish_encoding(coder, output)
        if not coder[OVERRUN]:
            break
        capacity *= 2
    model.restore(samples, head, steps, offsets, gains)
    return Written(output[:size].tobytes(), samples, offsets, gains)


@cache
def _initial_rates() -> npt.NDArray[np.float32]:
    """What decisions on coefficients cost to begin with."""
    return native_choice.rate_table(native_model()[0])


def _restoration(shape: tuple[int, ...], tuning: Tuning) -> int:
    if tuning.restoration is not None:
        return tuning.restoration
    return 2 if shape[1] * shape[2] >= _RESTORED_SAMPLES else 0


def _origin(positions: npt.NDArray[Any]) -> int:
    """The commonest sample."""
    values, counts = np.unique(np.rint(positions).astype(np.int64), return_counts=True)
    return int(values[counts.argmax()])


def _corrections(
    positions: npt.NDArray[Any], samples: Samples, steps: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Offsets and gains that give each channel its mean and its standard deviation back."""
    wanted = positions.reshape(len(steps), -1)
    found = samples.reshape(len(steps), -1).astype(np.float64)
    shift = 2 + wanted.shape[1].bit_length() // 2
    offsets = (wanted.mean(axis=1) - found.mean(axis=1)) * (65536 << shift) / steps
    spread = found.std(axis=1)
    ratio = np.divide(wanted.std(axis=1), spread, out=np.ones_like(spread), where=spread > 0)
    gains = np.clip(np.rint(32 * (ratio - 1)), -24, 32)
    return np.rint(offsets).astype(np.int64), gains.astype(np.int64)


def _weight_planes(advice: Advice, channels: int, grids: list[Grid]) -> npt.NDArray[np.float32]:
    """What a squared error of each coefficient costs at every depth of splitting, C x depth x H x W.

    C x depth x 1 x 1 where all coefficients of a channel cost the same.
    """
    given = advice.weights
    if given is None or given[0].size == 1:
        plain = np.ones((channels, 1, 1), np.float32) if given is None else given
        return np.repeat(plain[:, None], len(grids), axis=1)
    means = [[_means(boundaries, advice.spectral) for boundaries in (ys, xs)] for ys, xs in grids]
    return np.stack([down @ given @ right.T for down, right in means], axis=1).astype(np.float32)


def _means(boundaries: npt.NDArray[np.int64], spectral: bool) -> npt.NDArray[np.float64]:
    """A matrix that averages along a side what bears on each coefficient, length x length.

    That is all samples of its block, or the frequencies of the whole side that its own frequency covers.
    """
    length = int(boundaries[-1])
    rows = np.zeros((length, length))
    for start, stop in pairwise(boundaries):
        n = stop - start
        for i in range(n):
            bears = (
                slice(i * length // n, -(-(i + 1) * length // n))
                if spectral
                else slice(start, stop)
            )
            rows[start + i, bears] = 1
    means: npt.NDArray[np.float64] = rows / rows.sum(axis=1, keepdims=True)
    return means


Grid = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _grids(ys: npt.NDArray[np.int64], xs: npt.NDArray[np.int64], depths: int) -> list[Grid]:
    """Boundaries of blocks when all of them are split once, twice, ...; the whole ones first."""
    grids = [(ys, xs)]
    while len(grids) <= depths:
        finer = _halves(grids[-1][0]), _halves(grids[-1][1])
        if len(finer[0]) == len(grids[-1][0]) and len(finer[1]) == len(grids[-1][1]):
            break
        grids.append(finer)
    return grids


def _halves(boundaries: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    parts = [boundaries[:1]]
    for start, stop in pairwise(boundaries):
        middle = [start + (stop - start + 1) // 2] if stop - start >= model.SPLIT_FROM else []
        parts.append(np.array([*middle, stop]))
    return np.concatenate(parts)


def _planes(positions: npt.NDArray[Any], grids: list[Grid], slope: int) -> npt.NDArray[np.float32]:
    """Coefficients at every depth of splitting, C x depth x H x W, over the scale of their frequency."""
    planes = []
    if not np.issubdtype(positions.dtype, np.integer):
        positions = positions.astype(np.float32)
    else:  # exactly, for whoever must get the same on every machine
        positions = positions.astype(np.float64)
    for ys, xs in grids:
        plane = forward(positions, ys, xs).astype(np.float32)
        if slope:
            down = np.concatenate([np.arange(n) / n for n in np.diff(ys)])
            right = np.concatenate([np.arange(n) / n for n in np.diff(xs)])
            scale = 1 + np.floor(slope * (down[:, None] + right) + 1e-6) / 16
            plane /= scale.astype(np.float32)
        planes.append(plane)
    return np.stack(planes, axis=1)
