"""Latents of features instead of features: what a network reads that works on the compressed representation.

No synthesis is run, and nothing of them depends on the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from refcodec.coders.protocol import Machine
from refcodec.decoder import DecodedUnit, Failed, Sequences, raise_failure
from refcodec.errors import CallerError, EnvironmentFault, StreamError
from refcodec.memory import memory_for
from refcodec.registry import record_of
from refcodec.stream.parsing import CodedUnit
from refcodec.tables import scale_deviations

__all__ = ["FeatureLatents", "decode_latents"]


@dataclass(frozen=True, eq=False)
class FeatureLatents:
    """The latents of one feature, C x H x W each.

    integers : latents, in units of 2^-fraction, int32.
    scales   : number of the table of each latent in the family of 8.10.4, uint8; None without a hyperprior.
    fraction : bits of their fraction: 0, unless the latents have means.
    """

    integers: npt.NDArray[np.int32]
    scales: npt.NDArray[np.uint8] | None = None
    fraction: int = 0

    @cached_property
    def values(self) -> npt.NDArray[np.float32]:
        """The latents, y-hat, float32, which is exact."""
        return np.ldexp(self.integers.astype(np.float32), -self.fraction)

    @cached_property
    def deviations(self) -> npt.NDArray[np.float32] | None:
        """The standard deviation of the table of each latent, sigma-hat; None without a hyperprior."""
        if self.scales is None:
            return None
        return scale_deviations().astype(np.float32)[self.scales]


def decode_latents(
    window: list[CodedUnit],
    machine: Machine,
    sequences: Sequences,
    failed: Failed = raise_failure,
) -> Iterator[DecodedUnit]:
    """Decode units as `decode_window` does, but to `FeatureLatents`; hashes of features are not checked.

    Raises CallerError for a unit of another coder than the learned one.
    """
    for unit in window:
        if not record_of(unit.fps.coder_id).has_model:
            raise CallerError(
                f"features coded by {record_of(unit.fps.coder_id).name} have no latents",
                hint="decode features",
            )
        try:
            with memory_for("to decode latents"):
                found = list(_latents_of(unit, machine))
        except (StreamError, EnvironmentFault) as error:
            failed(unit, error)
            continue
        yield DecodedUnit(unit, [], found)


def _latents_of(unit: CodedUnit, machine: Machine) -> Iterator[FeatureLatents]:
    """The latents of the features of a unit. Raises StreamError, EnvironmentFault."""
    from refcodec.coders.learned.coder import latents_of_unit  # numba takes time to import

    for values, scales, fraction in latents_of_unit(unit.payloads, machine):
        yield FeatureLatents(values, None if scales is None else scales.astype(np.uint8), fraction)
