"""Rates: bits of the magnitudes of coefficients."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.coefficients import COEFFICIENT, CONTEXTS, DEPENDENT
from refcodec.coders.native.decisions import Family
from refcodec.entropy.arrays import Int32
from refcodec.tables import native_model

__all__ = [
    "GREATER",
    "LARGEST_RATED",
    "initial_magnitude_rates",
    "initial_rates",
    "magnitude_rates",
    "rate_table",
]

LARGEST_RATED = 8
"""Magnitude from which on a remainder follows the decisions."""

GREATER = LARGEST_RATED + 1
"""Place of the rate of a magnitude above 0 alone."""


def rate_table(states: Int32, family: Family = COEFFICIENT) -> npt.NDArray[np.float32]:
    """Bits of each decision on a coefficient, flags x contexts x outcome, from the states of input 1.

    Rounded to units of 2^-8, so that results do not depend on the last bit of a logarithm.
    """
    first, flags, contexts = family[:3]
    chosen = states[first + flags * contexts : first + 2 * flags * contexts]
    ones = (chosen.astype(np.float64) / 2**30).clip(2**-12, 1 - 2**-12)
    table = np.rint(-256 * np.log2(np.stack([1 - ones, ones], axis=-1))) / 256
    return np.ascontiguousarray(table.reshape(flags, contexts, 2).astype(np.float32))


def magnitude_rates(states: Int32) -> npt.NDArray[np.float32]:
    """Bits of magnitudes with dependent quantisation, with their signs: quantiser x context x magnitude.

    Magnitudes 0 to 7, then that of 8 and more without its remainder, then ``GREATER``.
    """
    decisions = rate_table(states, DEPENDENT)
    flags = len(decisions) - 1
    rates = np.zeros((decisions.shape[1], GREATER + 1), np.float32)
    rates[:, 0] = decisions[0, :, 0]
    spent = np.ones(len(rates), np.float32)  # the sign
    for magnitude in range(1, LARGEST_RATED + 1):
        spent = spent + decisions[min(magnitude - 1, flags), :, 1]
        rates[:, magnitude] = spent
        if magnitude < LARGEST_RATED:
            rates[:, magnitude] += decisions[min(magnitude, flags), :, 0]
    rates[:, GREATER] = decisions[0, :, 1]
    return rates.reshape(2, CONTEXTS, GREATER + 1)


@cache
def initial_rates() -> npt.NDArray[np.float32]:
    """Bits of decisions on coefficients, from the initial states of the tables."""
    return rate_table(native_model()[0])


@cache
def initial_magnitude_rates() -> npt.NDArray[np.float32]:
    """Bits of magnitudes with dependent quantisation, from the initial states of the tables."""
    return magnitude_rates(native_model()[0])
