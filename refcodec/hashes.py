"""SHA-256 over samples and reconstructed features (clause 8.8)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.syntax.codes import HashTarget

__all__ = ["little_endian_bytes", "sample_hash", "stored_hash", "unit_hash"]

Samples = npt.NDArray[np.int32]


@clause("8.8")
def sample_hash(samples: Samples, size: int = 32) -> bytes:
    """(8.8) Leading ``size`` bytes of the SHA-256 of samples, as little-endian int32 in C order."""
    return hashlib.sha256(little_endian_bytes(samples)).digest()[:size]


@clause("8.8")
def unit_hash(target: HashTarget, decoded: Iterable[tuple[Samples, npt.NDArray[Any]]]) -> bytes:
    """(8.8) The SHA-256 over the samples, or the reconstructions, of the features of a coded unit.

    decoded : samples (int32, C x H x W) and reconstruction of each feature.
    """
    found = hashlib.sha256()
    for samples, values in decoded:
        found.update(little_endian_bytes(samples if target == HashTarget.SAMPLES else values))
    return found.digest()


def little_endian_bytes(values: npt.NDArray[Any]) -> bytes:
    """The bytes of an array in C order, least significant byte of each value first."""
    word = np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")
    return word.astype(word.dtype.newbyteorder("<"), copy=False).tobytes()


# --- informative -----------------------------------------------------------------------------------


def stored_hash(samples: Samples, size: int) -> bytes:
    """The sample hash that an encoder stores, of ``size`` bytes; nothing is hashed for none."""
    return sample_hash(samples, size) if size else b""
