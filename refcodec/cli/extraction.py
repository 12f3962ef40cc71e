"""``refcodec extract``: features of images, or of texts, at a layer of a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import refcodec
from refcodec.cli import options
from refcodec.cli.configuration import Choices, encoder_config, with_encoder_options
from refcodec.cli.networks import load_network, run_head, run_head_on_texts
from refcodec.cli.progress import progress
from refcodec.cli.terminal import may_replace, print_note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from refcodec.cli.arrays import Array
    from refcodec.models import Cut, Network

    Run = Callable[[int, Callable[[int], None]], Iterator[Array]]
    """From a batch size, and a function that is told of the progress, to features."""

__all__ = ["extract"]


@with_encoder_options("coder", "qp", coder="native-lossless")
def extract(
    images: Annotated[
        str,
        typer.Argument(
            metavar="IMAGES",
            help="A folder, flat or with one for each class; an .npz of JPEGs; or scenes:COUNT. For networks "
            "of texts a .txt, one a line, or docstrings:COUNT.",
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
    """Run images through a network up to a layer, and save the features: of texts a sequence of tokens each.

    A .dfc holds them bit for bit, unless --coder is lossy, with metadata on their origin.
    """
    config = encoder_config(choices)
    may_replace(target, force, [images])
    network = load_network(model, weights, input_size)
    cut = network.cut(layer)
    total, facts, run = (_texts if network.vocabulary else _pictures)(network, cut, images, count)
    with progress("extracting", total) as show:
        features = run(batch, show)
        if Path(target).suffix.lower() == ".dfc":
            own = {
                "feature_type": cut.feature_type,
                "metadata": _metadata(network, cut, images, facts),
            }
            with refcodec.create(target, config.but(**own), exist_ok=True) as writer:
                for feature in features:
                    writer.write(feature)
        else:
            from refcodec.cli.outputs import write_features

            write_features(target, features)
    shape = " x ".join(map(str, ("T", *cut.feature_shape) if cut.tokens else cut.feature_shape))
    print_note(f"{target}: features {total:,} of {shape}")


def _pictures(
    network: Network, cut: Cut, images: str, count: int | None
) -> tuple[int, dict[str, str], Run]:
    """Number of images, what metadata say of them, and how their features are made."""
    from refcodec.models.images import open_images

    source = open_images(images, count=count, size=network.input_size)
    height, width = network.input_size
    facts = {
        "items": "\n".join(source.names),
        "preprocessing": f"scaled (bicubic) to cover {height} x {width} pixels, cropped at the centre; "
        "from 0 to 1, less the mean and over the deviation of ImageNet",
    }
    return len(source), facts, lambda batch, show: run_head(cut, source, batch, show)


def _texts(
    network: Network, cut: Cut, texts: str, count: int | None
) -> tuple[int, dict[str, str], Run]:
    """Likewise of texts."""
    from refcodec.models.minilm import WORDS
    from refcodec.models.texts import WordPiece, digest, open_texts

    found, pieces = open_texts(texts)[:count], WordPiece(WORDS.path())
    facts = {
        "items": f"{len(found)} texts, sha256:{digest(found)}",
        "preprocessing": "pieces of words, in small letters without accents, between [CLS] and [SEP]",
    }
    numbers = [pieces(one) for one in found]
    return len(found), facts, lambda batch, show: run_head_on_texts(cut, numbers, batch, show)


def _metadata(network: Network, cut: Cut, images: str, about: dict[str, str]) -> dict[str, str]:
    """Metadata on the features, by the keys of Annex E."""
    import torch

    facts = {
        "model": network.name,
        "weights": network.weights,
        "layer": cut.layer,
        "task": network.task,
        "dataset": Path(images).name,
        **about,
        "framework": f"torch {torch.__version__}",
        "encoder": f"refcodec {refcodec.__version__}",
    }
    return {key: value for key, value in facts.items() if value}
