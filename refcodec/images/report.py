"""The report of a plan for images: a table in Markdown, and the plot of accuracy over bits a pixel."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from refcodec.files import atomic_file, json_value
from refcodec.images.measure import kind_of
from refcodec.images.plan import ImagePlan
from refcodec.images.plots import draw_accuracy

__all__ = ["tables_of", "write_report"]


def tables_of(plan: ImagePlan, results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A table in Markdown: accuracies by bits a pixel."""
    yield f"## {plan.title}\n"
    yield "| lambda | codec | bits a pixel | PSNR, dB | from latents | from decoded images | from images |"
    yield "| --: | --- | --: | --: | --: | --: | --: |"
    for one in results:
        accuracy = one["accuracy"]
        cells = [
            f"{accuracy[name]:.4f}" if name in accuracy else ""
            for name in ("latents", "decoded images", "images")
        ]
        yield (
            f"| {one['lambda']:g} | {kind_of(one)} | {one['bits']:.4f} | {one['psnr']:.2f} | "
            f"{' | '.join(cells)} |"
        )


def write_report(plan: ImagePlan, results: Sequence[dict[str, Any]], output: Path) -> list[str]:
    """Write table and plot; returns the names of the files."""
    files = {
        "tables.md": ("\n".join(tables_of(plan, results)) + "\n").encode(),
        "results.json": json.dumps(json_value(list(results)), indent=1).encode(),
        **{f"accuracy.{suffix}": data for suffix, data in draw_accuracy(results).items()},
    }
    for name, data in files.items():
        with atomic_file(output / name) as file:
            file.write(data)
    return list(files)
