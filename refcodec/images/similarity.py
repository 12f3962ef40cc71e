"""Multi-scale structural similarity of images, in torch: Wang, Simoncelli and Bovik 2003."""

from __future__ import annotations

from typing import Final

import torch
from torch.nn import functional

from refcodec.errors import CallerError
from refcodec.learn.bounds import Least

__all__ = ["LEAST_SIDE", "ms_ssim", "scales_of"]

_WEIGHTS: Final = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, the finest first, as measured by the paper."""

_WINDOW: Final = 11
"""Side of the Gaussian window, whose deviation is 1.5 pixels."""

_DEVIATION: Final = 1.5

_LUMINANCE, _CONTRAST = 0.01**2, 0.03**2
"""Constants that keep quotients stable, for values from 0 to 1."""

_LEAST: Final = 1e-4
"""Least similarity of a scale."""

LEAST_SIDE: Final = 2 * _WINDOW
"""Least height and width of images: with two scales, the window fits into the halved image."""


def scales_of(height: int, width: int) -> int:
    """Number of scales of images: five, or as many as leave the coarsest one no smaller than the window.

    Raises CallerError for images of less than two scales.
    """
    side = min(height, width)
    if side < LEAST_SIDE:
        raise CallerError(
            f"images of {height} x {width}; MS-SSIM has two scales at least, which need {LEAST_SIDE} "
            "rows and columns",
            hint="the squared error takes images of any size",
        )
    return min(len(_WEIGHTS), (side // _WINDOW).bit_length())


def ms_ssim(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The mean MS-SSIM of images, N x C x H x W, from 0 to 1; 1 for equal ones.

    Contrast and structure are compared at all scales, luminance at the coarsest. Exponents of fewer than five
    scales are those of the finest, divided by their sum. Where pictures correlate negatively, a scale counts
    as hardly alike, and gradients lead away from there.

    Raises CallerError for images that are too small, see `scales_of`.
    """
    count = scales_of(*found.shape[2:])
    weights = torch.tensor(_WEIGHTS[:count], dtype=found.dtype, device=found.device)
    structures = []
    for scale in range(count):
        if scale:
            found, wanted = _halved(found), _halved(wanted)
        luminance, structure = _compared(found, wanted)
        structures.append(structure)
    structures[-1] = structures[-1] * luminance
    means = torch.stack([one.mean(dim=(2, 3)) for one in structures])  # scales x N x C
    powers = Least.apply(means, _LEAST) ** (weights / weights.sum()).reshape(-1, 1, 1)
    return powers.prod(dim=0).mean()


def _compared(one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Similarity of luminance, and of contrast and structure, of each window."""
    means = _blurred(one), _blurred(other)
    squares = [mean**2 for mean in means]
    product = means[0] * means[1]
    variances = _blurred(one**2) + _blurred(other**2) - sum(squares)
    covariance = _blurred(one * other) - product
    return (
        (2 * product + _LUMINANCE) / (sum(squares) + _LUMINANCE),
        (2 * covariance + _CONTRAST) / (variances + _CONTRAST),
    )


def _blurred(values: torch.Tensor) -> torch.Tensor:
    """Means under the window, where it lies inside the image."""
    distance = torch.arange(_WINDOW, dtype=values.dtype, device=values.device) - _WINDOW // 2
    kernel = torch.exp(-(distance**2) / (2 * _DEVIATION**2))
    kernel = (kernel / kernel.sum()).expand(values.shape[1], 1, 1, _WINDOW)
    across = functional.conv2d(values, kernel, groups=values.shape[1])
    return functional.conv2d(across, kernel.transpose(2, 3), groups=values.shape[1])


def _halved(values: torch.Tensor) -> torch.Tensor:
    """Means of 2 x 2 pixels; the last row or column of an odd number is left out."""
    return functional.avg_pool2d(values, 2)
