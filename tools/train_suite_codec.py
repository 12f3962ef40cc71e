"""Trains refcodec/suite/valid/converted.dfcm: a small feature codec, converted to integers, for a vector.

    python tools/train_suite_codec.py

It is of the layer ``pool`` of the network of the demonstration, with a linear transform and a
hyperprior of means and scales, rounded to few bits in training. Floats of another machine may give other
integers, so that the file is kept. Prints the latents and hyper-latents of three digits, which
``refcodec/suite/valid/hyperpriors.py`` has.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from refcodec.demo.network import Network, load_held_out
from refcodec.learn.hyperprior import HyperpriorBottleneck
from refcodec.learn.integers import freeze_codec
from refcodec.learn.rounded import Widths

TARGET = Path(__file__).resolve().parents[1] / "refcodec" / "suite" / "valid" / "converted.dfcm"

WIDTHS = Widths(6, 10)
STEPS, BATCH, RATE = 200, 32, 0.003


def main() -> None:
    """Train, convert, and print what the vector codes."""
    torch.set_num_threads(1)
    features = torch.from_numpy(Network.load().head(load_held_out()[0], "pool"))
    codec = HyperpriorBottleneck((16, 4, 4), latents=4, synthesis=(), hyper=(4, 2))
    codec.calibrate(features, 0.6)
    codec.widths = WIDTHS
    optimiser = torch.optim.Adam(codec.parameters(), RATE)
    generator = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        batch = features[torch.randint(0, len(features), (BATCH,), generator=generator)]
        values, bits = codec(batch, lambda shape: torch.rand(shape, generator=generator) - 0.5)
        error = ((values - batch) ** 2).mean() / features.var()
        optimiser.zero_grad()
        (error + 0.002 * bits.mean()).backward()
        optimiser.step()
    codec.widths = None
    frozen = freeze_codec(
        codec, features.numpy(), weight_bits=WIDTHS.weights, value_bits=WIDTHS.values
    )
    frozen.model.save(TARGET)
    print(f"{frozen.model}; step {frozen.analysis.step}")
    for one in features[:3].numpy():
        latents, hyper = frozen.analysis(one)
        print(np.rint(latents).astype(int).ravel().tolist(), hyper.ravel().tolist())


if __name__ == "__main__":
    main()
