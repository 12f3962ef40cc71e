"""Encoding of one feature: levels, their symbols, tables that suit these, payload."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.encoder.advice import NO_ADVICE, Advice
from refcodec.coders.native.encoder.choice import Choice
from refcodec.coders.native.encoder.choose import choose
from refcodec.coders.native.encoder.corrections import find_corrections
from refcodec.coders.native.encoder.tuning import Tuning
from refcodec.coders.native.head import RESTORATION, step_sizes
from refcodec.coders.native.payload import Corrections
from refcodec.coders.native_static.channels import code_changes, code_head
from refcodec.coders.native_static.contexts import CHANGEABLE, first_tables, table_limits, tables
from refcodec.coders.native_static.encoder.changes import find_changes
from refcodec.coders.native_static.payload import code_feature
from refcodec.coders.native_static.symbols import CURSOR_SIZE, DIRECTION, NOTED, Symbols
from refcodec.entropy import symbols as engine
from refcodec.entropy.arrays import Int32, Int64
from refcodec.syntax.structures import FeatureParameters, FeatureParameterSet

__all__ = ["code_choice", "encode_payload", "note_symbols", "noted_of", "noting"]

Noted = tuple[Int32, Int32]
"""Contexts and symbols."""


def encode_payload(
    exact: npt.NDArray[Any],
    fps: FeatureParameterSet,
    parameters: FeatureParameters,
    tuning: Tuning,
    advice: Advice = NO_ADVICE,
) -> tuple[bytes, Int32]:
    """Code one feature; returns the payload and the decoded samples.

    exact : samples before rounding, float, C x H x W.
    """
    steps, largest = step_sizes(fps, parameters), (1 << fps.bits) - 1
    choice = advice.choice
    if choice is None:
        choice = choose(exact, steps, tuning, advice, 16, 0)
    return code_choice(exact, choice, steps, largest)


def code_choice(
    exact: npt.NDArray[Any], choice: Choice, steps: Int64, largest: int
) -> tuple[bytes, Int32]:
    """Code a choice; returns the payload and the decoded samples."""
    noted, samples = note_symbols(exact, choice, steps, largest)
    changes = find_changes(*noted)
    front = noting(1024)
    code_head(front, choice.head)
    code_changes(front, changes, table_limits())
    contexts, symbols = (
        np.concatenate(both) for both in zip(noted_of(front), noted, strict=True)
    )
    table_of = first_tables().copy()
    table_of[:CHANGEABLE] += changes
    return engine.encode_symbols_of(symbols, table_of[contexts], tables()), samples


def note_symbols(
    exact: npt.NDArray[Any], choice: Choice, steps: Int64, largest: int
) -> tuple[Noted, Int32]:
    """The symbols of levels and corrections, with their contexts; and the decoded samples."""
    mode = int(choice.head[RESTORATION])

    def corrections(samples: Int32) -> Corrections:
        return find_corrections(exact, samples, steps, mode)

    s = noting(5 * exact.size + 6 * len(exact) + 64)
    samples, _ = code_feature(
        s, choice.head, choice.levels, choice.sizes, steps, largest, corrections
    )
    return noted_of(s), samples


def noting(count: int) -> Symbols:
    """Symbols to note, at most so many."""
    cursor = np.zeros(CURSOR_SIZE, np.int64)
    cursor[DIRECTION] = 1
    empty, room = np.zeros(1, np.int32), (np.empty(count, np.int32), np.empty(count, np.int32))
    return Symbols(cursor, np.ones(1, np.int64), empty, tables(), first_tables(), *room)


def noted_of(symbols: Symbols) -> Noted:
    count = int(symbols.cursor[NOTED])
    return symbols.contexts[:count], symbols.symbols[:count]
