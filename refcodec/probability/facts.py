"""Facts about models of latents, for people: sizes, bounds, costs. Not normative."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from refcodec.entropy.static import PRECISION
from refcodec.errors import EnvironmentFault
from refcodec.networks.layers import LARGEST_SUM
from refcodec.networks.network import IntegerNetwork, work_of
from refcodec.probability.hyperprior import HyperpriorModel
from refcodec.probability.kinds import LatentModel
from refcodec.probability.model import EntropyModel
from refcodec.probability.stored import model_unit
from refcodec.tables import levels

__all__ = ["check_model", "describe_model", "work_per_element"]


def describe_model(model: LatentModel) -> dict[str, Any]:
    """Kind, SHA-256, sizes, tables, networks and costs of a model, as JSON types."""
    facts: dict[str, Any] = {
        "kind": "hyperprior" if isinstance(model, HyperpriorModel) else "entropy model",
        "sha256": model.sha256.hex(),
        "bytes": len(model.to_bytes()),
        "level": model_unit(model.to_bytes())[1].level_idc,
        "tables": _tables(model if isinstance(model, EntropyModel) else model.hyper_model),
    }
    if isinstance(model, HyperpriorModel):
        facts["means"] = bool(model.coded.mean_flag)
        facts["fraction"] = model.fraction
        facts["networks"] = {name: _network(one) for name, one in model.networks.items()}
        facts["multiply_accumulates_per_element"] = work_per_element(model)
    return facts


def work_per_element(model: HyperpriorModel) -> float:
    """Multiply-accumulates for each element of features whose sides are multiples of the strides."""
    inner = model.hyper_synthesis.stride
    work = work_of(model.hyper_synthesis.coded, 1)
    outer, channels = 1, model.hyper_synthesis.output_channels >> model.coded.mean_flag
    if model.synthesis is not None:
        work += work_of(model.synthesis.coded, inner**2)
        outer, channels = model.synthesis.stride, model.synthesis.output_channels
    return work / (channels * (inner * outer) ** 2)


def _tables(model: EntropyModel) -> dict[str, int]:
    return {"contexts": model.contexts, "tables": model.tables, "bytes": model.size}


def _network(network: IntegerNetwork) -> dict[str, Any]:
    """Layers of a network, and what it takes and gives."""
    coded = network.coded
    return {
        "input_channels": network.input_channels,
        "input_bits": coded.input_bits_minus1 + 1,
        "stride": network.stride,
        "weights": network.weights,
        "bytes": coded.coded_size,
        "layers": [
            {
                "channels": layer.channels,
                "kernel": layer.kernel_minus1 + 1,
                "stride": layer.stride_minus1 + 1,
                "padding": layer.padding,
                "weight_bits": layer.weight_bits_minus1 + 1,
                "activation": layer.activation.name.lower(),
                "output_bits": layer.output_bits_minus1 + 1,
                "shift": layer.shift_minus1 + 1,
                "bound": bound,
            }
            for layer, bound in zip(coded.layers, network.bounds, strict=True)
        ],
    }


def check_model(model: LatentModel) -> dict[str, str]:
    """Check the numbers of a model once more; returns what was found.

    Raises EnvironmentFault where they are not what decoding has to guarantee.
    """
    found: dict[str, str] = {}
    tables = model if isinstance(model, EntropyModel) else model.hyper_model
    bounds, begin, _, _, _ = tables.distributions.tables
    steps = [np.diff(bounds[start:stop]) for start, stop in pairwise(begin)]
    sound = all(one.min() >= 1 and one.sum() == 1 << PRECISION for one in steps)
    _require(sound, "a table does not add up")
    found["tables"] = f"{tables.tables} tables add up to {1 << PRECISION}"
    if isinstance(model, HyperpriorModel):
        largest = max(max(one.bounds) for one in model.networks.values())
        _require(largest <= LARGEST_SUM, "a sum may overflow")
        found["sums"] = f"at most {largest:,} of {LARGEST_SUM:,}: they cannot overflow"
    again = type(model).from_bytes(model.to_bytes())
    _require(again == model, "the model is another one when it is written and read")
    found["level"] = f"{model_unit(model.to_bytes())[1].level_idc} of {max(levels())} admits it"
    return found


def _require(sound: bool, what: str) -> None:
    if not sound:
        raise EnvironmentFault(f"this installation decodes models wrongly: {what}")
