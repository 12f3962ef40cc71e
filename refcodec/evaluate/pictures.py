"""Coders of the image itself, as the alternative to features (Chen et al. 2020, Fig. 2)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.evaluate.protocol import Encoded, portions
from refcodec.evaluate.x265 import LEAST_ERROR, Counted, hevc_to_raw, raw_to_hevc

__all__ = ["HevcImage", "Jpeg"]

Pixels = npt.NDArray[np.uint8]


class Jpeg:
    """Baseline JPEG by Pillow, one file per image.

    quality     : 1 to 100.
    subsampling : of chroma, ``4:4:4``, ``4:2:2`` or ``4:2:0``.
    """

    def __init__(self, quality: int, subsampling: str) -> None:
        self._options: dict[str, Any] = {"quality": quality, "subsampling": subsampling}
        self._files: list[bytes] = []

    def encode(self, features: Pixels) -> Encoded:
        """Code images N x H x W x 3; constant bytes are those before and after the coded scan."""
        from PIL import Image

        for pixels in features:
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "JPEG", **self._options)
            self._files.append(file.getvalue())
        sizes = np.array([len(file) for file in self._files])
        constant = sum(_scan_start(file) + len(_END) for file in self._files)
        return Encoded(int(sizes.sum()), sizes, constant)

    def decode(self) -> Iterator[Pixels]:
        """The images."""
        from PIL import Image

        for file in self._files:
            yield np.asarray(Image.open(io.BytesIO(file)))


_END = b"\xff\xd9"


def _scan_start(file: bytes) -> int:
    """Position of the coded scan of a baseline JPEG, which follows all tables and headers."""
    place = 2
    while file[place + 1] != 0xDA:  # up to the start of scan
        place += 2 + int.from_bytes(file[place + 2 : place + 4], "big")
    return place + 2 + int.from_bytes(file[place + 2 : place + 4], "big")


class HevcImage:
    """HEVC by x265, one frame per image, all intra, for least squared error; parameter sets once.

    qp     : 0 to 51.
    chroma : ``4:4:4`` or ``4:2:0``; samples of 8 bits, converted from RGB and back by ffmpeg.
    preset : of x265.
    """

    def __init__(self, qp: int, chroma: str, preset: str) -> None:
        self._qp, self._preset = qp, preset
        self._format = f"yuv{chroma.replace(':', '')}p"
        self._streams: list[bytes] = []
        self._shape: tuple[int, ...] = ()

    def encode(self, features: Pixels) -> Encoded:
        """Code images N x H x W x 3."""
        self._shape = features.shape[1:]
        counted = Counted()
        for part in portions(features):
            options: dict[str, Any] = {"preset": self._preset, "extra": LEAST_ERROR}
            stream = raw_to_hevc(part, "rgb24", self._qp, coded=self._format, **options)
            counted.add(stream)
            self._streams.append(stream)
        constant, per_image = counted.parameters, np.array(counted.slices)
        return Encoded(constant + int(per_image.sum()), per_image, constant)

    def decode(self) -> Iterator[Pixels]:
        """The images."""
        for stream in self._streams:
            yield from hevc_to_raw(stream, "rgb24", self._shape)
