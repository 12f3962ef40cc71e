"""Gathers a training of image codecs and classifiers into a record, and makes page and plot of it.

    refcodec train tools/training/cifar10-images.toml --data ../shared/data --output R/cifar10-images-results
    python tools/bench/bench_images.py --results R/cifar10-images-results

The record, ``docs/results/images.json``, holds every result; ``--render`` makes page and plot from it alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from page import fill, table
from record import DOCS, Record, machine

from refcodec.files import atomic_file
from refcodec.images.measure import kind_of
from refcodec.images.plots import draw_accuracy

TRAINING = Path(__file__).resolve().parents[1] / "training" / "cifar10-images.toml"


def main() -> None:
    """Gather the results, and write record, page and plot."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--results", type=Path, help="folder of results")
    options.add_argument("--render", action="store_true", help="from the record alone")
    options.add_argument("--record", type=Path, default=DOCS / "results" / "images.json")
    given = options.parse_args()
    if given.render:
        record: Record = json.loads(given.record.read_text())
    else:
        results = [json.loads(path.read_text()) for path in given.results.glob("*/*/result.json")]
        results.sort(key=lambda one: (one["lambda"], one["task"]))
        record = {"machine": machine(), "results": results}
        with atomic_file(given.record) as file:
            file.write((json.dumps(record, indent=1) + "\n").encode())
    render(record)


def render(record: Record) -> None:
    """Fill the page, and draw the plot."""
    results = record["results"]
    parts = {
        "machine": _machine(record["machine"], results[0]["count"]),
        "accuracy": accuracy(results),
        "work": work(results),
        "conflict": conflict(results),
    }
    fill(DOCS / "results" / "images.rst", parts)
    with atomic_file(DOCS / "images" / "images-accuracy.png") as file:
        file.write(draw_accuracy(results)["png"])


def _machine(found: Record, count: int) -> str:
    return (
        f"The first {count:,} test images, as many of each class. Trained on {found['processor']}, "
        f"{found['cores']} cores, one thread, shared with other work; torch {found['packages']['torch']}."
    )


def accuracy(results: Iterable[Record]) -> str:
    """Accuracy from latents and images, by codec."""

    def rows() -> Iterator[Sequence[str]]:
        for one in results:
            found = one["accuracy"]
            yield (
                f"{one['lambda']:g}",
                kind_of(one),
                f"{one['bits']:.3f}",
                f"{one['psnr']:.2f}",
                *(f"{found[name]:.3f}" for name in ("latents", "decoded images", "images")),
            )

    heads = (
        *("lambda", "codec", "bits a pixel", "PSNR, dB"),
        *("from latents", "from decoded images", "from images"),
    )
    return table(heads, rows())


def work(results: Sequence[Record]) -> str:
    """Multiply-accumulates and milliseconds of an image, by the parts of either way."""
    macs = results[0]["macs"]

    def milliseconds(name: str) -> str:
        values = [one["milliseconds"][name] for one in results]
        return f"{min(values):.2f} to {max(values):.2f}"

    def rows() -> Iterator[Sequence[str]]:
        yield "decode latents", "", milliseconds("latents")
        yield (
            "decode latents, and an image of them",
            f"{macs['synthesis']:,}",
            milliseconds("images"),
        )
        for name in ("classifier of latents", "classifier of images"):
            yield name, f"{macs[name]:,}", milliseconds(name)

    return table(("", "multiply-accumulates", "milliseconds"), rows())


def conflict(results: Iterable[Record]) -> str:
    """Gradients of the codec's loss and of the cross-entropy."""
    seen: dict[float, Record] = {}
    for one in results:
        if one["conflict"]:
            seen.setdefault(one["lambda"], one["conflict"])

    def rows() -> Iterator[Sequence[str]]:
        for trade, one in seen.items():
            ratio = one["codec"] / one["task"]
            yield (
                f"{trade:g}",
                f"{one['codec']:.3g}",
                f"{one['task']:.3g}",
                f"{ratio:.1f}",
                f"{one['cosine']:+.3f}",
            )

    heads = ("lambda", "norm, codec", "norm, cross-entropy", "ratio", "cosine")
    return table(heads, rows())


if __name__ == "__main__":
    main()
