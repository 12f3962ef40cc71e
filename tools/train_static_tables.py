"""Train the tables of the native coder with static tables: refcodec/tables/static_model.txt (8.3.11.2).

    python tools/train_static_tables.py             train and write the tables
    python tools/train_static_tables.py --check     train, and compare with the tables that are there

The corpus and the levels are those of ``tools/train_tables.py``, with finer steps added. The symbols of each
context of each feature are a histogram; those of a group are clustered: a table is the sum of its histograms,
and a histogram belongs to the table by which it takes fewest bits. A context begins with the table by which
it takes fewest bits in the whole corpus. Costs are integers, so that the result is the same on every machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from construct import Container
from train_tables import BITS, LARGEST, QPS, check_corpus, features

from refcodec.coders.native.encoder.advice import NO_ADVICE
from refcodec.coders.native.encoder.choice import Choice
from refcodec.coders.native.encoder.choose import choose
from refcodec.coders.native.encoder.corrections import find_corrections
from refcodec.coders.native.encoder.tuning import Tuning
from refcodec.coders.native.head import RESTORATION, Bounds, step_sizes
from refcodec.coders.native_static.contexts import CONTEXTS, GROUPS
from refcodec.coders.native_static.encoder.feature import note_symbols
from refcodec.entropy.static import PRECISION
from refcodec.files import atomic_file
from refcodec.syntax.codes import Quantiser
from refcodec.tables import STATIC_MODEL

TABLES = {
    "split": 12,
    "dc": 32,
    "last": 24,
    "final": 6,
    "coefficient": 48,
    "offset": 6,
    "gain": 6,
    "escape": 1,
    "run": 1,
    "change": 1,
}
"""Tables of each group."""

RATIOS = {"run": 0.85, "change": 0.8}
"""Ratio of the frequencies of consecutive symbols, of the groups that an encoder has not used yet."""

UNSIGNED = ("split", "last", "escape", "run")
ROUNDS = 12
WIDEST = 34
"""Symbols of any group at most."""

Array = np.ndarray[Any, Any]
Model = dict[str, tuple[Array, Array]]
"""Frequencies of the tables of each group, tables x symbols, and the first table of each context."""


# --- symbols from features -------------------------------------------------------------------------


def items() -> Iterator[tuple[Array, Choice, Array]]:
    """Samples, the encoder's choice and the steps of each feature of the corpus."""
    for samples, qp, block in features((4, 8, *QPS)):
        fps = Container(channels=len(samples), bits=BITS, quantiser=Quantiser.UNIFORM)
        steps = step_sizes(fps, Container(qp=qp, qp_eighths=0, qp_delta=None))
        depths, restoration = 1 + qp % 2, 2 if samples[0].size >= 16 else 0
        tuning = Tuning(depths=depths, restoration=restoration)
        yield samples, choose(samples, steps, tuning, NO_ADVICE, max(block, 8), 0), steps


def histograms() -> Array:
    """Counts of symbols, features x contexts x symbols."""
    found = []
    for samples, choice, steps in items():
        find = partial(find_corrections, samples, steps=steps, mode=int(choice.head[RESTORATION]))
        (of, symbols), _ = note_symbols(choice, steps, Bounds(0, LARGEST), find)
        kept = of < CONTEXTS
        counts = np.bincount(of[kept] * WIDEST + symbols[kept], minlength=CONTEXTS * WIDEST)
        found.append(counts.reshape(CONTEXTS, WIDEST).astype(np.int32))
    return np.stack(found)


# --- tables from symbols ---------------------------------------------------------------------------


def frequencies_of(counts: Array, signed: bool) -> Array:
    """Frequencies that add up to 2^14, each at least 1, in proportion to counts as nearly as may be."""
    counts = counts.astype(np.int64) * 64 + 1 + counts.sum() // 4096
    if signed:
        counts = np.array([counts[0], *(counts[1::2] + counts[2::2])])
    total = int(counts.sum())
    share = counts * (1 << PRECISION) // total
    if signed:
        share = np.maximum(share, 2)
        share[1:] -= share[1:] % 2
        share[0] = max(share[0], 1)
        spread = np.array([share[0], *np.repeat(share[1:] // 2, 2)])
    else:
        spread = np.maximum(share, 1)
    largest = int(spread.argmax())
    excess = int(spread.sum()) - (1 << PRECISION)
    if signed and largest > 0:
        spread[1 + (largest - 1) // 2 * 2 : 3 + (largest - 1) // 2 * 2] -= excess // 2
        spread[0] -= excess % 2
    else:
        spread[largest] -= excess
    assert spread.min() > 0
    assert spread.sum() == 1 << PRECISION
    return spread


def costs(frequencies: Array) -> Array:
    """Bits of each symbol in units of 2^-8, integers."""
    bits: Array = np.rint(256 * (PRECISION - np.log2(frequencies))).astype(np.int64)
    return bits


def cluster(rows: Array, tables: int, signed: bool) -> Array:
    """Tables for the histograms of a group, ordered by the bits of their symbols."""
    rows = rows[rows.sum(axis=1) >= 8].astype(np.int64)
    weights = np.minimum(np.arange(rows.shape[1]), 24)
    busy = rows @ weights * 4096 // rows.sum(axis=1)
    order = np.argsort(busy, kind="stable")
    share = np.cumsum(np.sqrt(rows[order].sum(axis=1)).astype(np.int64))
    place = np.empty(len(rows), np.int64)
    place[order] = np.minimum(share * tables // int(share[-1]), tables - 1)
    for _ in range(ROUNDS):
        found = np.stack(
            [frequencies_of(rows[place == n].sum(axis=0), signed) for n in range(tables)]
        )
        place = (rows @ costs(found).T).argmin(axis=1)
    entropy = (found * costs(found)).sum(axis=1)
    ordered: Array = found[np.argsort(entropy, kind="stable")]
    return ordered


def starts(rows: Array, found: Array) -> Array:
    """The table of each context by the counts of the whole corpus; the nearest one's where there are none."""
    total = rows.sum(axis=0).astype(np.int64)
    best = (total @ costs(found).T).argmin(axis=1)
    seen = np.flatnonzero(total.sum(axis=1) >= 8)
    nearest = np.abs(np.arange(len(total))[:, None] - seen[None]).argmin(axis=1)
    found_first: Array = best[seen[nearest]]
    return found_first


def train(counts: Array) -> Model:
    """Tables of all groups from the counts of the corpus."""
    model: Model = {}
    first = 0
    for name, group in GROUPS.items():
        rows = counts[:, first : first + group.contexts, : group.symbols]
        flat = rows.reshape(-1, group.symbols)
        signed = name not in UNSIGNED
        if name in RATIOS:
            own = np.array([RATIOS[name] ** n for n in range(group.symbols)])
            rows = np.rint(own * 65536 * (np.arange(len(own)) > int(signed) - 1)).astype(np.int64)[
                None, None
            ]
            flat = rows[0]
        found = cluster(flat, TABLES[name], signed)
        model[name] = found, starts(rows, found)
        first += group.contexts
    return model


def format_model(model: Model, digest: str) -> str:
    """The text that `refcodec.tables.static_model` reads."""
    lines = [
        "# Tables of the native coder with static tables (8.3.11.2), made by tools/train_static_tables.py",
        f"# from the corpus whose SHA256SUMS has the SHA-256 {digest}.",
        "# A line `symbols` has the frequencies of the symbols of a table; a line `signed` that of 0, then",
        "# those of pairs of symbols. A line `start` has the table that each context begins with.",
    ]
    for name, (found, start) in model.items():
        lines.append(f"group {name}")
        for row in found.tolist():
            kind, row = ("symbols", row) if name in UNSIGNED else ("signed", [row[0], *row[1::2]])
            lines.append(f"{kind} {' '.join(map(str, row))}")
        for i in range(0, len(start), 32):
            lines.append("start " + " ".join(map(str, start[i : i + 32].tolist())))
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--check", action="store_true", help="compare with the tables that are there"
    )
    arguments = parser.parse_args()
    text = format_model(train(histograms()), check_corpus())
    if arguments.check:
        same = STATIC_MODEL.read_text(encoding="ascii") == text
        print("the tables are as trained" if same else "the tables DIFFER from what was trained")
        return 0 if same else 1
    with atomic_file(STATIC_MODEL) as file:
        file.write(text.encode("ascii"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
