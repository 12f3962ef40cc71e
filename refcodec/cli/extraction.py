"""``refcodec extract``: features of images at a layer of a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import refcodec
from refcodec.cli import options
from refcodec.cli.configuration import Choices, encoder_config, with_encoder_options
from refcodec.cli.networks import load_network, run_head
from refcodec.cli.progress import progress
from refcodec.cli.terminal import may_replace, print_note

if TYPE_CHECKING:
    from refcodec.models import Cut, Network
    from refcodec.models.images import Source

__all__ = ["extract"]


@with_encoder_options("coder", "qp", coder="native-lossless")
def extract(
    images: Annotated[
        str,
        typer.Argument(
            metavar="IMAGES",
            help="A folder, flat or with one for each class; an .npz of JPEGs; or scenes:COUNT.",
        ),
    ],
    target: Annotated[str, typer.Argument(metavar="OUT", help=".dfc, .npy, .npz or .safetensors.")],
    model: options.NetworkModel,
    layer: options.NetworkLayer,
    choices: Choices,
    weights: options.NetworkWeights = None,
    count: Annotated[
        int | None, typer.Option(help="Images to take, of each class as many; by default all.")
    ] = None,
    input_size: options.NetworkInputSize = None,
    batch: Annotated[int, typer.Option(min=1, help="Images to run at a time.")] = 16,
    force: options.Force = False,
) -> None:
    """Run images through a network up to a layer, and save the features.

    A .dfc holds them bit for bit, unless --coder is lossy, with metadata on their origin.
    """
    config = encoder_config(choices)
    may_replace(target, force)
    network = load_network(model, weights, input_size)
    from refcodec.models.images import open_images

    source = open_images(images, count=count, size=network.input_size)
    cut = network.cut(layer)
    with progress("extracting", len(source)) as show:
        features = run_head(cut, source, batch, show)
        if Path(target).suffix.lower() == ".dfc":
            own = {
                "feature_type": cut.feature_type,
                "metadata": _metadata(network, cut, source, images),
            }
            with refcodec.create(target, config.but(**own), exist_ok=True) as writer:
                for feature in features:
                    writer.write(feature)
        else:
            from refcodec.cli.outputs import write_features

            write_features(target, features)
    shape = " x ".join(map(str, cut.feature_shape))
    print_note(f"{target}: features {len(source):,} of {shape}")


def _metadata(network: Network, cut: Cut, source: Source, images: str) -> dict[str, str]:
    """Metadata on the features, by the keys of Annex E."""
    import torch

    height, width = network.input_size
    facts = {
        "model": network.name,
        "weights": network.weights,
        "layer": cut.layer,
        "task": network.task,
        "dataset": Path(images).name,
        "items": "\n".join(source.names),
        "preprocessing": f"scaled (bicubic) to cover {height} x {width} pixels, cropped at the centre; "
        "from 0 to 1, less the mean and over the deviation of ImageNet",
        "framework": f"torch {torch.__version__}",
        "encoder": f"refcodec {refcodec.__version__}",
    }
    return {key: value for key, value in facts.items() if value}
