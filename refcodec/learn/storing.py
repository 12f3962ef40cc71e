"""Test features as files under a trained bottleneck, and their sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

import refcodec
from refcodec.learn.bottleneck import Bottleneck
from refcodec.learn.frozen import freeze
from refcodec.learn.hyperprior import HyperpriorBottleneck
from refcodec.learn.integers import freeze_codec
from refcodec.learn.measure import Collected, outputs_of
from refcodec.learn.network import Bottlenecked
from refcodec.learn.plan import BottleneckPlan
from refcodec.metrics import signal_to_noise

__all__ = ["store"]

Floats = npt.NDArray[np.float32]

_AT_ONCE: Final = 250


def store(
    network: Bottlenecked, training: Collected, test: Collected, folder: Path, plan: BottleneckPlan
) -> tuple[dict[str, Any], tuple[Floats, Floats]]:
    """Freeze the bottleneck of a network, and write the model and files of test features.

    plan : says how tables are refined, and the widths of integers.

    Returns what was measured, and the features of training and test as they are decoded.
    """
    bottleneck = network.bottleneck
    if isinstance(bottleneck, HyperpriorBottleneck):
        return _under_hyperprior(network, bottleneck, training, test, folder, plan)
    assert bottleneck is not None
    return _factorised(bottleneck, training, test, folder, refine=plan.refine)


def _factorised(
    bottleneck: Bottleneck, training: Collected, test: Collected, folder: Path, *, refine: bool
) -> tuple[dict[str, Any], tuple[Floats, Floats]]:
    assert training.latents is not None
    assert test.latents is not None
    frozen = freeze(bottleneck, training.latents, refine=refine)
    frozen.model.save(folder / "model.dfcm")
    others = [axis for axis in range(training.features.ndim) if axis != 1]
    found: dict[str, Any] = {
        "ideal_bits": frozen.model.code_length(test.latents) / len(test.latents),
        "model_bytes": frozen.model.size,
        "used_channels": int((training.latents != 0).any(axis=tuple(others)).sum()),
    }
    for name, joint in (("bytes", False), ("joint_bytes", True)):
        path = folder / ("joint.dfc" if joint else "features.dfc")
        frozen.write(path, test.latents, joint=joint)
        found[name] = path.stat().st_size / len(test.latents)
    return found, (frozen.values(training.latents), _read(folder / "features.dfc"))


def _under_hyperprior(
    network: Bottlenecked,
    bottleneck: HyperpriorBottleneck,
    training: Collected,
    test: Collected,
    folder: Path,
    plan: BottleneckPlan,
) -> tuple[dict[str, Any], tuple[Floats, Floats]]:
    """The model is stored apart, since it is larger than many features; those of training pass as floats."""
    widths = {"weight_bits": plan.weight_bits, "value_bits": plan.value_bits}
    frozen = freeze_codec(bottleneck, training.features, **widths)
    frozen.save(folder)
    path = folder / "features.dfc"
    frozen.write(path, test.features, apart=True)
    wanted = outputs_of(network, test.features).numpy()

    def quality(features: Floats) -> dict[str, float]:
        return {
            "output_snr": signal_to_noise(outputs_of(network, features).numpy(), wanted),
            "feature_snr": signal_to_noise(features, test.features),
        }

    floats, bits = _passed(bottleneck, test.features)
    decoded = _read(path)
    found = {
        "bytes": path.stat().st_size / len(decoded),
        "model_bytes": frozen.model.size,
        "network_snr": {
            name: one.snr
            for name, one in zip(("hyper_synthesis", "synthesis"), frozen.networks, strict=True)
        },
        **quality(decoded),
        "floats": {"bytes": float(bits.mean()) / 8, **quality(floats)},
    }
    return found, (_passed(bottleneck, training.features)[0], decoded)


def _passed(bottleneck: HyperpriorBottleneck, features: Floats) -> tuple[Floats, Floats]:
    """Features as the bottleneck rounds them, and their estimated bits."""
    with torch.no_grad():
        parts = [bottleneck(one) for one in torch.from_numpy(features).split(_AT_ONCE)]
    values, bits = (np.concatenate([one[part].numpy() for one in parts]) for part in (0, 1))
    return values, bits


def _read(path: Path) -> Floats:
    """All features of a file."""
    with refcodec.open(path) as reader:
        return np.stack(list(reader))
