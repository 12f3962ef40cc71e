"""Makes tests/fixtures/compressai-*.safetensors: small random models of CompressAI, and what they give.

    pip install --no-deps compressai==1.2.8
    python tools/make_compressai_fixture.py

CompressAI is needed for this alone. Each file holds the state of a model and, under ``expected.``, an image,
its latents and hyper-latents, distributions and image for rounded ones, and the probabilities of
hyper-latents from -8 to 8.
"""

from __future__ import annotations

from pathlib import Path

import torch
from compressai.models.google import (  # type: ignore[import-not-found]
    MeanScaleHyperprior,
    ScaleHyperprior,
)
from safetensors.torch import save_file

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "fixtures"


def main() -> None:
    """Write a file for each kind of model."""
    for name, kind in (("scales", ScaleHyperprior), ("means", MeanScaleHyperprior)):
        torch.manual_seed(5)
        model = kind(4, 6).eval()
        with torch.no_grad():
            for one, factor in ((model.g_a[6], 12), (model.h_a[4], 60), (model.h_s[4], 12)):
                one.weight.mul_(factor)  # else all latents would round to 0
            expected = outputs_of(model)
        state = {key: value for key, value in model.state_dict().items() if value.numel()}
        tensors = state | {f"expected.{key}": value for key, value in expected.items()}
        FOLDER.mkdir(exist_ok=True)
        save_file(
            {key: value.contiguous().clone() for key, value in tensors.items()},
            FOLDER / f"compressai-{name}.safetensors",
        )


def outputs_of(model: ScaleHyperprior) -> dict[str, torch.Tensor]:
    """What the networks of a model give."""
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(0, 256, (1, 3, 16, 16), generator=generator)
    image = image.repeat_interleave(4, 2).repeat_interleave(4, 3).to(torch.uint8)
    y = model.g_a(image / 255)
    means = isinstance(model, MeanScaleHyperprior)
    z = model.h_a(y if means else y.abs())
    found = model.h_s(z.round())
    deviations, centres = found.chunk(2, 1) if means else (found, torch.zeros_like(found))
    grid = torch.arange(-8.0, 9.0).expand(4, 1, -1).contiguous()
    lower, upper = (
        model.entropy_bottleneck._logits_cumulative(grid + half, False) for half in (-0.5, 0.5)
    )
    return {
        "image": image,
        "y": y,
        "z": z,
        "means": centres,
        "deviations": deviations,
        "images": model.g_s(y.round()),
        "probabilities": torch.sigmoid(upper) - torch.sigmoid(lower),
    }


if __name__ == "__main__":
    main()
