"""Tables and plots of compressible features, for docs/results/learned.rst."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from page import fill, table
from record import Record

from refcodec.files import atomic_file
from refcodec.learn.plots import draw_curves
from refcodec.learn.report import Point, points_of

Result = dict[str, Any]

_T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""Quantiles of Student's distribution for intervals of 95 %, by the number of values."""


def render(record: Record, docs: Path) -> None:
    """Fill the page, and draw the plots."""
    parts: dict[str, str] = {}
    plans = {
        name.removeprefix("cifar10-"): plan["results"] for name, plan in record["plans"].items()
    }
    for name, results in plans.items():
        points = points_of(results)
        parts[f"{name} learned"] = learned(results)
        parts[f"{name} others"] = others(points)
        if not name.endswith("-tuned"):
            parts[f"{name} probes"] = probes(results)
        if "-" not in name:
            without = [one for one in results if not one["lambda"]]
            _draw(points, _mean(without, "error"), docs / "images" / f"learned-{name}.png")
    parts["effect"] = effect(plans["pooled"])
    parts["distance"] = distance(plans["pooled"])
    page = docs / "results" / "learned.rst"
    wanted = set(re.findall(r"^\.\. generated (.+)$", page.read_text(), re.MULTILINE))
    fill(page, {name: text for name, text in parts.items() if name in wanted})


def _draw(points: Iterable[Point], floor: float, path: Path) -> None:
    curves: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for point in points:
        curves[point.curve].append((point.share or 0.0, point.error))
    with atomic_file(path) as file:
        file.write(draw_curves(curves, "top-1 error", floor)["png"])


def _by_lambda(results: Iterable[Result]) -> dict[float, list[Result]]:
    found: dict[float, list[Result]] = defaultdict(list)
    for one in results:
        found[one["lambda"]].append(one)
    return dict(sorted(found.items()))


def _mean(results: Iterable[Result], key: str) -> float:
    return float(np.mean([one[key] for one in results]))


def _percent(results: list[Result], key: str) -> str:
    values = [100 * one[key] for one in results]
    spread = f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    return f"{np.mean(values):.2f}{spread}"


def learned(results: list[Result]) -> str:
    """Sizes and errors with a bottleneck, and without one."""
    heads = [
        "lambda",
        "seeds",
        "bytes",
        "joint",
        "of zlib's",
        "channels",
        "error, %",
        "training, %",
    ]
    zlib = _zlib(results)
    rows = []
    for trade, own in _by_lambda(results).items():
        cells = ["none", str(len(own)), f"{zlib:,.1f} (zlib)", "", "100 %", ""]
        if trade:
            joint = _mean(own, "joint_bytes")
            used = "/".join(str(one["used_channels"]) for one in own)
            size = f"{_mean(own, 'bytes'):.3f}"
            share = f"{joint / zlib:.3%}".replace("%", " %")
            cells = [f"{trade:g}", str(len(own)), size, f"{joint:.3f}", share, used]
        rows.append([*cells, _percent(own, "error"), _percent(own, "training_error")])
    return table(heads, rows)


def _zlib(results: list[Result]) -> float:
    return float(
        np.mean(
            [
                point["bytes"]
                for result in results
                for point in result.get("baselines", [])
                if point["coder"] == "zlib"
            ]
        )
    )


def others(points: Iterable[Point]) -> str:
    """Sizes and errors of other ways to store the features of the network without a bottleneck."""
    rows = [
        [
            one.curve,
            one.label,
            f"{one.size:,.1f}",
            f"{one.share or 0:.2%}".replace("%", " %"),
            f"{100 * one.error:.2f}",
        ]
        for one in points
        if not one.curve.startswith("learned")
    ]
    return table(["coder", "", "bytes", "of zlib's", "error, %"], rows)


def probes(results: list[Result]) -> str:
    """Results of the linear probes, means over seeds."""
    names = list(results[0]["probes"])
    rows = []
    for trade, own in _by_lambda(results).items():
        values = [f"{np.mean([one['probes'][name] for one in own]):.3f}" for name in names]
        rows.append([f"{trade:g}" if trade else "none", *values])
    return table(["lambda", *names], rows)


def effect(results: list[Result]) -> str:
    """Change of the error by the bottleneck, over pairs of one seed, with an interval of 95 %."""
    by_lambda = _by_lambda(results)
    without = {one["seed"]: one for one in by_lambda.pop(0.0)}
    rows = []
    for trade, own in by_lambda.items():
        cells = [f"{trade:g}"]
        for key in ("error", "training_error"):
            changes = [100 * (one[key] - without[one["seed"]][key]) for one in own]
            mean = float(np.mean(changes))
            cells.append(_signed(mean))
            if key == "error" and len(changes) in _T95:
                half = _T95[len(changes)] * float(np.std(changes, ddof=1)) / math.sqrt(len(changes))
                cells.append(f"{_signed(mean - half)} to {_signed(mean + half)}")
            elif key == "error":
                cells.append("one seed")
        rows.append(cells)
    return table(["lambda", "error, points", "95 % interval", "training error, points"], rows)


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def distance(results: list[Result]) -> str:
    """Bits of an image in the joint file, from those of the class up."""
    heads = ["lambda", "log2(10)", "whole vectors", "factorised", "coded", "whole file", "distinct"]
    rows = []
    for trade, own in _by_lambda(results).items():
        if trade:
            coded = 8 * np.mean([_coded(one["units"]) for one in own])
            rows.append(
                [
                    f"{trade:g}",
                    f"{math.log2(10):.2f}",
                    f"{_mean(own, 'entropy'):.2f}",
                    f"{_mean(own, 'ideal_bits'):.2f}",
                    f"{coded:.2f}",
                    f"{8 * _mean(own, 'joint_bytes'):.2f}",
                    f"{_mean(own, 'distinct'):,.0f}",
                ]
            )
    return table(heads, rows)


def _coded(units: dict[str, float]) -> float:
    """Bytes of coded units alone."""
    return sum(size for name, size in units.items() if name.startswith("coded_feature"))
