"""Entropy models: units, contexts and tables (6.12, 8.10.5, 9.7)."""

from __future__ import annotations

from typing import NamedTuple

from .arithmetic import MOST_OVERRUN, ArithmeticDecoder
from .bits import BitReader
from .codes import Level
from .distributions import Table, family, frequencies_of
from .refusal import require

LEVELS_OF_A_TABLE = 64  # of level_count, for each table that a level allows (A.3)
LARGEST_LEVEL = 255
REPEATED, NEW, OTHER = 0, 1, 2  # kinds of contexts, by their tables

# The first chances of each kind of decision (8.10.5).
AT_REPEAT = 0
AT_NEW = 9
AT_SHIFT = 12
AT_MEMBER = 14
AT_ESCAPE = 15
AT_SAME = 16
AT_SIGN = 18
AT_LENGTH = 21
AT_VALUES = 40
AT_PLACE = 56
AT_AMOUNT = 72
CHANCES = 96
EVEN = 32768
MOST_SEEN = 30


class Context(NamedTuple):
    """The distribution of a channel, or of all elements: a table, and the value of its symbol 0."""

    table: Table
    base: int


EntropyModel = list[Context]


class ModelFile(NamedTuple):
    """An entropy model in a file of its own, named by the SHA-256 of its bytes (8.10.6)."""

    sha256: bytes


class EntropyTables(NamedTuple):
    """entropy_tables() (6.12.2)."""

    context_count: int
    table_count: int
    level_count: int
    level_step: int
    coded_tables: bytes


def begin_model_unit(read: BitReader) -> tuple[int, ModelFile | None]:
    """Parse what model units begin with (6.12.1, 6.14.1, 6.17.1): model_id, and the file, if it is in one."""
    model_id = read.ue(255)
    external_flag = read.flag()
    read.align()
    if not external_flag:
        return model_id, None
    file = ModelFile(read.raw(32))
    read.finish()
    return model_id, file


def parse_model(payload: bytes) -> tuple[int, EntropyTables | ModelFile]:
    """Parse entropy_model_unit() (6.12): model_id, and its tables as they are coded, or their file."""
    read = BitReader(payload)
    model_id, file = begin_model_unit(read)
    if file is not None:
        return model_id, file
    context_count = read.ue((1 << 16) - 1) + 1
    table_count = read.ue(4095) + 1
    level_count = read.ue((1 << 18) - 1)
    level_step = read.u(3)
    read.align()
    tables = EntropyTables(context_count, table_count, level_count, level_step, read.rest())
    return model_id, tables


def check_limits(tables: EntropyTables, level: Level) -> None:
    """Check the sizes of an entropy model (RA.3-5)."""
    within = (
        tables.context_count <= level.max_model_contexts
        and tables.table_count <= level.max_model_tables
        and tables.level_count <= level.max_model_tables * LEVELS_OF_A_TABLE
        and len(tables.coded_tables) <= level.max_model_size
    )
    require(within, "unsupported", "RA.3-5", "an entropy model exceeds a limit of the level")


class Chances:
    """Decisions that their own past predicts (8.10.5)."""

    def __init__(self, data: bytes, count: int) -> None:
        self.arithmetic = ArithmeticDecoder(data)
        self.probability = [EVEN] * count  # of a 1, in units of 2^-16
        self.seen = [0] * count

    def decide(self, at: int) -> int:
        """One decision of a chance, which learns from it."""
        probability, seen = self.probability[at], self.seen[at]
        decided = self.arithmetic.bit(min(max(probability, 64), 65472))
        target = 65535 if decided else 0
        self.probability[at] += 2 * (target - probability) // (2 * seen + 3)
        self.seen[at] = min(seen + 1, MOST_SEEN)
        return decided

    def number(self, at: int, most: int) -> int:
        """A number in Exp-Golomb code of order 0, whose length, at most ``most``, is predicted."""
        length = 0
        while length < most and self.decide(at + length):
            length += 1
        return (1 << length) - 1 + self.arithmetic.bits(length)

    def finish(self, requirement: str, found: str) -> None:
        """Refuse bytes that no decision needs, and decisions beyond them."""
        left = len(self.arithmetic.data) - self.arithmetic.position
        ended = left <= 0 and self.arithmetic.overrun <= MOST_OVERRUN
        require(ended, "payload", requirement, found)


def decode_model(coded: EntropyTables, level: Level) -> EntropyModel:
    """Decode the contexts of a model within the limits of a level, and then its tables (8.10.5)."""
    check_limits(coded, level)
    chances = Chances(coded.coded_tables, CHANCES)
    contexts = decode_contexts(chances, coded)
    tables = decode_tables(chances, coded)
    chances.finish("R8.10.5-5", "the tables do not end where their bytes do")
    return [Context(tables[table], shift - tables[table].main) for table, shift in contexts]


def decode_contexts(chances: Chances, coded: EntropyTables) -> list[tuple[int, int]]:
    """Decode the number of the table of each context, and its shift."""
    contexts: list[tuple[int, int]] = []
    recent: list[int] = []  # tables in the order of their last use, the last one first
    before, kind = NEW, NEW  # kinds of the last two contexts
    shifted = 0
    for _ in range(coded.context_count):
        before, kind = kind, decode_kind(chances, before, kind) if recent else NEW
        place = 0
        if kind == NEW:
            recent.insert(0, len(recent))
        elif kind == OTHER:
            place = 1 + chances.number(AT_PLACE, 13)
        named = place < len(recent) <= coded.table_count
        require(named, "payload", "R8.10.5-1", "a context names a table that there is not")
        recent.insert(0, recent.pop(place))
        shifted = chances.decide(AT_SHIFT + shifted)
        contexts.append((recent[0], decode_shift(chances) if shifted else 0))
    every = len(recent) == coded.table_count
    require(every, "payload", "R8.10.5-1", "the contexts do not name every table")
    return contexts


def decode_kind(chances: Chances, before: int, last: int) -> int:
    """Decode the kind of a context, given those of the two contexts before it."""
    if chances.decide(AT_REPEAT + 3 * before + last):
        return REPEATED
    return NEW if chances.decide(AT_NEW + last) else OTHER


def decode_shift(chances: Chances) -> int:
    """Decode a shift that is not 0."""
    amount = chances.number(AT_AMOUNT, 17) + 1
    return -amount if chances.arithmetic.bits(1) else amount


def decode_tables(chances: Chances, coded: EntropyTables) -> list[Table]:
    """Decode the tables of a model."""
    tables: list[Table] = []
    left = coded.level_count
    for _ in range(coded.table_count):
        if chances.decide(AT_MEMBER):
            tables.append(family()[chances.arithmetic.bits(6)])
            continue
        values = chances.number(AT_VALUES, 13) + 1
        symbols = values + chances.decide(AT_ESCAPE)
        left -= symbols
        require(left >= 0, "payload", "R8.10.5-3", "there are more levels than level_count")
        frequencies = frequencies_of(decode_levels(chances, symbols, coded.level_step))
        least = min(frequencies)
        require(least >= 1, "payload", "R8.10.5-4", f"a frequency is {least}")
        tables.append(Table(frequencies, values))
    require(left == 0, "payload", "R8.10.5-3", "there are fewer levels than level_count")
    return tables


def decode_levels(chances: Chances, count: int, step: int) -> list[int]:
    """Decode the levels of a table as differences, multiples of 2^step, each from the level before."""
    levels: list[int] = []
    level = difference = 0
    for _ in range(count):
        difference = decode_difference(chances, difference)
        level += difference << step
        within = 0 <= level <= LARGEST_LEVEL
        require(within, "payload", "R8.10.5-2", f"a level is {level}")
        levels.append(level)
    return levels


def decode_difference(chances: Chances, before: int) -> int:
    """Decode a difference, given the one before."""
    if chances.decide(AT_SAME + (before == 0)):
        return 0
    sign = 0 if before == 0 else 1 if before > 0 else 2
    negative = chances.decide(AT_SIGN + sign)
    amount = chances.number(AT_LENGTH + 9 * negative, 8) + 1
    return -amount if negative else amount
