"""Image codecs with a hyperprior, whose latents networks can read without an image. Needs torch.

Streams hold the latents: they decode to the same numbers on every machine, with the standard deviations
that the hyperprior gives them (`refcodec.open` with ``output="latents"``). Images are reconstructed by a
network of floats, which is not part of the format.
"""

from refcodec.images.classifier import LatentClassifier
from refcodec.images.codec import CodedImages, ImageCodec
from refcodec.images.imported import load_compressai
from refcodec.images.stored import FrozenImageCodec, freeze_images, read_images

__all__ = [
    "CodedImages",
    "FrozenImageCodec",
    "ImageCodec",
    "LatentClassifier",
    "freeze_images",
    "load_compressai",
    "read_images",
]
