"""Choice: the decisions of an encoder on a feature before it is coded."""

from __future__ import annotations

from dataclasses import dataclass

from refcodec.entropy.arrays import Int32, Int64

__all__ = ["Choice"]


@dataclass(frozen=True, slots=True)
class Choice:
    """Head, levels and blocks to be coded.

    head   : head of the payload.
    levels : int32, C x H x W.
    sizes  : of blocks, at their first samples, int32, C x H x W.
    cost   : estimated rate-distortion cost, in squared steps; 0 without a transform.
    """

    head: Int64
    levels: Int32
    sizes: Int32
    cost: float
