"""Common parts of the commands that use a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refcodec.cli.progress import progress
from refcodec.cli.terminal import PIPE, print_note, print_rate, standard_output
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError, EnvironmentFault
from refcodec.files import atomic_file

if TYPE_CHECKING:
    from refcodec.allocate.methods import Allocation
    from refcodec.cli.arrays import Array, Features
    from refcodec.models import Cut, Network
    from refcodec.models.images import Source

__all__ = [
    "cut_network",
    "encode_for_network",
    "load_network",
    "require_library",
    "run_head",
    "run_head_on_texts",
    "stack_features",
    "wanted_allocation",
]

_FITTED = 20
"""Number of features that statistics are chosen on."""


def require_library(name: str, what: str) -> None:
    """Raise EnvironmentFault if an optional library, which ``what`` needs, is missing."""
    try:
        import_module(name)
    except ModuleNotFoundError:
        raise EnvironmentFault(
            f"{what} need {name}, which is missing", hint="pip install 'refcodec[evaluate]'"
        ) from None


def load_network(model: str, weights: Path | None, input_size: int | None) -> Network:
    """Load a network by name. Raises EnvironmentFault without torch, CallerError for wrong options."""
    require_library("torch", "networks")
    from refcodec import models

    if input_size is not None and input_size < 1:
        raise CallerError(f"the input size is {input_size}; it is 1 or more")
    size = None if input_size is None else (input_size, input_size)
    return models.load(model, weights, input_size=size)


def cut_network(
    model: str | None, layer: str | None, weights: Path | None, input_size: int | None
) -> Cut:
    """Load a network and cut it at a layer. Raises as `load_network`."""
    if model is not None and model.endswith(".dfcm"):
        raise CallerError(
            f"{model} is a model of features, and --model names a network",
            hint="give it as --model-file",
        )
    if model is None or layer is None:
        raise CallerError("a network is cut at a layer", hint="give both --model and --layer")
    return load_network(model, weights, input_size).cut(layer)


def wanted_allocation(
    method: str | None, parameters: Iterable[str], sensitivity: Path | None
) -> Allocation:
    """The allocation that options ask for. Raises CallerError, or EnvironmentFault without torch."""
    require_library("torch", "allocations")
    from refcodec.allocate.methods import Allocation

    values: dict[str, object] = {}
    for one in parameters:
        name, equals, text = one.partition("=")
        if not name or not equals:
            raise CallerError(f"the parameter {one!r} is not of the form NAME=VALUE")
        values[name] = _number(text)
    if sensitivity is not None:
        if method not in (None, "measured"):
            raise CallerError(f"--sensitivity and the allocation {method} exclude each other")
        return Allocation("measured", {"sensitivity": str(sensitivity), **values})
    return Allocation(method or "tail-aware", values)


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def encode_for_network(
    source: str,
    target: str,
    config: EncoderConfig,
    key: str | None,
    allocation: Allocation,
    cut: Cut | None,
    goal: dict[str, Any],
    *,
    fit_statistics: bool,
) -> None:
    """Code the features of a file for the tail of a network; all features are held in memory.

    goal           : fields of `refcodec.allocate.targets.Goal`; None for those without a target.
    fit_statistics : true to choose statistics, range and quantiser by the output, on some features.
    """
    from refcodec.cli.arrays import open_features

    with open_features(source, key) as found:
        config = found.kept_by(config)
        features = _stack(found, source, config, cut)
    if cut is not None and config.feature_type is None:
        config = config.but(feature_type=cut.feature_type)
    if fit_statistics:
        config = _fit(features, config, allocation.method, cut)
    if any(value is not None for value in goal.values()):
        if cut is None:
            raise CallerError("the target needs the network", hint="give --model and --layer")
        _meet(goal, features, target, config, allocation, cut)
    else:
        from refcodec.allocate.methods import write_features

        output = standard_output() if target == PIPE else target
        with progress("encoding", len(features)) as show:
            write_features(output, features, config, allocation, cut, show, exist_ok=True)
    if target != PIPE:
        print_rate(target, len(features), features.size, features.nbytes)


def _fit(features: Array, config: EncoderConfig, method: str, cut: Cut | None) -> EncoderConfig:
    from refcodec.allocate.alone import spread
    from refcodec.allocate.statistics import candidates, choose_statistics

    if cut is None:
        raise CallerError("statistics are chosen by the output", hint="give --model and --layer")
    if method == "tail-aware":
        raise CallerError(
            "tail-aware encoding chooses statistics, range and quantiser itself",
            hint="leave out --fit-statistics, or choose another --allocation",
        )
    some = spread(features, _FITTED)
    groups = candidates(some, config)
    if method == "gradient":
        groups = groups[:-1]  # the quantiser has to stay uniform
    chosen, trials = choose_statistics(some, cut.tail, config, groups)
    best = min(trials, key=lambda trial: trial.rate)
    change = ", ".join(f"{name} {value}" for name, value in best.change.items()) or "no change"
    print_note(f"{change}: {best.rate:+.1f} % of the rate at equal SNR, QP {best.qp}")
    return chosen


def _meet(
    goal: dict[str, Any],
    features: Array,
    target: str,
    config: EncoderConfig,
    allocation: Allocation,
    cut: Cut,
) -> None:
    from refcodec.allocate.targets import Goal, meet, trials

    output = standard_output() if target == PIPE else None
    with progress("searching", trials(config, allocation), unit="trials") as show:
        stream, value = meet(Goal(**goal), features, config, allocation, cut, show)
    if output is not None:
        output.write(stream)
    else:
        with atomic_file(target) as file:
            file.write(stream)
    print_note(f"{'strength' if allocation.method == 'tail-aware' else 'QP'} {value:g}")


def stack_features(
    source: str,
    config: EncoderConfig,
    cut: Cut | None,
    *,
    key: str | None = None,
    count: int | None = None,
) -> Array:
    """Stack the features of a file, N x C x H x W or N x D, in their own type: all, or ``count`` of them.

    Raises CallerError for features that the configuration cannot code, or that are not of the cut's shape.
    """
    from refcodec.cli.arrays import open_features

    with open_features(source, key) as found:
        return _stack(found, source, config, cut, count)


def _stack(
    found: Features, source: str, config: EncoderConfig, cut: Cut | None, count: int | None = None
) -> Array:
    import numpy as np

    from refcodec.encoder.features import as_feature

    wanted = found.count if count is None else min(count, found.count)
    chosen = {n * found.count // wanted for n in range(wanted)}
    features = [as_feature(one, config) for n, one in enumerate(found.features) if n in chosen]
    shapes = {one.shape for one in features}
    if cut is not None and shapes != {cut.feature_shape}:
        raise CallerError(
            f"{source} has features of shape {', '.join(map(str, sorted(shapes))) or 'none'}; "
            f"those of {cut.layer} are {cut.feature_shape}",
            hint="do they come from images of another size? Give --input-size",
        )
    if len(shapes) != 1:
        raise CallerError(f"{source} has features of different shapes, or none")
    if len({one.dtype for one in features}) != 1:
        raise CallerError(f"{source} has features of different types")
    return np.stack(features)


def run_head(
    cut: Cut, source: Source, size: int, show: Callable[[int], None] | None = None
) -> Iterator[Array]:
    """Yield the features of images, one after another.

    size : batch size.
    show : called with the number of features so far.
    """
    import torch

    from refcodec.models.images import batches

    done = 0
    for some in batches(source, size):
        with torch.inference_mode():
            features = cut.head(some.inputs).numpy()
        for feature in features:
            yield feature
            done += 1
            if show:
                show(done)


def run_head_on_texts(
    cut: Cut, texts: Sequence[Sequence[int]], size: int, show: Callable[[int], None]
) -> Iterator[Array]:
    """Yield the features of texts, numbers of tokens each, one after another, T x D.

    size, show : as of `run_head`.
    """
    import torch

    for start in range(0, len(texts), size):
        some = [torch.tensor(one) for one in texts[start : start + size]]
        with torch.inference_mode():
            features = cut.heads(some)
        for number, feature in enumerate(features, start + 1):
            yield feature.numpy()
            show(number)
