"""Measurements after a training: features and their error, other ways to store them, probes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from refcodec.learn.baselines import Baseline, Known, store
from refcodec.learn.bottleneck import Bottleneck
from refcodec.learn.data import Data
from refcodec.learn.losses import Loss
from refcodec.learn.network import Bottlenecked
from refcodec.learn.probes import Probe, measure_probe, targets_of

__all__ = [
    "Collected",
    "Seen",
    "collect",
    "error_of",
    "measure_baseline",
    "outputs_of",
    "probe",
    "see",
]

Floats = npt.NDArray[np.float32]

_AT_ONCE: Final = 250


@dataclass(frozen=True, eq=False)
class Collected:
    """Features of data, and what belongs to them.

    features : N x C x H x W or N x D, float32, before the bottleneck.
    latents  : the integers that are stored for them, int32; None without a bottleneck, or under a hyperprior.
    targets  : N x ...
    inputs   : N x ..., float32; None unless they were asked for.
    """

    features: Floats
    latents: npt.NDArray[np.int32] | None
    targets: torch.Tensor
    inputs: Floats | None = None


class Seen(NamedTuple):
    """A batch of data, not augmented.

    prepared : as `refcodec.learn.network.Bottlenecked.forward` takes it: outputs of a frozen part, or inputs.
    targets  : N x ...
    inputs   : N x ..., float32.
    """

    prepared: torch.Tensor
    targets: torch.Tensor
    inputs: torch.Tensor


def see(network: Bottlenecked, data: Data, count: int | None = None) -> Iterator[Seen]:
    """Yield batches of data, evenly spread over all if ``count`` is fewer."""
    network.set_training(False)
    device = next(network.module.parameters()).device
    total = len(data) if count is None else min(count, len(data))
    chosen = np.arange(total) * len(data) // total
    for start in range(0, total, _AT_ONCE):
        inputs, targets = data.batch(chosen[start : start + _AT_ONCE], None)
        with torch.no_grad():
            yield Seen(network.prepare(inputs.to(device)), targets, inputs)


def collect(
    network: Bottlenecked,
    batches: Iterable[Seen],
    *,
    with_inputs: bool = False,
    reference: Callable[[torch.Tensor, torch.Tensor], torch.Tensor | None] = lambda *_: None,
) -> Collected:
    """Run the head over batches.

    with_inputs : keep the inputs, too.
    reference   : gives outputs that take the place of the targets; see `refcodec.learn.trainer.Trainer`.
    """
    network.set_training(False)
    features, latents, targets, kept = [], [], [], []
    for prepared, own, inputs in batches:
        with torch.no_grad():
            found = network.features(prepared)
            outputs = reference(prepared, found)
            targets.append(own if outputs is None else outputs.cpu())
            if isinstance(network.bottleneck, Bottleneck):
                latents.append(network.bottleneck.latents(found).cpu().numpy())
        features.append(found.cpu().numpy())
        if with_inputs:
            kept.append(inputs.numpy())
    return Collected(
        np.concatenate(features),
        np.concatenate(latents) if latents else None,
        torch.cat(targets),
        np.concatenate(kept) if kept else None,
    )


def outputs_of(network: Bottlenecked, features: Floats) -> torch.Tensor:
    """Run the tail over features as they are decoded; outputs N x ..., on the CPU."""
    device = next(network.module.parameters()).device
    with torch.no_grad():
        parts = [
            network.decode(torch.from_numpy(features[n : n + _AT_ONCE]).to(device)).cpu()
            for n in range(0, len(features), _AT_ONCE)
        ]
    return torch.cat(parts)


def error_of(network: Bottlenecked, features: Floats, targets: torch.Tensor, loss: Loss) -> float:
    """Mean error of the task on decoded features."""
    return float(loss.error(outputs_of(network, features), targets).mean())


def measure_baseline(
    baseline: Baseline, network: Bottlenecked, test: Collected, known: Known, loss: Loss
) -> Iterator[dict[str, Any]]:
    """Yield ``coder``, ``options``, ``bytes`` of a feature, and ``error``, for each point."""
    total = len(test.features)
    count = min(baseline.count or total, total)
    chosen = np.arange(count) * total // count
    features, targets = test.features[chosen], test.targets[chosen]
    network.module.requires_grad_(False)
    for options in baseline.points():
        found = store(baseline.coder, options, features, known, network.cut)
        yield {
            "coder": baseline.coder,
            "options": options,
            "count": len(features),
            "bytes": found.size,
            "error": error_of(network, found.features, targets, loss),
        }


def probe(
    one: Probe,
    training: tuple[Collected, Floats],
    test: tuple[Collected, Floats],
    classes: tuple[str, ...],
) -> float:
    """The result of a probe, on data with their features as they are decoded."""

    def pair(part: Collected, features: Floats) -> tuple[Floats, npt.NDArray[np.float64]]:
        assert part.inputs is not None
        return features, targets_of(one, part.inputs, part.targets.tolist(), classes)

    return measure_probe(one, pair(*training), pair(*test))
