"""Rates: bits of a decision on a coefficient."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.coefficients import COEFFICIENT
from refcodec.entropy.arrays import Int32
from refcodec.tables import native_model

__all__ = ["initial_rates", "rate_table"]


def rate_table(states: Int32) -> npt.NDArray[np.float32]:
    """Bits of each decision on a coefficient, flags x contexts x outcome, from the states of input 1.

    Rounded to units of 2^-8, so that results do not depend on the last bit of a logarithm.
    """
    first, flags, contexts = COEFFICIENT[:3]
    chosen = states[first + flags * contexts : first + 2 * flags * contexts]
    ones = (chosen.astype(np.float64) / 2**30).clip(2**-12, 1 - 2**-12)
    table = np.rint(-256 * np.log2(np.stack([1 - ones, ones], axis=-1))) / 256
    return np.ascontiguousarray(table.reshape(flags, contexts, 2).astype(np.float32))


@cache
def initial_rates() -> npt.NDArray[np.float32]:
    """Bits of decisions on coefficients, from the initial states of the tables."""
    return rate_table(native_model()[0])
