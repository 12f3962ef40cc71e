"""The tables of an entropy model as its unit has them (clause 8.10.5), and their limits (A.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from refcodec.clauses import clause
from refcodec.entropy.arithmetic import (
    CODER_SIZE,
    DIRECTION,
    finish_decoding,
    finish_encoding,
    start_decoding,
    start_encoding,
)
from refcodec.entropy.arrays import Int32, Int64
from refcodec.entropy.model_bits import MODEL_CHANCES, NEW_CHANCE, code_contexts, code_tables
from refcodec.entropy.static import Tables, frequencies_of
from refcodec.entropy.symbols import make_tables
from refcodec.errors import PayloadError, StreamError, UnsupportedError
from refcodec.syntax.structures import ENTROPY_TABLES, EntropyTables
from refcodec.tables import Level, scale_frequencies

__all__ = [
    "LEVELS_PER_TABLE",
    "Distributions",
    "TableChoice",
    "check_model_limits",
    "decode_tables",
    "encode_tables",
]

LEVELS_PER_TABLE = 64
"""Levels of symbols of all tables of a model, for each table that a level allows."""


class Distributions(NamedTuple):
    """The distributions of an entropy model, by context.

    tables   : tables that contexts share.
    table_of : the table of each context.
    base     : the value that symbol 0 stands for in each context.
    """

    tables: Tables
    table_of: Int32
    base: Int64


# --- normative -------------------------------------------------------------------------------------


@clause("8.10.5")
def decode_tables(coded: EntropyTables) -> Distributions:
    """(8.10.5) The distributions of an entropy model. The limits of the level have been checked.

    Raises PayloadError for tables that do not end where their bytes do, or with their levels.
    """
    count, levels = coded.table_count, np.zeros(coded.level_count, np.int64)
    table_of = np.zeros(coded.context_count, np.int32)
    shifts = np.zeros(coded.context_count, np.int64)
    members, values, escapes = (np.zeros(count, np.int64) for _ in range(3))
    data = np.frombuffer(bytearray(coded.coded_tables), np.uint8)  # kernels want it writable
    coder, chances = np.zeros(CODER_SIZE, np.int64), np.full(MODEL_CHANCES, NEW_CHANCE)
    start_decoding(coder, data)
    coder[DIRECTION] = 0
    if not code_contexts(coder, data, chances, count, table_of, shifts):
        raise _refusal("the contexts do not name every table, or one that is not there", "8.10.5-1")
    used = code_tables(coder, data, chances, coded.level_step, members, values, escapes, levels)
    if used != len(levels):
        raise _refusal("a level of a table is out of its range, or their number is another one")
    if not finish_decoding(coder, data):
        raise _refusal("the tables do not end where their bytes do", "8.10.5-5")
    frequencies: list[Int64] = []
    modes: list[int | None] = []
    start = 0
    for table in range(count):
        if members[table] >= 0:
            frequencies.append(scale_frequencies()[members[table]])
            values[table] = len(frequencies[-1]) - 1
            modes.append(int(values[table]) // 2)
            continue
        stop = start + int(values[table]) + int(escapes[table])
        frequencies.append(np.zeros(stop - start, np.int64))
        if not frequencies_of(levels[start:stop], frequencies[-1]):
            raise _refusal("a table has more symbols than its frequencies add up to", "8.10.5-4")
        modes.append(None)
        start = stop
    tables = make_tables(frequencies, values.tolist(), modes)
    return Distributions(tables, table_of, shifts - tables.mode[table_of])


def _refusal(what: str, requirement: str = "") -> PayloadError:
    return PayloadError(f"entropy model: {what}", clause="8.10.5", requirement=requirement)


@clause("A.3")
def check_model_limits(
    coded: EntropyTables, limits: Level, bit_offset: int | None = None
) -> Iterator[StreamError]:
    """(A.3) The contexts, tables and levels of a model are within the limits of a level."""
    for what, count, most in (
        ("contexts", coded.context_count, limits.max_model_contexts),
        ("tables", coded.table_count, limits.max_model_tables),
        ("levels of symbols", coded.level_count, LEVELS_PER_TABLE * limits.max_model_tables),
        ("bytes of tables", len(coded.coded_tables), limits.max_model_size),
    ):
        if count > most:
            yield UnsupportedError(
                f"an entropy model of {count} {what}; level {limits.level_idc} allows {most}",
                bit_offset=bit_offset,
                requirement="A.3-5",
                hint="the stream understates its level, or is corrupt",
            )


# --- informative: the encoder's half ---------------------------------------------------------------


class TableChoice(NamedTuple):
    """A table to write: a member of the family, or levels of its own.

    member : number in the family; -1 for a table of its own.
    levels : of its symbols, the escape last.
    escape : true if there is one.
    """

    member: int
    levels: Int64
    escape: bool = True


def encode_tables(
    table_of: Sequence[int], shifts: Sequence[int], tables: Sequence[TableChoice], step: int
) -> EntropyTables:
    """Write the tables of a model; those that no context has are left out.

    table_of : the table of each context.
    shifts   : the main symbol of each context stands for this value.
    step     : levels are multiples of 2^step.
    """
    order = list(dict.fromkeys(table_of))
    chosen = [tables[one] for one in order]
    own = [one.levels for one in chosen if one.member < 0]
    levels = np.concatenate([*own, np.zeros(0, np.int64)]).astype(np.int64)
    members = np.array([one.member for one in chosen], np.int64)
    escapes = np.array([int(one.escape and one.member < 0) for one in chosen], np.int64)
    values = np.array([len(one.levels) if one.member < 0 else 0 for one in chosen]) - escapes
    numbers = np.array([order.index(one) for one in table_of], np.int32)
    output = np.zeros(64 + 8 * len(numbers) + 4 * (len(chosen) + len(levels)), np.uint8)
    coder, chances = np.zeros(CODER_SIZE, np.int64), np.full(MODEL_CHANCES, NEW_CHANCE)
    start_encoding(coder)
    coder[DIRECTION] = 1
    code_contexts(coder, output, chances, len(chosen), numbers, np.array(shifts, np.int64))
    code_tables(coder, output, chances, step, members, values.astype(np.int64), escapes, levels)
    size = finish_encoding(coder, output)
    elements = {
        "context_count_minus1": len(numbers) - 1,
        "table_count_minus1": len(chosen) - 1,
        "level_count": len(levels),
        "level_step": step,
        "coded_tables": output[:size].tobytes(),
    }
    return ENTROPY_TABLES.make(elements)
