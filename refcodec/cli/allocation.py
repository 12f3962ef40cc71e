"""``refcodec sensitivity``: sensitivity of a network's output to each channel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refcodec.cli import options
from refcodec.cli.configuration import Choices, encoder_config, with_encoder_options
from refcodec.cli.networks import load_network, require_library, run_head, stack_features
from refcodec.cli.terminal import console
from refcodec.config import EncoderConfig
from refcodec.errors import CallerError
from refcodec.files import atomic_file
from refcodec.registry import LARGEST_QP

if TYPE_CHECKING:
    from refcodec.allocate.sensitivity import Sensitivity
    from refcodec.cli.arrays import Array
    from refcodec.models import Cut

__all__ = ["sensitivity"]

_FEATURES = (".npy", ".safetensors", ".dfc")


@with_encoder_options(
    "coder", "qp", "workers", coders=LARGEST_QP, remarks={"qp": "Here it is QP_base, an integer."}
)
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
    model: options.NetworkModel,
    layer: options.NetworkLayer,
    choices: Choices,
    weights: options.NetworkWeights = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="Images or features to measure; by default all.")
    ] = None,
    input_size: options.NetworkInputSize = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="algorithm1|gradient",
            help="By coding each channel alone (Hu et al. 2020), or by backward passes.",
        ),
    ] = "gradient",
    probes: Annotated[
        int, typer.Option(min=1, help="Backward passes for each feature (gradient).")
    ] = 4,
    plot: Annotated[
        Path | None, typer.Option(metavar="OUT.png|.svg", help="Draw bars, and the QPs.")
    ] = None,
) -> None:
    """Measure how sensitive the network's output is to each channel, and save it for encode."""
    config = encoder_config(choices)
    suffix = plot and plot.suffix.lower().removeprefix(".")
    if suffix not in (None, "png", "svg"):
        raise CallerError(f"{plot} is neither .png nor .svg")
    if plot is not None:
        require_library("matplotlib", "plots")  # before the measurement, which takes long
    network = load_network(model, weights, input_size)
    from refcodec.allocate import sensitivity as allocation
    from refcodec.allocate.alone import base_qp

    qp = base_qp(config)
    if method not in allocation.METHODS:
        raise CallerError(f"the method is {method!r}; it is algorithm1 or gradient")
    cut = network.cut(layer)
    features = _features(source, cut, config, count, network.input_size)
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


def _features(
    source: str, cut: Cut, config: EncoderConfig, count: int | None, size: tuple[int, int]
) -> Array:
    """Features to measure, float32, N x C x H x W: read from a file, or computed from images."""
    import numpy as np

    if Path(source).suffix.lower() in _FEATURES:
        found = stack_features(source, config.but(narrow=True), cut, count=count)
        return found.astype(np.float32, copy=False)
    from refcodec.models.images import open_images

    return np.stack(list(run_head(cut, open_images(source, count=count, size=size), 16)))


def _print(found: Sensitivity, qp: int) -> None:
    from rich.table import Table

    from refcodec.allocate.sensitivity import normalise

    table = Table("channel", "sensitivity", "normalised", "QP", box=None)
    rows = zip(found.values, normalise(found.values), found.qps(qp), strict=True)
    for channel, (value, relative, own) in enumerate(rows):
        table.add_row(str(channel), f"{value:.4g}", f"{relative:.3f}", str(own))
    console().print(table)
