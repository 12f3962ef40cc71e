"""Fills the page of results on the allocation of bits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from features import LAYERS
from page import fill, percent, table

Record = dict[str, Any]


def write(record: Record, page: Path) -> None:
    """Fill the page from a record of ``bench_allocation.py``."""
    parts = {f"{coder}-rates": _rates(record, coder) for coder in ("hevc", "native")}
    fill(page, {"machine": _machine(record), **parts, "seconds": _seconds(record)})


def _machine(record: Record) -> str:
    found = record["machine"]
    commands = "\n".join(f"   {command}" for command in record["commands"])
    versions = ", ".join(f"{name} {number}" for name, number in found["packages"].items())
    where = f"{found['processor']}, {found['cores']} cores, shared with other work"
    head = f"Measured on {where}, Python {found['python']}, {versions}, by"
    return f"{head}\n\n.. code-block:: console\n\n{commands}\n"


def _rates(record: Record, coder: str) -> str:
    """BD-rates against one QP for all channels, a row a method."""
    rates: dict[str, dict[str, float]] = {}
    for row in record["bd_rate"]:
        own, layer, _ = row["place"].split("/")
        if own == coder:
            rates.setdefault(row["method"], {})[layer] = row["bd_rate"]
    rows = (
        [
            method,
            *(percent(found.get(layer)) for layer in LAYERS),
            percent(float(np.mean(list(found.values())))) if len(found) == len(LAYERS) else "",
        ]
        for method, found in rates.items()
    )
    return table(["allocation", *LAYERS, "mean"], rows)


def _seconds(record: Record) -> str:
    """What each method takes: seconds a feature, or once for all."""

    def rows() -> Iterator[list[str]]:
        yield ["HEVC: Algorithm 1 literally, a feature", *_literal(record)]
        for coder in ("hevc", "native"):
            name = "HEVC" if coder == "hevc" else "native"
            for method, every in (
                ("algorithm1", True),
                ("selection", True),
                ("algorithm1, calibrated", False),
                ("gradient, calibrated", False),
            ):
                times = [_time(record, f"{coder}/{layer}/small", method, every) for layer in LAYERS]
                if any(times):
                    yield [f"{name}: {method}, {'a feature' if every else 'once'}", *times]

    return table(["seconds", *LAYERS], rows())


def _literal(record: Record) -> Iterator[str]:
    for layer in LAYERS:
        yield f"{record['literal_s'][f'hevc/{layer}/small']:.2f}"


def _time(record: Record, place: str, method: str, every: bool) -> str:
    points = record["curves"].get(place, {}).get(method)
    if not points:
        return ""
    seconds = np.mean([one["allocation_s"] for one in points])
    return f"{seconds / (record['features'][place] if every else 1):.3f}"
