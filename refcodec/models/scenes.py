"""Rendered scenes with known masks: pixel-wise labels for segmentation, without a data set.

A scene shows three to six shapes, rotated, scaled and partly occluded by one another, on a background. Every
surface has random colours and a texture, from the same distribution for all classes, so that only the outline
of a shape reveals its class. Uneven light, blur and noise make the task harder.

All arithmetic is on integers, and random numbers are raw bits of PCG64, which are the same in every version
of numpy: a scene has the same bytes everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["CLASSES", "HELD_OUT_SEED", "SIZE", "TRAINING_SEED", "render_scene", "render_scenes"]

Integers = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]

SIZE = 96
"""Height and width of a scene, pixels."""

CLASSES = ("background", "disk", "square", "triangle", "cross", "ring")
"""Classes of pixels; a mask holds indices into this tuple."""

TRAINING_SEED = 0
"""Seed of the scenes that networks are trained on."""

HELD_OUT_SEED = 1
"""Seed of the scenes that no network has seen."""

_UNIT = 1024
"""Radius of a shape in its own coordinates, and the denominator of sines."""


def render_scenes(count: int, seed: int, start: int = 0) -> tuple[Pixels, Pixels]:
    """Render the scenes ``start`` to ``start + count - 1`` of a seed.

    Returns images, uint8, N x SIZE x SIZE x 3 (RGB), and masks, uint8, N x SIZE x SIZE.
    """
    images = np.empty((count, SIZE, SIZE, 3), np.uint8)
    masks = np.empty((count, SIZE, SIZE), np.uint8)
    for i in range(count):
        images[i], masks[i] = render_scene(seed, start + i)
    return images, masks


def render_scene(seed: int, number: int) -> tuple[Pixels, Pixels]:
    """Render one scene: its image, SIZE x SIZE x 3 (RGB), and its mask, SIZE x SIZE.

    seed, number : not negative; the scene depends on these two alone.
    """
    chance = _Chance(seed, number)
    backdrop = chance.draw(0, 256, 3)
    image = _texture(chance, backdrop)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for _ in range(chance.one(3, 7)):
        label = chance.one(1, len(CLASSES))
        inside = _OUTLINES[label - 1](*_own_coordinates(chance))
        colour = (backdrop + chance.draw(48, 208, 3)) % 256  # no channel is that of the backdrop
        image[inside] = _texture(chance, colour)[inside]
        mask[inside] = label
    noisy = _blur(_light(chance, image)) + chance.noise(image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), mask


class _Chance:
    """Random integers, from the raw bits of PCG64."""

    def __init__(self, seed: int, number: int) -> None:
        self._bits = np.random.PCG64([seed, number])

    def draw(self, low: int, high: int, *shape: int) -> Integers:
        """Integers from ``low`` to ``high - 1``; for such short ranges modulo is unbiased enough."""
        raw = self._bits.random_raw(math.prod(shape)).reshape(shape)
        return low + (raw >> np.uint64(1)).astype(np.int64) % (high - low)

    def one(self, low: int, high: int) -> int:
        return int(self.draw(low, high, 1)[0])

    def noise(self, shape: tuple[int, ...]) -> Integers:
        """Sensor noise: triangular from -15 to 15, the difference of two random nibbles per value."""
        raw = self._bits.random_raw(-(-math.prod(shape) // 8)).astype("<u8").view(np.uint8)
        octets = raw[: math.prod(shape)].reshape(shape).astype(np.int64)
        return (octets & 15) - (octets >> 4)


# --- outlines: true for points inside, in coordinates with the shape's centre at 0 and radius _UNIT ---------


def _disk(u: Integers, v: Integers) -> npt.NDArray[np.bool_]:
    return u * u + v * v < _UNIT**2


def _square(u: Integers, v: Integers) -> npt.NDArray[np.bool_]:
    return np.maximum(abs(u), abs(v)) < 870


def _triangle(u: Integers, v: Integers) -> npt.NDArray[np.bool_]:
    sine, cosine = 887, 512  # of 60 degrees
    return (v > -600) & (sine * abs(u) + cosine * v < 600 * _UNIT)


def _cross(u: Integers, v: Integers) -> npt.NDArray[np.bool_]:
    across, along = np.minimum(abs(u), abs(v)), np.maximum(abs(u), abs(v))
    return (across < 330) & (along < _UNIT)


def _ring(u: Integers, v: Integers) -> npt.NDArray[np.bool_]:
    return _disk(u, v) & ~_disk(2 * u, 2 * v)


_OUTLINES: tuple[Callable[[Integers, Integers], npt.NDArray[np.bool_]], ...] = (
    _disk,
    _square,
    _triangle,
    _cross,
    _ring,
)

_ROW, _COLUMN = np.indices((SIZE, SIZE), np.int64)


def _own_coordinates(chance: _Chance) -> tuple[Integers, Integers]:
    """Coordinates of all pixels relative to a shape at a random position, angle and scale."""
    x, y = (_COLUMN, _ROW) - chance.draw(8, SIZE - 8, 2).reshape(2, 1, 1)
    angle, radius = math.radians(chance.one(0, 360)), chance.one(12, 27)
    sine, cosine = round(_UNIT * math.sin(angle)), round(_UNIT * math.cos(angle))
    return (cosine * x + sine * y) // radius, (cosine * y - sine * x) // radius


# --- surfaces and light ------------------------------------------------------------------------------------


def _texture(chance: _Chance, colour: Integers) -> Integers:
    """A surface, SIZE x SIZE x 3: stripes, checks or clouds between a colour and a similar one."""
    pattern = (_stripes, _checks, _clouds)[chance.one(0, 3)](chance)
    return colour + (pattern[:, :, np.newaxis] * chance.draw(-64, 65, 3) >> 8)


def _stripes(chance: _Chance) -> Integers:
    """Waves in any direction, 0 to 256."""
    dx, dy = chance.draw(-64, 65, 2)
    return abs((dx * _COLUMN + dy * _ROW) % 512 - 256)


def _checks(chance: _Chance) -> Integers:
    """A checkerboard, 0 or 256."""
    side = chance.one(3, 9)
    return (_COLUMN // side + _ROW // side) % 2 * 256


def _clouds(chance: _Chance) -> Integers:
    """Random values, 0 to 256, at every eighth pixel, interpolated in between."""
    heights = chance.draw(0, 257, SIZE // 8 + 1, SIZE // 8 + 1)
    row, column, down, right = _ROW // 8, _COLUMN // 8, _ROW % 8, _COLUMN % 8
    above: Integers = heights[row, column] * (8 - right) + heights[row, column + 1] * right
    below: Integers = heights[row + 1, column] * (8 - right) + heights[row + 1, column + 1] * right
    return (above * (8 - down) + below * down) >> 6


def _light(chance: _Chance, image: Integers) -> Integers:
    """Apply light that falls off in a random direction, by up to two thirds between opposite corners."""
    dx, dy = chance.draw(-1, 2, 2)
    gain = 192 + dx * (_COLUMN - SIZE // 2) + dy * (_ROW - SIZE // 2)
    lit: Integers = np.clip(image, 0, 255) * gain[:, :, np.newaxis] // 256
    return lit


def _blur(image: Integers) -> Integers:
    """Blur with weights 1, 2, 1 in both directions."""
    image = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    image = image[:-2] + 2 * image[1:-1] + image[2:]
    return (image[:, :-2] + 2 * image[:, 1:-1] + image[:, 2:]) // 16
