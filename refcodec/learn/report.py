"""The report of a plan: its results as CSV, tables in Markdown, and the plot of error over size."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refcodec.files import atomic_file
from refcodec.learn.plan import Plan
from refcodec.learn.plots import draw_curves

__all__ = ["Point", "points_of", "tables_of", "write_report"]


@dataclass(frozen=True)
class Point:
    """A way to store features: its size and the error that it leaves, means over seeds.

    curve, label   : its name, and that of the point: ``quantised``, ``bins 16``. Features of ``learned`` can
                     be decoded one by one; the others of one unit are decoded together.
    size           : bytes of a feature.
    share          : of the size that zlib makes of the features without a bottleneck; None if not measured.
    error          : of the task on test data; ``spread`` its standard deviation over seeds.
    training_error : None for other ways to store the features of the network without a bottleneck.
    seeds          : their number.
    """

    curve: str
    label: str
    size: float
    share: float | None
    error: float
    spread: float
    training_error: float | None
    seeds: int


def points_of(results: Sequence[dict[str, Any]]) -> list[Point]:
    """The points of results, as of `refcodec.learn.run.Session.train`, over all seeds."""
    found: dict[tuple[str, str], list[tuple[float, float, float | None]]] = defaultdict(list)
    zlib = [
        one["bytes"]
        for result in results
        for one in result.get("baselines", [])
        if one["coder"] == "zlib"
    ]
    for result in sorted(results, key=lambda one: one["lambda"]):
        if result["lambda"] > 0:
            errors = result["error"], result["training_error"]
            for curve, key in (("learned", "bytes"), ("learned, joint", "joint_bytes")):
                if key in result:  # there is no joint file under a hyperprior
                    found[curve, f"lambda {result['lambda']:g}"].append((result[key], *errors))
        elif result.get("baselines") is None:
            size = 4.0 * float(np.prod(result["shape"]))
            found["float32", ""].append((size, result["error"], result["training_error"]))
        for one in result.get("baselines", []):
            label = ", ".join(f"{name} {value:g}" for name, value in one["options"].items())
            own = result["training_error"] if one["coder"] == "zlib" else None
            found[one["coder"], label].append((one["bytes"], one["error"], own))
    return [_point(*key, rows, zlib) for key, rows in found.items()]


def _point(
    curve: str, label: str, rows: list[tuple[float, float, float | None]], zlib: list[float]
) -> Point:
    sizes, errors, training = zip(*rows, strict=True)
    known = [one for one in training if one is not None]
    return Point(
        curve,
        label,
        float(np.mean(sizes)),
        float(np.mean(sizes) / np.mean(zlib)) if zlib else None,
        float(np.mean(errors)),
        float(np.std(errors, ddof=1)) if len(errors) > 1 else 0.0,
        float(np.mean(known)) if known else None,
        len(rows),
    )


def tables_of(plan: Plan, results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Tables in Markdown: all points, and the probes."""
    measures = results[0]["measures"]
    yield f"## {plan.title}\n"
    yield f"| | | bytes a feature | of zlib's | {measures} | in training |"
    yield "| --- | --- | --: | --: | --: | --: |"
    for one in points_of(results):
        share = "" if one.share is None else f"{one.share:.3%}"
        spread = f" ± {one.spread:.4f}" if one.seeds > 1 else ""
        training = "" if one.training_error is None else f"{one.training_error:.4f}"
        yield (
            f"| {one.curve} | {one.label} | {one.size:,.2f} | {share} | {one.error:.4f}{spread} | "
            f"{training} |"
        )
    if plan.probes:
        yield "\n## Linear probes on decoded features\n"
        yield "| | " + " | ".join(f"{one.name}, {one.measures}" for one in plan.probes) + " |"
        yield "| --- | " + " | ".join("--:" for _ in plan.probes) + " |"
        for result in sorted(results, key=lambda one: (one["lambda"], one["seed"])):
            own = " | ".join(f"{result['probes'][one.name]:.4f}" for one in plan.probes)
            yield f"| lambda {result['lambda']:g}, seed {result['seed']} | {own} |"


def write_report(plan: Plan, results: Sequence[dict[str, Any]], output: Path) -> list[str]:
    """Write the report; returns the names of its files."""
    points = points_of(results)
    text = io.StringIO()
    table = csv.DictWriter(text, list(Point.__dataclass_fields__), lineterminator="\n")
    table.writeheader()
    table.writerows(vars(point) for point in points)
    files = {
        "results.csv": text.getvalue().encode(),
        "tables.md": ("\n".join(tables_of(plan, results)) + "\n").encode(),
    }
    if all(point.share is not None for point in points):
        curves: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for point in points:
            curves[point.curve].append((point.share or 0.0, point.error))
        floor = next((one.error for one in points if one.curve == "zlib"), None)
        drawn = draw_curves(curves, results[0]["measures"], floor)
        files |= {f"curves.{suffix}": data for suffix, data in drawn.items()}
    for name, data in files.items():
        with atomic_file(output / name) as file:
            file.write(data)
    return list(files)
