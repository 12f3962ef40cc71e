"""Tables of an entropy model, coded (clause 8.10.5).

Contexts come first: each has a table, one that an earlier context has or a new one, and a *shift*, which is
0 as a rule. Then the tables: members of the normative family, or the levels of their symbols, each as a
difference from the one before. Decisions are predicted by their own past.

The functions ``code_...`` work in both directions, as those of ``arithmetic`` do.
"""

from __future__ import annotations

import numpy as np

from refcodec.entropy.arithmetic import DIRECTION, code_bit, code_bits
from refcodec.entropy.arrays import Int32, Int64, Uint8
from refcodec.entropy.static import LARGEST_LEVEL
from refcodec.kernel import kernel

__all__ = [
    "AT_AMOUNT",
    "AT_ESCAPE",
    "AT_LENGTH",
    "AT_MEMBER",
    "AT_NEW",
    "AT_PLACE",
    "AT_REPEAT",
    "AT_SAME",
    "AT_SHIFT",
    "AT_SIGN",
    "AT_VALUES",
    "FAMILY",
    "MODEL_CHANCES",
    "NEW_CHANCE",
    "code_contexts",
    "code_tables",
]

FAMILY = 64
"""Tables of the normative family."""

MODEL_CHANCES = 96
"""Decisions with a past of their own."""

NEW_CHANCE = 32768 << 8
"""A decision without a past: a probability of 1/2 in units of 2^-16, and a count of 0."""

AT_REPEAT = 0  # by the two kinds of context before: 9
AT_NEW = 9  # by the kind of context before: 3
AT_SHIFT = 12  # by whether the context before had one: 2
AT_MEMBER = 14
AT_ESCAPE = 15
AT_SAME = 16  # by whether the difference before was 0: 2
AT_SIGN = 18  # by the sign of the difference before: 3
AT_LENGTH = 21  # by the length so far, for differences above 0: 9, and below: 9
AT_VALUES = 40  # by the length so far: 14
AT_PLACE = 56  # by the length so far: 14
AT_AMOUNT = 72  # by the length so far: 18


# --- normative -------------------------------------------------------------------------------------


@kernel
def code_adaptive(coder: Int64, data: Uint8, chances: Int64, at: int, bit: int) -> int:
    """(8.10.5) A decision predicted by its own past; returns it."""
    chance = int(chances[at])
    probability = chance >> 8
    count = chance & 0xFF
    bit = code_bit(coder, data, min(max(probability, 64), 65472), bit)
    target = 65535 if bit == 1 else 0
    probability += 2 * (target - probability) // (2 * count + 3)
    chances[at] = (probability << 8) | min(count + 1, 30)
    return bit


@kernel
def code_number(coder: Int64, data: Uint8, chances: Int64, at: int, most: int, number: int) -> int:
    """(8.10.5) A number up to 2^(``most`` + 1) - 2 in an Exp-Golomb code whose lengths are predicted."""
    length = 0
    while length < most and (
        code_adaptive(coder, data, chances, at + length, int(number + 1 >= 2 << length)) == 1
    ):
        length += 1
    return (1 << length) - 1 + code_bits(coder, data, number + 1 - (1 << length), length)


@kernel
def code_contexts(
    coder: Int64, data: Uint8, chances: Int64, tables: int, table_of: Int32, shifts: Int64
) -> bool:
    """(8.10.5) The table and the shift of each context; false where these are not ``tables`` tables.

    A context has the table of the one before, a new one, or one that is named by its distance in the list
    of tables ordered by their last use.
    """
    recent = np.zeros(tables + 1, np.int64)
    used = 0
    kind = 1
    before = 1
    shifted = 0
    for context in range(table_of.shape[0]):
        place = 0
        table = int(table_of[context])
        if int(coder[DIRECTION]) == 1:
            while place < used and int(recent[place]) != table:
                place += 1
        now = 1
        if used > 0:
            again = int(place == 0)
            again = code_adaptive(coder, data, chances, AT_REPEAT + 3 * before + kind, again)
            now = 0 if again == 1 else 1
        if now == 1 and used > 0:
            new = code_adaptive(coder, data, chances, AT_NEW + kind, int(place == used))
            now = 1 if new == 1 else 2
        if now == 0:
            place = 0
        elif now == 1:
            if used == tables:
                return False
            place = used
            recent[used] = used
            used += 1
        else:
            place = 1 + code_number(coder, data, chances, AT_PLACE, 13, place - 1)
            if place >= used:
                return False
        table = int(recent[place])
        for i in range(place, 0, -1):
            recent[i] = int(recent[i - 1])
        recent[0] = table
        table_of[context] = table
        before = kind
        kind = now
        shift = int(shifts[context])
        shifted = code_adaptive(coder, data, chances, AT_SHIFT + shifted, int(shift != 0))
        if shifted == 1:
            amount = code_number(coder, data, chances, AT_AMOUNT, 17, abs(shift) - 1) + 1
            sign = code_bits(coder, data, int(shift < 0), 1)
            shift = -amount if sign == 1 else amount
        else:
            shift = 0
        shifts[context] = shift
    return used == tables


@kernel
def code_tables(
    coder: Int64,
    data: Uint8,
    chances: Int64,
    step: int,
    members: Int64,
    values: Int64,
    escapes: Int64,
    levels: Int64,
) -> int:
    """(8.10.5) The tables; returns the number of their levels, -1 where a level is out of its range.

    step    : levels of own tables are multiples of 2^step.
    members : number in the family, or -1 for a table of its own.
    values, escapes : of own tables: the number of values, and 1 where an escape follows them.
    levels  : of the symbols of own tables, one table after the other; 0 beyond them.
    """
    used = 0
    for table in range(members.shape[0]):
        member = int(members[table])
        if code_adaptive(coder, data, chances, AT_MEMBER, int(member >= 0)) == 1:
            members[table] = code_bits(coder, data, member, 6)
            continue
        members[table] = -1
        count = code_number(coder, data, chances, AT_VALUES, 13, int(values[table]) - 1) + 1
        escape = code_adaptive(coder, data, chances, AT_ESCAPE, int(escapes[table]))
        values[table] = count
        escapes[table] = escape
        if count + escape > levels.shape[0] - used:
            return -1
        level = 0
        difference = 0
        for i in range(used, used + count + escape):
            difference = code_difference(
                coder, data, chances, difference, (int(levels[i]) - level) >> step
            )
            level += difference * (1 << step)
            if level < 0 or level > LARGEST_LEVEL:
                return -1
            levels[i] = level
        used += count + escape
    return used


@kernel
def code_difference(coder: Int64, data: Uint8, chances: Int64, before: int, difference: int) -> int:
    """(8.10.5) The difference of a level from the one before, predicted by the difference before."""
    same = code_adaptive(coder, data, chances, AT_SAME + int(before == 0), int(difference == 0))
    if same == 1:
        return 0
    sign = 0 if before == 0 else 1 if before > 0 else 2
    negative = code_adaptive(coder, data, chances, AT_SIGN + sign, int(difference < 0))
    amount = code_number(coder, data, chances, AT_LENGTH + 9 * negative, 8, abs(difference) - 1) + 1
    return -amount if negative == 1 else amount
