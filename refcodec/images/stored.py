"""Images as DFC streams of latents, and images again from their latents."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

import refcodec
from refcodec.errors import CallerError
from refcodec.images.codec import ImageCodec
from refcodec.learn.frozen import freeze_density
from refcodec.learn.integers import bits_of, float_layers
from refcodec.networks.convert import Conversion, convert
from refcodec.probability.hyperprior import HyperpriorModel, deviation_thresholds
from refcodec.reader import open_stream
from refcodec.sources import Anything

__all__ = ["SIZE_KEY", "FrozenImageCodec", "freeze_images", "read_images"]

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SIZE_KEY: Final = "refcodec.image_size"
"""Metadata of a stream of images: their height and width, which latents are too coarse to tell."""

_FRACTION: Final = 5
"""Bits of the fraction of means, and of latents."""

_DEVIATION_UNIT: Final = 2.0**-7


@dataclass(frozen=True, eq=False)
class FrozenImageCodec:
    """An image codec whose hyperprior is of integers.

    codec      : its networks of floats.
    model      : hyper-synthesis and tables, as streams carry them; there is no synthesis.
    conversion : of the hyper-synthesis; its ``snr`` is the precision that the integers have left.
    """

    codec: ImageCodec
    model: HyperpriorModel
    conversion: Conversion

    def write(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        images: Sequence[Pixels],
        *,
        apart: bool = False,
    ) -> None:
        """Write images, H x W x 3 of one size, as a DFC stream of latents, by the coder ``learned``.

        apart : name the model by its SHA-256 instead of storing it.

        Raises CallerError for images of several sizes, or none.
        """
        sizes = {one.shape for one in images}
        if len(sizes) != 1:
            raise CallerError(
                f"images of {len(sizes)} sizes; a stream has images of one",
                hint="write a stream each",
            )
        (size,) = sizes

        def hyper(latents: Floats) -> tuple[Floats, npt.NDArray[np.int32]]:
            with torch.no_grad():
                y = torch.from_numpy(latents)[None]
                z = self.codec.hyper_analysis(y if self.codec.means else y.abs()).round()[0]
            limit = 1 << self.model.coded.hyper_synthesis.input_bits_minus1
            return latents, z.clamp(-limit, limit - 1).to(torch.int32).numpy()

        with refcodec.create(
            target,
            coder="learned",
            model=self.model,
            model_apart=apart,
            analysis=hyper,
            step=2.0**-self.model.fraction,
            metadata={SIZE_KEY: json.dumps(size[:2])},
            exist_ok=True,
        ) as writer:
            for one in images:
                with torch.no_grad():
                    y, _ = self.codec.analyse(_inputs(one, self.codec.multiple))
                writer.write(y[0].numpy())


def freeze_images(codec: ImageCodec, images: Sequence[Pixels]) -> FrozenImageCodec:
    """Convert the hyper-synthesis of a codec to integers, and freeze its density.

    images : H x W x 3, for which ranges of values are observed; a few typical ones.

    Raises CallerError where the integers do not reach.
    """
    with torch.no_grad():
        every = [codec.analyse(_inputs(one, codec.multiple))[1][0].round() for one in images]
    hyper = [one.to(torch.int32).numpy() for one in every]
    tables = freeze_density(codec.density, _columns(hyper))
    layers = float_layers(codec.hyper_synthesis)
    output_scale = _DEVIATION_UNIT
    if codec.means:
        output_scale = 2.0**-_FRACTION
        last = layers[-1]
        factors = np.ones(len(last.biases))
        factors[len(factors) // 2 :] = output_scale / _DEVIATION_UNIT
        layers[-1] = replace(last, weights=last.weights * factors, biases=last.biases * factors)
    conversion = convert(
        layers,
        hyper,
        input_bits=bits_of(hyper),
        output_scale=output_scale,
        weight_bits=10,
        value_bits=14,
    )
    model = HyperpriorModel.from_networks(
        conversion.network,
        tables,
        deviation_thresholds(_DEVIATION_UNIT),
        fraction=_FRACTION if codec.means else None,
    )
    return FrozenImageCodec(codec, model, conversion)


def read_images(source: Anything, codec: ImageCodec, **options: Any) -> Iterator[Pixels]:
    """Yield the images of a stream, H x W x 3, whose latents the synthesis of a codec takes.

    options : of `refcodec.open`, as ``models``.

    What networks of floats make of the same latents may differ in a last bit from machine to machine.

    Raises CallerError, StreamError, EnvironmentFault.
    """
    with open_stream(source, output="latents", **options) as reader:
        height, width = json.loads(reader.metadata.get(SIZE_KEY, "[null, null]"))
        latents: Any = iter(reader)
        for one in latents:
            with torch.no_grad():
                found = codec.synthesis(torch.from_numpy(one.values)[None])[0, :, :height, :width]
            pixels = (255 * found).round().clamp(0, 255).to(torch.uint8)
            yield pixels.permute(1, 2, 0).numpy()


def _inputs(image: Pixels, multiple: int) -> torch.Tensor:
    """An image as networks take it, 1 x 3 x H x W, its last row and column repeated up to the multiple."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise CallerError(
            f"an image of shape {image.shape} and type {image.dtype}; it is H x W x 3, uint8"
        )
    values = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    bottom, right = (-side % multiple for side in image.shape[:2])
    return functional.pad(values, (0, right, 0, bottom), mode="replicate")


def _columns(hyper: Sequence[npt.NDArray[np.int32]]) -> npt.NDArray[np.int32]:
    """Hyper-latents of features of several sizes, positions x channels."""
    return np.concatenate([one.reshape(len(one), -1).T for one in hyper])
