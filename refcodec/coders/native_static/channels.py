"""Channels: head, changed tables, all levels and corrections of a feature (clauses 8.3.11.5 to 8.3.11.7)."""

from __future__ import annotations

from refcodec.coders.native.channels import Setting
from refcodec.coders.native.head import (
    BLOCK,
    FREQUENCY_SLOPE,
    POINTS,
    RESTORATION,
)
from refcodec.coders.native.workspace import LARGEST, LEAST, POINT, SLOPE, STEP, Workspace
from refcodec.coders.native_static.blocks import code_tree
from refcodec.coders.native_static.contexts import CHANGE, CHANGEABLE, GAIN, OFFSET, RUN
from refcodec.coders.native_static.symbols import (
    DIRECTION,
    Symbols,
    code_bits,
    code_level,
    code_number,
    half_octave,
)
from refcodec.entropy.arrays import Int32, Int64
from refcodec.kernel import kernel

__all__ = ["code_changes", "code_corrections", "code_head", "code_levels"]


# --- normative -------------------------------------------------------------------------------------


@kernel
def code_head(s: Symbols, head: Int64) -> None:
    """(8.3.11.5) Code the parameters of the whole payload."""
    head[BLOCK] = code_bits(s, int(head[BLOCK]), 2)
    head[FREQUENCY_SLOPE] = code_bits(s, int(head[FREQUENCY_SLOPE]) + 7, 5) - 7
    for i in range(3):
        head[POINTS + i] = code_bits(s, int(head[POINTS + i]) + 8, 4) - 8
    head[RESTORATION] = code_bits(s, int(head[RESTORATION]), 2)


@kernel
def code_changes(s: Symbols, changes: Int32, limits: Int32) -> None:
    """(8.3.11.6) Code the contexts that have another table than the one they begin with.

    changes : by how much the number of the table of each context is raised.
    limits  : the first and the last table that each context can have, contexts x 2.
    """
    context = 0
    while context < CHANGEABLE:
        run = 0
        if int(s.cursor[DIRECTION]) == 1:
            while context + run < CHANGEABLE and int(changes[context + run]) == 0:
                run += 1
        context += code_number(s, RUN, run)
        if context < CHANGEABLE:
            change = code_level(s, CHANGE, int(changes[context]))
            if int(s.cursor[DIRECTION]) == 0:
                table = int(s.table_of[context]) + change
                table = min(max(table, int(limits[context, 0])), int(limits[context, 1]))
                s.table_of[context] = table
            context += 1


@kernel
def code_levels(
    s: Symbols, w: Workspace, near: Int64, setting: Setting, levels: Int32, sizes: Int32,
    samples: Int32,
) -> None:  # fmt: skip
    """(8.3.11.3) Code all channels of a feature, one after the other."""
    head = setting.head
    ys = setting.ys
    xs = setting.xs
    w.channel[LEAST] = setting.least
    w.channel[LARGEST] = setting.largest
    w.channel[SLOPE] = int(head[FREQUENCY_SLOPE])
    for i in range(3):
        w.channel[POINT + 1 + i] = int(head[POINTS + i])
    for c in range(samples.shape[0]):
        w.channel[STEP] = int(setting.steps[c])
        plane = min(c, levels.shape[0] - 1)
        for i in range(ys.shape[0] - 1):
            for j in range(xs.shape[0] - 1):
                y = int(ys[i])
                x = int(xs[j])
                code_tree(
                    s, w, near, levels[plane], sizes[plane], samples[c],
                    y, x, int(ys[i + 1]) - y, int(xs[j + 1]) - x,
                )  # fmt: skip


@kernel
def code_corrections(s: Symbols, head: Int64, offsets: Int64, gains: Int64) -> None:
    """(8.3.11.7) Code the corrections of each channel: of its mean, and with mode 2 of its deviation."""
    for kind in range(int(head[RESTORATION])):
        last = 0
        for c in range(offsets.shape[0]):
            near = min(half_octave(abs(last)), 7)
            if kind == 0:
                last = code_level(s, OFFSET + near, int(offsets[c]))
                offsets[c] = last
            else:
                last = min(max(code_level(s, GAIN + near, int(gains[c])), -24), 32)
                gains[c] = last
