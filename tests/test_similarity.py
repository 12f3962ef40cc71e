"""MS-SSIM: properties, values that follow from its definition, and the number of scales."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from refcodec.errors import CallerError
from refcodec.images.similarity import ms_ssim, scales_of


def pictures(side: int = 64) -> torch.Tensor:
    """Smooth random pictures, 2 x 3 x side x side, from 0 to 1."""
    coarse = torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")


def noise(deviation: float, side: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return deviation * torch.randn(2, 3, side, side, generator=generator)


def test_equal_pictures_are_alike_and_others_less() -> None:
    one = pictures()
    assert ms_ssim(one, one).item() == pytest.approx(1, abs=1e-6)
    falling = [ms_ssim(one + noise(0.02 * n), one).item() for n in range(6)]
    assert all(more > less for more, less in pairwise(falling))
    assert falling[-1] < 0.93
    other = one + noise(0.05)
    assert ms_ssim(one, other).item() == pytest.approx(ms_ssim(other, one).item(), abs=1e-6)


@pytest.mark.parametrize(("side", "scales"), [(22, 2), (32, 2), (44, 3), (88, 4), (176, 5)])
def test_grey_pictures_differ_in_the_luminance_of_the_coarsest_scale(
    side: int, scales: int
) -> None:
    """Without contrast, what is left is (2 a b + C) / (a^2 + b^2 + C), to the power of the last weight."""
    a, b = 0.3, 0.6
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])[:scales]
    luminance = (2 * a * b + 1e-4) / (a**2 + b**2 + 1e-4)
    found = ms_ssim(torch.full((1, 3, side, side), a), torch.full((1, 3, side, side), b))
    assert found.item() == pytest.approx(luminance ** (weights[-1] / weights.sum()), abs=1e-4)


def structure(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Mean of luminance times structure, and of structure, under the window of Wang et al., by scipy."""

    def blurred(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values, 1.5, truncate=3.5)[5:-5, 5:-5]

    means = blurred(one), blurred(other)
    variances = blurred(one**2) - means[0] ** 2, blurred(other**2) - means[1] ** 2
    covariance = blurred(one * other) - means[0] * means[1]
    found = (2 * covariance + 9e-4) / (sum(variances) + 9e-4)
    luminance = (2 * means[0] * means[1] + 1e-4) / (means[0] ** 2 + means[1] ** 2 + 1e-4)
    return float((luminance * found).mean()), float(found.mean())


def test_two_scales_by_hand() -> None:
    one = pictures(32)[:1, :1].double()
    other = (one + noise(0.08, 32)[:1, :1]).clamp(0, 1)
    pairs = [(one, other), tuple(torch.nn.functional.avg_pool2d(x, 2) for x in (one, other))]
    (_, fine), (coarse, _) = (structure(*(x[0, 0].numpy() for x in pair)) for pair in pairs)
    total = 0.0448 + 0.2856
    wanted = fine ** (0.0448 / total) * coarse ** (0.2856 / total)
    assert ms_ssim(one, other).item() == pytest.approx(wanted, rel=1e-9)


def test_gradients_lead_to_the_picture() -> None:
    one = pictures(32)
    found = (one + noise(0.1, 32)).requires_grad_()
    optimiser = torch.optim.Adam([found], lr=0.01)
    before = ms_ssim(found, one).item()
    for _ in range(30):
        optimiser.zero_grad()
        (1 - ms_ssim(found, one)).backward()
        optimiser.step()
    assert ms_ssim(found, one).item() > before + 0.05


def test_negative_correlation_is_finite() -> None:
    one = pictures(32)
    found = (1 - one).requires_grad_()
    ms_ssim(found, one).backward()
    assert found.grad is not None
    assert torch.isfinite(found.grad).all()


def test_small_pictures_are_refused() -> None:
    assert scales_of(22, 500) == 2
    with pytest.raises(CallerError, match="images of 21 x 500"):
        scales_of(21, 500)
