"""``refcodec sensitivity``: which channels the rest of a network listens to."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refcodec.cli import options
from refcodec.cli.networks import load_network
from refcodec.cli.terminal import console
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError
from refcodec.files import atomic_file

if TYPE_CHECKING:
    from refcodec.allocate.sensitivity import Sensitivity
    from refcodec.cli.arrays import Array
    from refcodec.models import Cut

__all__ = ["sensitivity"]

_FEATURES = (".npy", ".safetensors", ".dfc")


def sensitivity(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IMAGES|FEATURES",
            help="Images as for extract; or features: .npy, .safetensors or .dfc.",
        ),
    ],
    target: Annotated[
        Path, typer.Argument(metavar="OUT.json", help="What encode --sensitivity reads.")
    ],
    model: Annotated[
        str, typer.Option(metavar="NAME", help="resnet56, vgg16, …, or package.module:factory.")
    ],
    layer: Annotated[
        str, typer.Option(metavar="LAYER", help="conv1, pool1, …, or the name of a module.")
    ],
    weights: Annotated[
        Path | None, typer.Option(help=".safetensors or .pth; without, they are random.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Images or features to measure; by default all.")
    ] = None,
    input_size: Annotated[
        int | None,
        typer.Option(min=1, help="Height and width of the images; by default the network's own."),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="algorithm1|gradient",
            help="By coding each channel alone (Hu et al. 2020), or by backward passes.",
        ),
    ] = "gradient",
    coder: Annotated[str, typer.Option(metavar="hevc|native")] = "native",
    qp: Annotated[int, typer.Option(help="QP_base.")] = 32,
    probes: Annotated[
        int, typer.Option(min=1, help="Backward passes for each feature (gradient).")
    ] = 4,
    plot: Annotated[
        Path | None, typer.Option(metavar="OUT.png|.svg", help="Draw bars, and the QPs.")
    ] = None,
    workers: options.Workers = None,
) -> None:
    """Measure how sensitive the network's output is to each channel, and keep it for encode."""
    config = EncoderConfig(coder=coder, qp=qp, workers=workers)
    suffix = plot and plot.suffix.lower().removeprefix(".")
    if suffix not in (None, "png", "svg"):
        raise CallerError(f"{plot} is neither .png nor .svg")
    network = load_network(model, weights, input_size)
    from refcodec.allocate import sensitivity as allocation

    if method not in allocation.METHODS:
        raise CallerError(f"the method is {method!r}; it is algorithm1 or gradient")
    cut = network.cut(layer)
    features = _features(source, cut, count, network.input_size)
    if method == "gradient":
        found = allocation.by_gradient(features, cut.tail, config, probes=probes)
    else:
        found = allocation.by_algorithm1(features, cut.representation, config)
    found = replace(found, model=network.name, layer=cut.layer)
    allocation.save(found, target)
    if plot is not None:
        from refcodec.evaluate.sensitivity_plot import draw_sensitivity

        with atomic_file(plot) as file:
            file.write(draw_sensitivity(found, qp, suffix or "png"))
    _print(found, qp)


def _features(source: str, cut: Cut, count: int | None, size: tuple[int, int]) -> Array:
    """Features to measure, float32, N x C x H x W: as they are, or made of images."""
    import numpy as np

    suffix = Path(source).suffix.lower()
    if suffix not in _FEATURES:
        return _extract(source, cut, count, size)
    from refcodec.cli.arrays import open_features

    with open_features(source) as file:
        found = list(islice(file.features, count))
    if not found or any(one.shape != cut.feature_shape for one in found):
        shapes = ", ".join(sorted({str(one.shape) for one in found})) or "nothing"
        raise CallerError(
            f"{source} has {shapes}; features of {cut.layer} are {cut.feature_shape}",
            hint="give the size of the images that they come from, or the images",
        )
    return np.stack(found).astype(np.float32)


def _extract(source: str, cut: Cut, count: int | None, size: tuple[int, int]) -> Array:
    import numpy as np
    import torch

    from refcodec.models.images import batches, open_images

    with torch.inference_mode():
        found = [
            cut.head(some.inputs).numpy()
            for some in batches(open_images(source, count=count, size=size), 16)
        ]
    return np.concatenate(found)


def _print(found: Sensitivity, qp: int) -> None:
    from rich.table import Table

    from refcodec.allocate.sensitivity import normalise

    table = Table("channel", "sensitivity", "normalised", "QP", box=None)
    rows = zip(found.values, normalise(found.values), found.qps(qp), strict=True)
    for channel, (value, relative, own) in enumerate(rows):
        table.add_row(str(channel), f"{value:.4g}", f"{relative:.3f}", str(own))
    console().print(table)
