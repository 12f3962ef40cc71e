"""Workspace: the arrays that the kernels of the native coder share (clause 8.3.7)."""

from __future__ import annotations

from typing import NamedTuple

from refcodec.entropy.arrays import Int32, Int64
from refcodec.kernel import inlined

__all__ = [
    "ABOVE_ACTIVITY",
    "ABOVE_MEAN",
    "ABOVE_SIZE",
    "ABOVE_TEMPORAL",
    "ACTIVITY",
    "CHANNEL_SIZE",
    "COUPLED",
    "EDGES",
    "LARGEST",
    "LEAST",
    "LEFT_ACTIVITY",
    "LEFT_MEAN",
    "LEFT_SIZE",
    "LEFT_TEMPORAL",
    "MEAN",
    "POINT",
    "SLOPE",
    "STEP",
    "Workspace",
    "edge_mean",
]

# rows of Workspace.edges: values above and to the left of the next block, one entry per sample
ABOVE_ACTIVITY = 0
LEFT_ACTIVITY = 1
ABOVE_MEAN = 2
LEFT_MEAN = 3
ABOVE_SIZE = 4
LEFT_SIZE = 5
ABOVE_TEMPORAL = 6
LEFT_TEMPORAL = 7
EDGES = 8

# entries of Workspace.channel: values of the current channel
ACTIVITY = 0
MEAN = 1
STEP = 2
SLOPE = 3
LARGEST = 4
POINT = 4  # entries 5, 6 and 7: reconstruction points of levels 1, 2 and more
LEAST = 8
COUPLED = 9  # 1 if quantisation is dependent
CHANNEL_SIZE = 10


class Workspace(NamedTuple):
    """Arrays that live as long as one payload, all int64 but for the states (int32).

    states   : adaptive states, as many as the families have.
    weights  : six weights for each set of the families, flat.
    edges    : EDGES rows of max(H, W) entries, see ABOVE_ACTIVITY and so on.
    field    : activity of the preceding channels, one entry per 4 x 4 samples.
    channel  : CHANNEL_SIZE values, see ACTIVITY and so on.
    scans    : coefficients in coding order, with their classes, see ``coefficients.scan``.
    scan_at  : position of the scan of a block height x width in it.
    rows     : 34 x 32, intermediate values of the transform of a block.
    stack    : blocks to be coded, tree.STACK_SIZE x 4.
    """

    states: Int32
    weights: Int64
    edges: Int64
    field: Int64
    channel: Int64
    scans: Int64
    scan_at: Int64
    rows: Int64
    stack: Int64


# --- normative -------------------------------------------------------------------------------------


@inlined
def edge_mean(w: Workspace, row: int, before: int, start: int, length: int) -> int:
    """(8.3.7.4) Mean of an edge along one side of a block; 0 if the block lies at the border."""
    if before == 0:
        return 0
    total = 0
    for i in range(start, start + length):
        total += int(w.edges[row, i])
    return total // length
