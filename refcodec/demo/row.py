"""The result of one setting at one cut: a row of the demonstration's table, a point of its plot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from refcodec.config import EncoderConfig
from refcodec.metrics import bits_per_element

__all__ = ["Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """The result of coding the features of one cut with one setting.

    layer            : the cut, a key of ``FEATURE_SHAPES``.
    config           : configuration that the features were coded with.
    path             : the stream, all images in one file.
    elements         : number of float32 values in it.
    coded_bytes      : size of the file.
    compression_rate : that size over the size of the float32 values.
    fidelity         : share of images whose decision is unchanged (Hu et al. 2020, eq. 4).
    accuracy         : share of images whose digit was classified correctly.
    encode_seconds   : wall time from the first feature to the closed file, process starts included.
    decode_seconds   : likewise, from opening the file to the last feature.
    bit_exact        : true if the decoded features are the original ones, bit for bit.
    conforming       : true if the validator found no violation and left nothing unverified.
    """

    layer: str
    config: EncoderConfig
    path: Path
    elements: int
    coded_bytes: int
    compression_rate: float
    fidelity: float
    accuracy: float
    encode_seconds: float
    decode_seconds: float
    bit_exact: bool
    conforming: bool

    @property
    def bits_per_element(self) -> float:
        """Bits of the file per value."""
        return bits_per_element(self.coded_bytes, self.elements)

    @property
    def passed(self) -> bool:
        """True if the stream conforms and, if its setting is lossless, is bit-exact."""
        return self.conforming and (self.bit_exact or self.config.lossy_quantiser is not None)
