"""Facts about models, for people: sizes, bounds, costs. Not normative."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from refcodec.contexts import ContextModel
from refcodec.entropy.static import PRECISION
from refcodec.errors import CallerError, EnvironmentFault
from refcodec.networks.layers import LARGEST_SUM
from refcodec.networks.network import IntegerNetwork, work_of
from refcodec.probability.hyperprior import HyperpriorModel
from refcodec.probability.kinds import LatentModel, Model
from refcodec.probability.model import EntropyModel
from refcodec.stored_model import model_unit
from refcodec.tables import levels
from refcodec.tables.families import FAMILIES
from refcodec.transform.channel import ChannelTransform, weights_of_transform

__all__ = ["check_model", "describe_model", "work_per_element"]

_KINDS: dict[type[Model], str] = {
    EntropyModel: "entropy model",
    HyperpriorModel: "hyperprior",
    ChannelTransform: "transform over channels",
    ContextModel: "context model",
}


def describe_model(model: Model) -> dict[str, Any]:
    """Kind, SHA-256, sizes, tables, networks and costs of a model, as JSON types."""
    facts: dict[str, Any] = {
        "kind": _KINDS[type(model)],
        "sha256": model.sha256.hex(),
        "bytes": len(model.to_bytes()),
        "level": model_unit(model.to_bytes())[1].level_idc,
    }
    if isinstance(model, ChannelTransform):
        return facts | {
            "channels": model.channels,
            "group_channels": model.coded.group_channels,
            "weights": weights_of_transform(model.coded),
            "multiply_accumulates_per_element": model.coded.group_channels,
            "sum_bits": math.log2(model.largest_sum),
        }
    if isinstance(model, ContextModel):
        return facts | _changes(model)
    facts["tables"] = _tables(model if isinstance(model, EntropyModel) else model.hyper_model)
    if isinstance(model, HyperpriorModel):
        facts["means"] = bool(model.coded.mean_flag)
        facts["fraction"] = model.fraction
        facts["networks"] = {name: _network(one) for name, one in model.networks.items()}
        facts["multiply_accumulates_per_element"] = work_per_element(model)
    return facts


def _changes(model: ContextModel) -> dict[str, Any]:
    """Changes of a context model, and the families of decisions that have any."""
    flags = zip(
        FAMILIES, model.coded.weights_change_flag, model.coded.states_change_flag, strict=True
    )
    changes = model.changes
    return {
        "families": [name for name, weights, states in flags if weights or states],
        "weights_changed": int(np.count_nonzero(changes.weights)),
        "states_changed": int(np.count_nonzero(changes.states)),
    }


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


def check_model(model: Model) -> dict[str, str]:
    """Check the numbers of a model once more; returns what was found.

    Raises EnvironmentFault where they are not what decoding has to guarantee.
    """
    if isinstance(model, ChannelTransform):
        found = _check_transform(model)
    elif isinstance(model, ContextModel):
        found = _check_contexts(model)
    else:
        found = _check_latents(model)
    again = type(model).from_bytes(model.to_bytes())
    _require(again == model, "the model is another one when it is written and read")
    found["level"] = f"{model_unit(model.to_bytes())[1].level_idc} of {max(levels())} admits it"
    return found


def _check_transform(model: ChannelTransform) -> dict[str, str]:
    """Its sums stay exact, and its inverse is one: coefficients are found again."""
    _require(model.largest_sum < 1 << 53, "a sum may exceed binary64")
    wanted = np.arange(3 * model.channels).reshape(model.channels, 1, 3) % 201 - 100
    samples = wanted.astype(np.int32)
    error = float(np.abs(model.coefficients(model.apply(samples)) - wanted).max())
    if error > 0.5:
        raise CallerError(
            f"an encoder cannot undo the transform: a coefficient is {error:.3g} off",
            hint="its weights are nearly dependent: fit it to more features, or to smaller groups",
        )
    return {
        "sums": f"at most 2^{math.log2(model.largest_sum):.1f} of 2^53: they are exact",
        "inverse": f"coefficients are found again within {error:.2g}",
    }


def _check_contexts(model: ContextModel) -> dict[str, str]:
    """Its states are probabilities, and no sum of its weights overflows."""
    probabilities = model.initial.states >> 8
    _require(0 < probabilities.min() <= probabilities.max() < 1 << 22, "a state is no probability")
    largest = int(np.abs(model.initial.weights).max())
    _require(largest < 1 << 28, "a sum of weights may overflow")
    return {"weights": f"at most {largest / 65536:.2f} in magnitude"}


def _check_latents(model: LatentModel) -> dict[str, str]:
    """Its tables add up, and no sum of its networks overflows."""
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
    return found


def _require(sound: bool, what: str) -> None:
    if not sound:
        raise EnvironmentFault(f"this installation decodes models wrongly: {what}")
