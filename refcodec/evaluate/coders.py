"""Coders of features, and the choice of the coder for a setting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

import refcodec
from refcodec.allocate.methods import Allocation, write_features
from refcodec.coders.protocol import Payload
from refcodec.errors import CallerError
from refcodec.evaluate import peers
from refcodec.evaluate.pictures import HevcImage, Jpeg
from refcodec.evaluate.protocol import Coder, Encoded, Features, portions
from refcodec.evaluate.settings import Setting
from refcodec.evaluate.x265 import Counted
from refcodec.files import atomic_file
from refcodec.registry import CODERS
from refcodec.stream.walk import payloads_of

if TYPE_CHECKING:
    from refcodec.models import Cut

__all__ = ["Peer", "Stream", "coder_for", "payloads"]


def coder_for(setting: Setting, cut: Cut | None, folder: Path) -> Coder:
    """The coder of a setting.

    cut    : the network whose features are coded; None for images.
    folder : folder for temporary files.
    """
    if setting.coder in CODERS:
        assert cut is not None
        whole = CODERS[setting.coder].tokens or not cut.tokens
        config = setting.config.but(feature_type=cut.feature_type if whole else "fc")
        return Stream(config, setting.allocation, cut, folder / "features.dfc")
    if setting.coder in peers.PEERS:
        return Peer(peers.PEERS[setting.coder], setting.chosen("qp"))
    if setting.coder == "jpeg":
        return Jpeg(setting.chosen("quality"), setting.chosen("subsampling"))
    return HevcImage(*(setting.chosen(name) for name in ("qp", "chroma", "preset")))


def payloads(stream: BinaryIO) -> Iterator[Payload]:
    """Yield the payloads of a stream, one per feature."""
    stream.seek(0)
    yield from payloads_of(stream)


class Stream:
    """A coder of refcodec: one DFC file with all features, of texts a sequence of tokens each."""

    def __init__(
        self, config: refcodec.EncoderConfig, allocation: Allocation, cut: Cut, path: Path
    ) -> None:
        self._config, self._allocation, self._cut, self.path = config, allocation, cut, path

    @property
    def takes_tokens(self) -> bool:
        """True if the tokens of a text are one feature, T x D; else each is one of its own."""
        return self._config.tokens

    def encode(self, features: Features | list[Features]) -> Encoded:
        """Write the file; payloads count for single images, the framing for all."""
        with atomic_file(self.path) as file:
            write_features(file, features, self._config, self._allocation, self._cut)
        per_image = [len(one.data) for one in self.payloads()]
        return Encoded(self.path.stat().st_size, np.array(per_image))

    def payloads(self) -> Iterator[Payload]:
        """The payloads of the file, one per feature."""
        with self.path.open("rb") as file:
            yield from payloads(file)

    def decode(self) -> Iterator[Features]:
        """The features of the file."""
        with refcodec.open(self.path) as reader:
            yield from reader


class Peer:
    """A coder of `refcodec.evaluate.peers`, at one QP."""

    def __init__(self, peer: peers.Peer, qp: int) -> None:
        self._peer, self._qp = peer, qp
        self._parts: list[tuple[peers.Quantised, bytes]] = []

    def encode(self, features: Features) -> Encoded:
        """Code the features, a portion per run of ffmpeg. Raises CallerError for vectors."""
        if features.ndim != 4:
            raise CallerError("the HEVC peers code maps, and these are vectors")
        counted = Counted()
        for part in portions(features):
            coded = peers.quantise(part, self._peer)
            stream = peers.encode(coded, self._peer, self._qp)
            counted.add(stream)
            empty = np.empty((0, *coded.frames.shape[1:]), np.uint16)
            self._parts.append((coded._replace(frames=empty), stream))
        slices = np.array(counted.slices).reshape(len(features), -1)
        per_image = slices.sum(axis=1) + peers.RANGE_BYTES
        constant = counted.parameters
        return Encoded(constant + int(per_image.sum()), per_image, constant)

    def decode(self) -> Iterator[Features]:
        """Yield the decoded features, decoded a portion at a time."""
        for coded, stream in self._parts:
            yield from peers.dequantise(peers.decode(stream, coded, self._peer), self._peer)
