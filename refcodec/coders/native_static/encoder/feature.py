"""Encoding of one feature: levels, their symbols, tables that suit these, payload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.coders.native.encoder.advice import NO_ADVICE, Advice
from refcodec.coders.native.encoder.choice import Choice
from refcodec.coders.native.encoder.choose import choose
from refcodec.coders.native.encoder.corrections import restoration_mode
from refcodec.coders.native.encoder.tuning import Tuning
from refcodec.coders.native.head import (
    RESTORATION,
    Bounds,
    sample_bounds,
    step_sizes,
)
from refcodec.coders.native.payload import Corrections
from refcodec.coders.native_static.channels import code_changes, code_head
from refcodec.coders.native_static.contexts import CHANGEABLE, first_tables, table_limits, tables
from refcodec.coders.native_static.encoder.changes import find_changes
from refcodec.coders.native_static.encoder.moments import summed_corrections
from refcodec.coders.native_static.encoder.search import search
from refcodec.coders.native_static.payload import code_feature
from refcodec.coders.native_static.symbols import CURSOR_SIZE, DIRECTION, NOTED, Symbols
from refcodec.coders.substreams import channels_of
from refcodec.entropy.arrays import Int32, Int64
from refcodec.entropy.symbols import encode_symbols_of
from refcodec.syntax.structures import FeatureParameters, FeatureParameterSet

__all__ = ["code_choice", "encode_payload", "note_symbols"]

Noted = tuple[Int32, Int32]
"""Contexts and symbols."""


def encode_payload(
    exact: npt.NDArray[Any],
    fps: FeatureParameterSet,
    parameters: FeatureParameters,
    tuning: Tuning,
    advice: Advice = NO_ADVICE,
) -> tuple[list[bytes], Int32]:
    """Code one feature; returns its substreams and the decoded samples.

    exact : samples before rounding, float, C x H x W.
    """
    steps, bounds = step_sizes(fps, parameters), sample_bounds(fps)
    choice = advice.choice or _choose(exact, steps, tuning, advice)
    parts = []
    for number in range(fps.substream_count):
        one = channels_of(fps, number)
        own = slice(one.start, one.stop)
        part = replace(choice, levels=choice.levels[own], sizes=choice.sizes[own])
        mode = int(choice.head[RESTORATION])
        find = partial(summed_corrections, exact=exact[own], steps=steps[own], mode=mode)
        parts.append(code_choice(part, steps[own], bounds, find))
    payloads, samples = zip(*parts, strict=True)
    return list(payloads), samples[0] if len(samples) == 1 else np.concatenate(samples)


def _choose(exact: npt.NDArray[Any], steps: Int64, tuning: Tuning, advice: Advice) -> Choice:
    """Choose by the coder's own search; by that of native where every coefficient has its own weight."""
    if advice.weights is not None and advice.weights[0].size > 1:
        return choose(exact, steps, tuning, advice, tuning.blocks[0], 0)
    choice = search(exact, steps, advice.weights)
    choice.head[RESTORATION] = restoration_mode(exact.shape, tuning)
    return choice


def code_choice(
    choice: Choice,
    steps: Int64,
    bounds: Bounds,
    corrections: Callable[[Int32], Corrections],
    changes: Int32 | None = None,
) -> tuple[bytes, Int32]:
    """Code a choice; returns the payload and the decoded samples.

    corrections : from reconstructed samples to their corrections.
    changes     : by how much the number of the table of each context is raised; None for what saves bits.
    """
    front = _noting(32 + 4 * CHANGEABLE)
    code_head(front, choice.head)
    noted, samples = note_symbols(choice, steps, bounds, corrections)
    changes = find_changes(*noted) if changes is None else changes
    code_changes(front, changes, table_limits())
    contexts, symbols = map(np.concatenate, zip(_noted(front), noted, strict=True))
    table_of, (low, high) = first_tables().copy(), table_limits()[:CHANGEABLE].T
    table_of[:CHANGEABLE] = np.clip(table_of[:CHANGEABLE] + changes, low, high)
    return encode_symbols_of(symbols, table_of[contexts], tables()), samples


def note_symbols(
    choice: Choice, steps: Int64, bounds: Bounds, corrections: Callable[[Int32], Corrections]
) -> tuple[Noted, Int32]:
    """The symbols of levels and corrections, with their contexts; and the decoded samples."""
    s = _noting(5 * choice.levels.size + 6 * len(choice.levels) + 64)
    samples = np.empty(choice.levels.shape, np.int32)
    code_feature(s, choice.head, choice.levels, choice.sizes, samples, steps, bounds, corrections)
    return _noted(s), samples


def _noting(count: int) -> Symbols:
    """Symbols to note, at most so many."""
    cursor = np.zeros(CURSOR_SIZE, np.int64)
    cursor[DIRECTION] = 1
    empty, room = np.zeros(1, np.int32), (np.empty(count, np.int32), np.empty(count, np.int32))
    return Symbols(cursor, np.ones(1, np.int64), empty, tables(), first_tables(), *room)


def _noted(symbols: Symbols) -> Noted:
    count = int(symbols.cursor[NOTED])
    return symbols.contexts[:count], symbols.symbols[:count]
