"""The protocol of all coders of an evaluation: a set of features in, bytes counted, features out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Coder", "Encoded", "Features", "portions"]

Features = npt.NDArray[Any]

_PORTION_BYTES = 64 << 20


class Encoded(NamedTuple):
    """Sizes of the coded features.

    total     : bytes of everything that a decoder needs.
    per_image : bytes of single images, N; the rest is common to all.
    constant  : bytes of the total that do not depend on the content of images, if the coder can tell, else 0.
    """

    total: int
    per_image: npt.NDArray[np.int64]
    constant: int = 0


class Coder(Protocol):
    """Codes one set of features, then decodes it."""

    def encode(self, features: Any, /) -> Encoded:
        """Code features N x C x H x W or N x D, or images N x H x W x 3; may be a memory map.

        Coders that take tokens are given those of each text, T x D, as a list.
        """
        ...

    def decode(self) -> Iterator[Features]:
        """Yield the decoded features, one after another."""
        ...


def portions(features: Features) -> Iterator[Features]:
    """Split features into portions of about 64 MiB."""
    count = max(1, _PORTION_BYTES * len(features) // max(1, features.nbytes))
    for start in range(0, len(features), count):
        yield features[start : start + count]
