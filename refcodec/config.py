"""What an encoder may choose. A decoder needs none of it: whatever matters stands in the stream."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from refcodec.errors import CallerError

__all__ = ["CODERS", "EncoderConfig"]

CODERS = ("native", "native-lossless", "hevc", "zlib", "gzip", "bzip2", "lzma", "raw")

_CHOICES: dict[str, tuple[str, ...]] = {
    "coder": CODERS,
    "quantiser": ("uniform", "log", "none"),
    "range": ("tensor", "channel"),
    "packing": ("tile", "frame"),
    "feature_type": ("conv", "pool", "fc"),
    "restoration": ("auto", "off", "tensor", "channel", "mean"),
    "speed": ("fast", "default", "best"),
}


_LONGEST_SEQUENCE = 1024
"""Features from one access point to the next at most: what decoding one of them may cost."""

_LARGEST = 2.0**128 - 2.0**104
"""The largest float32."""


def _as_qp(qp: Any) -> float | tuple[int, ...]:
    """One QP, or one a channel, as plain integers; one alone may have eighths."""
    if hasattr(qp, "is_integer") and float(8 * qp).is_integer() and not isinstance(qp, bool):
        return int(qp) if qp.is_integer() else float(qp)
    try:
        if isinstance(qp, (str, bytes, bool)):
            raise TypeError
        return operator.index(qp) if not hasattr(qp, "__len__") else tuple(map(operator.index, qp))
    except TypeError:
        raise CallerError(
            f"the QP is {qp!r}; it is an integer, a list of them, or for native one in eighths"
        ) from None


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """Choices of an encoder, checked when they are made.

    coder        : ``native`` or ``hevc``; or lossless: ``native-lossless``, ``zlib``, ``gzip``, ``bzip2``,
                   ``lzma``, ``raw``.
    qp           : quantisation parameter, 0 to 63 (native) or 51 (hevc): one, or one a channel. +6 doubles
                   the step; one for all channels may be given in eighths (native).
    quantiser    : ``uniform``, ``log`` or ``none`` (bit for bit; lossless coders only). None chooses
                   ``uniform`` for native and hevc, and ``none`` for the others.
    bits         : bits of a sample, 1 to 16 (to 12 for hevc); None for 16 with native, else 10.
    range        : one range for the whole ``tensor``, or one a ``channel``.
    clip         : a (low, high) range to use instead of the feature's own.
    restoration  : statistics that the decoder restores; ``auto`` decides feature by feature. ``tensor`` is
                   for hevc alone; ``mean`` (of each channel) for native alone.
    speed        : ``fast``, ``default`` or ``best`` (native coders).
    target_size  : bytes of a feature's payload to aim at, by its QP (native).
    target_snr   : signal-to-noise ratio of the feature to aim at, dB, by its QP (native).
    packing      : ``tile`` (one near-square frame a QP) or ``frame`` (one frame a channel).
    order        : channel order on the frames, a permutation; None for channel number, QPs grouped.
    lossless     : code the quantised samples without further loss (hevc).
    gop          : 0 for all intra; else features of a sequence, predicted over time, with an access
                   point every ``gop`` features (native, hevc).
    shuffle      : group the bytes of equal significance before compressing (byte coders but raw).
    feature_type : ``conv``, ``pool`` or ``fc``; None tells conv from fc by the rank.
    batch        : put small features into common units (not hevc); None where they are fc, or native and
                   four of them find room.
    hash_size    : bytes of SHA-256 kept with each feature: 0, 8, 16 or 32; None for 8 with hevc, else 0.
    hashes       : add hash units: full SHA-256 of samples and of reconstruction.
    index        : write an index; None where there is more than one unit to find.
    level        : level to declare, 1 to 4; None for the least that fits (a pipe: 3).
    narrow       : accept float64, rounded to float32.
    metadata     : text to store, by key.
    preset       : x265 preset.
    ffmpeg       : the program to run; None for the bundled one.
    workers      : ffmpeg processes, or threads of the native coders; None for one a processor.
    timeout      : seconds for one run of ffmpeg; None for a bound that grows with the work.

    Raises CallerError for a choice that does not exist or a combination that makes no sense.
    """

    coder: str = "native"
    qp: float | tuple[int, ...] = 32
    quantiser: str | None = None
    bits: int | None = None
    range: str = "tensor"
    clip: tuple[float, float] | None = None
    restoration: str = "auto"
    speed: str = "default"
    target_size: int | None = None
    target_snr: float | None = None
    packing: str = "tile"
    order: tuple[int, ...] | None = None
    lossless: bool = False
    gop: int = 0
    shuffle: bool = False
    feature_type: str | None = None
    batch: bool | None = None
    hash_size: Literal[0, 8, 16, 32] | None = None
    hashes: bool = False
    index: bool | None = None
    level: int | None = None
    narrow: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    preset: str = "medium"
    ffmpeg: str | None = None
    workers: int | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices and not (
                value is None and name in ("quantiser", "feature_type")
            ):
                raise CallerError(f"{name} is {value!r}; it is one of {', '.join(choices)}")
        object.__setattr__(self, "qp", _as_qp(self.qp))
        for name in ("bits", "gop", "level", "workers", "hash_size", "target_size"):
            value = getattr(self, name)
            if value is not None and not hasattr(value, "__index__"):
                raise CallerError(f"{name} is {value!r}; it is an integer")
        if self.order is not None:
            object.__setattr__(self, "order", tuple(int(channel) for channel in self.order))
        most = 12 if self.coder == "hevc" else 16
        if not 1 <= self.sample_bits <= most:
            raise CallerError(f"bits is {self.bits}; {self.coder} takes 1 to {most}")
        for qp in self.qp if isinstance(self.qp, tuple) else (self.qp,):
            highest = 63 if self.coder == "native" else 51
            if not 0 <= qp <= highest:
                raise CallerError(
                    f"a QP is {qp}; it lies in 0..{highest}", hint="+6 doubles the step"
                )
        if isinstance(self.qp, float) and self.coder != "native":
            raise CallerError(f"the QP is {self.qp}; {self.coder} takes integers")
        self._check_native()
        if self.coder in ("hevc", "native") and self.quantiser == "none":
            name = "HEVC" if self.coder == "hevc" else "native"
            raise CallerError(
                f"{name} codes integer samples, quantiser 'none' leaves floats",
                hint="use quantiser uniform or log, or a lossless coder",
            )
        if self.hash_size not in (None, 0, 8, 16, 32):
            raise CallerError(f"hash_size is {self.hash_size}; it is 0, 8, 16 or 32")
        if self.coder == "hevc" and self.hash_size == 0:
            raise CallerError("the sample hash is mandatory with hevc", hint="give 8, 16 or 32")
        if self.level is not None and not 1 <= self.level <= 4:
            raise CallerError(f"level is {self.level}; it is 1 to 4")
        if self.gop > _LONGEST_SEQUENCE:
            raise CallerError(f"gop is {self.gop}; it is at most {_LONGEST_SEQUENCE}")
        if self.gop < 0:
            raise CallerError(f"gop is {self.gop}; it is 0 or more")
        if self.workers is not None and self.workers < 1:
            raise CallerError(f"workers is {self.workers}; it is 1 or more")

        if self.clip is not None:
            low, high = self.clip
            if not -_LARGEST <= low <= high <= _LARGEST:
                raise CallerError(
                    f"clip is {self.clip}; it is two float32 numbers, the lesser first"
                )
        for key, value in self.metadata.items():
            try:
                usable = bool(key) and f"{key}{value}".encode()
            except UnicodeEncodeError:
                usable = False
            if not usable:
                raise CallerError(f"metadata {key!r}: {value!r} has no key, or is no Unicode text")

    def _check_native(self) -> None:
        """Raise CallerError for what only the native coders can do, or cannot."""
        native = self.coder == "native"
        if self.coder == "native-lossless" and self.quantiser not in (None, "none"):
            raise CallerError(
                "native-lossless codes values bit for bit, without a quantiser",
                hint="use the coder native, or a byte coder",
            )
        if self.restoration == ("tensor" if native else "mean"):
            raise CallerError(f"{self.coder} does not restore by {self.restoration!r}")
        if self.aims and not native:
            raise CallerError(f"targets are for native; the coder is {self.coder}")
        if self.target_size is not None and self.target_snr is not None:
            raise CallerError("target_size and target_snr exclude each other")
        if self.target_size is not None and self.target_size < 1:
            raise CallerError(f"target_size is {self.target_size}; it is 1 or more")
        if self.target_snr is not None and not (
            isinstance(self.target_snr, (int, float)) and 0 < self.target_snr <= 200
        ):
            raise CallerError(
                f"target_snr is {self.target_snr!r}; it is in dB, above 0, at most 200"
            )
        if self.aims and self.gop:
            raise CallerError("targets are for features that stand alone: gop is 0 with them")
        if self.batch and (self.aims or self.gop):
            raise CallerError("features with a target, or of a sequence, are not batched")
        if self.lossless and self.coder != "hevc":
            raise CallerError(
                f"lossless is a mode of hevc; the coder is {self.coder}",
                hint="use native-lossless, which codes features bit for bit",
            )
        if self.gop > 0 and self.coder not in ("native", "hevc"):
            raise CallerError(f"gop is for native and hevc; the coder is {self.coder}")

    def but(self, **changes: Any) -> EncoderConfig:
        """This configuration with some choices changed. Raises CallerError for an unknown name."""
        try:
            return replace(self, **changes)
        except TypeError as error:
            raise CallerError(str(error).replace("EncoderConfig.__init__() ", "")) from None

    @property
    def lossy_quantiser(self) -> str | None:
        """The quantiser in force, ``uniform`` or ``log``; None where features stay as they are."""
        chosen = self.quantiser or ("uniform" if self.coder in ("hevc", "native") else "none")
        return None if chosen == "none" else chosen

    @property
    def aims(self) -> bool:
        """Whether each feature's QP is found from a target."""
        return self.target_size is not None or self.target_snr is not None

    @property
    def sample_bits(self) -> int:
        """Bits of a sample, where there is a quantiser."""
        if self.bits is not None:
            return self.bits
        return 16 if self.coder == "native" else 10

    @property
    def parallel(self) -> int:
        """Number of ffmpeg processes, or threads, at a time."""
        return self.workers or os.cpu_count() or 1
