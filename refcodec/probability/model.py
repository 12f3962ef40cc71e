"""Entropy models as callers see them: made of counts or probabilities."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from refcodec.entropy.arrays import Int32, Int64
from refcodec.entropy.static import PRECISION, excess_order
from refcodec.entropy.symbols import slots_of, symbols_at
from refcodec.errors import CallerError
from refcodec.inputs import as_array
from refcodec.probability.coding import (
    Distributions,
    TableChoice,
    check_model_limits,
    decode_tables,
    encode_tables,
)
from refcodec.probability.freezing import freeze_models
from refcodec.stored_model import StoredModel
from refcodec.syntax.codes import UnitType
from refcodec.syntax.structures import (
    EntropyTables,
)
from refcodec.tables import scale_deviations

__all__ = ["EntropyModel"]

_MOST_VALUES = 4095


class EntropyModel(StoredModel):
    """Distributions of latents, which are integers: one for each context, frozen into integer tables.

    A context is an element of a vector, or a channel of a map; a model of a single context has one
    distribution for all. Make one by `fit` (latents), `from_counts`, `from_probabilities` or `from_scales`;
    keep it by `save`.

    Two models are equal where their tables are, byte for byte.
    """

    unit_type = UnitType.ENTROPY_MODEL
    element = "tables"
    check = staticmethod(check_model_limits)

    def __init__(self, coded: EntropyTables) -> None:
        """Decode the tables of an entropy model unit. Raises PayloadError."""
        self.coded: EntropyTables = coded
        self.distributions: Distributions = decode_tables(coded)

    # -- how to make one

    @classmethod
    def fit(cls, latents: npt.ArrayLike, *, escape: bool = True) -> EntropyModel:
        """Count latents, N x D (a distribution for each element) or N x C x H x W (for each channel).

        escape : give every table an escape, so that values that do not occur here can be coded.

        Raises CallerError for what is no array of integers of 16 bits.
        """
        values = _integers(latents)
        if values.ndim not in (2, 4) or values.size == 0:
            raise CallerError(
                f"latents of shape {values.shape}", hint="give a batch, N x D or N x C x H x W"
            )
        columns = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
        first, last = columns.min(axis=1), columns.max(axis=1)
        if escape:  # of a wide distribution, the middle: the rest escapes
            middle = np.median(columns, axis=1).astype(np.int64)
            first = np.maximum(first, middle - _MOST_VALUES // 2)
            last = np.minimum(last, middle + _MOST_VALUES // 2)
        width = int((last - first).max()) + 1
        if width > _MOST_VALUES or width * len(columns) > 1 << 26:
            raise CallerError(f"latents span {width} values", hint="take a coarser step")
        places = columns - first[:, None]
        inside = (places >= 0) & (places < width)
        places += width * np.arange(len(columns))[:, None]
        counts = np.bincount(places[inside], minlength=width * len(columns))
        return cls.from_counts(counts.reshape(len(columns), width), first, escape=escape)

    @classmethod
    def from_counts(
        cls, counts: npt.ArrayLike, first: npt.ArrayLike = 0, *, escape: bool = True
    ) -> EntropyModel:
        """Freeze counts, contexts x values: how often each value occurs, or is expected, in all features.

        first  : value of the first column, one for all contexts or one each.
        escape : give every table an escape.

        Raises CallerError for counts that are negative or not finite.
        """
        table = np.atleast_2d(np.asarray(counts, np.float64))
        if table.ndim != 2 or table.size == 0:
            raise CallerError(f"counts of shape {table.shape}; they are contexts x values")
        if not (np.isfinite(table).all() and (table >= 0).all()):
            raise CallerError("counts are finite numbers, and not negative")
        lowest = np.broadcast_to(np.asarray(first, np.int64), len(table))
        return cls(freeze_models(table, lowest, escape=escape))

    @classmethod
    def from_probabilities(
        cls,
        probabilities: npt.ArrayLike,
        first: npt.ArrayLike = 0,
        *,
        features: float = 10_000,
        escape: bool = True,
    ) -> EntropyModel:
        """Freeze probabilities, contexts x values, of integers from ``first`` on.

        probabilities : need not add up to 1; what a context lacks goes to its escape.
        features      : latents of each context that will be coded, about: more are worth finer tables.
        """
        return cls.from_counts(
            np.asarray(probabilities, np.float64) * features, first, escape=escape
        )

    @classmethod
    def from_scales(cls, scales: npt.ArrayLike, means: npt.ArrayLike = 0) -> EntropyModel:
        """Normal distributions from the family of 8.10.4: the nearest scale, the nearest integer as mean."""
        wanted = np.atleast_1d(np.asarray(scales, np.float64))
        if not ((wanted > 0) & np.isfinite(wanted)).all():
            raise CallerError("scales are finite numbers above 0")
        members = np.abs(np.log(scale_deviations()) - np.log(wanted)[:, None]).argmin(axis=1)
        shifts = np.broadcast_to(np.rint(np.asarray(means, np.float64)), len(wanted))
        tables = [TableChoice(number, np.zeros(0, np.int64)) for number in range(64)]
        return cls(encode_tables(members.tolist(), shifts.astype(np.int64).tolist(), tables, 0))

    # -- what it is

    @property
    def contexts(self) -> int:
        """Number of contexts: elements, or channels; 1 for one distribution of all."""
        return self.coded.context_count

    @property
    def tables(self) -> int:
        """Number of tables that the contexts share."""
        return self.coded.table_count

    def probabilities(self, context: int) -> tuple[int, npt.NDArray[np.float64]]:
        """The first value of a context, and the probabilities from it on; the rest is the escape's."""
        tables, table_of, base = self.distributions
        table = int(table_of[context])
        begin, count = int(tables.begin[table]), int(tables.values[table])
        shares = np.diff(tables.bounds[begin : begin + count + 1]) / (1 << PRECISION)
        return int(base[context]), shares

    def code_length(self, latents: npt.ArrayLike) -> float:
        """Bits that latents, N x D or N x C x H x W, cost under the tables, with nothing added."""
        values = _integers(latents)
        if values.ndim not in (2, 4):
            raise CallerError(f"latents of shape {values.shape}; a batch is N x D or N x C x H x W")
        total = 0.0
        for context in range(values.shape[1]):
            symbols = self.symbols_of(values[:, context], np.array([context % self.contexts]))
            total += self._bits(
                symbols.ravel(), int(self.distributions.table_of[context % self.contexts])
            )
        return total

    def _bits(self, symbols: Int32, table: int) -> float:
        tables = self.distributions.tables
        begin, values = int(tables.begin[table]), int(tables.values[table])
        steps = np.diff(tables.bounds[begin : int(tables.begin[table + 1])])
        bits = float((PRECISION - np.log2(steps[np.minimum(symbols, values)])).sum())
        excess = symbols[symbols >= values] - values
        order = excess_order(values)
        lengths = np.floor(np.log2(excess + (1 << order))).astype(int)
        return bits + float((2 * lengths - order + (lengths < 18)).sum())

    def symbols_of(self, latents: Int64, contexts: Int64) -> Int32:
        """Symbols of latents, int32; the last axis has one context for each entry, or one for all.

        Raises CallerError for a value beyond a table that has no escape.
        """
        tables, table_of, base = self.distributions
        table = table_of[contexts]
        values = tables.values[table]
        offsets = np.asarray(latents, np.int64) - base[contexts]
        inside = (offsets >= 0) & (offsets < values)
        escapes = np.diff(tables.begin)[table] - 2 == values  # symbols less values
        if not (inside | escapes).all():
            wrong = np.broadcast_to(latents, offsets.shape)[~(inside | escapes)]
            raise CallerError(
                f"the latent {int(wrong.flat[0])} lies beyond its table, which has no escape",
                hint="fit the model with escapes, or to these latents",
            )
        return symbols_at(offsets, values)

    @cached_property
    def slots(self) -> Int64:
        """The slots of the first table, for latents that all have it."""
        return slots_of(self.distributions.tables)

    @property
    def size(self) -> int:
        """Bytes of the tables in a stream."""
        return len(self.coded.coded_tables)

    def __repr__(self) -> str:
        return f"<EntropyModel: {self.contexts} contexts, {self.tables} tables, {self.size} bytes>"


def _integers(latents: npt.ArrayLike) -> Int64:
    """Latents as int64. Raises CallerError for numbers that are no integers of 16 bits."""
    given = as_array(latents)
    if given.dtype.kind not in "iuf":
        raise CallerError(f"latents of type {given.dtype}; they are integers")
    values = given.astype(np.int64) if np.isfinite(given).all() else np.zeros(0, np.int64)
    if values.shape != given.shape or (values != given).any() or (np.abs(values) > 1 << 15).any():
        raise CallerError(
            "latents are integers of 16 bits", hint="round what is divided by the step"
        )
    return values
