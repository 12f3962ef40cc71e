"""Fills the page of results on the allocation of bits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from features import LAYERS
from page import fill, percent, table
from record import Record


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
    """BD-rates against one QP for all channels, one row per method."""
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
    """Time of each method: seconds per feature, or once for all."""

    def rows() -> Iterator[list[str]]:
        for method, name in (
            ("literal", "HEVC: Algorithm 1 literally, per feature"),
            ("algorithm1", "HEVC: algorithm1, per feature"),
            ("selection", "HEVC: selection, per feature"),
        ):
            found = (record["literal_s"][f"hevc/{layer}/small"][method] for layer in LAYERS)
            yield [name, *(f"{seconds:.3f}" for seconds in found)]
        for coder, name in (("hevc", "HEVC"), ("native", "native")):
            for method in ("algorithm1, calibrated", "gradient, calibrated"):
                places = (record["curves"][f"{coder}/{layer}/small"][method] for layer in LAYERS)
                yield [f"{name}: {method}, once", *(f"{_mean(points):.2f}" for points in places)]

    return table(["seconds", *LAYERS], rows())


def _mean(points: list[Record]) -> float:
    return float(np.mean([one["allocation_s"] for one in points]))
