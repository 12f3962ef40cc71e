"""Records of measured experiments: their command lines, the machine, and results kept as they come."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from refcodec.evaluate.machine import describe_machine, load_average
from refcodec.files import atomic_file

__all__ = ["DOCS", "Record", "command", "load", "machine", "parser", "save"]

Record = dict[str, Any]

DOCS = Path(__file__).resolve().parents[2] / "docs"


def parser(
    text: str, name: str, layers: Sequence[str], features: int | None = None
) -> argparse.ArgumentParser:
    """The options that every experiment has: --record, --layers, --features, --resume and --render.

    name     : of its record in ``docs/results``.
    layers   : where it measures.
    features : how many of a set it takes; None for all.
    """
    found = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = found.add_argument
    record = DOCS / "results" / f"{name}.json"
    add("--record", type=Path, default=record, help="where the run is recorded")
    add("--layers", nargs="+", choices=layers, default=[*layers])
    add("--features", type=int, default=features, help="take only so many of a set: a trial")
    add("--resume", action="store_true", help="keep what the record has already")
    add(
        "--render", action="store_true", help="measure nothing: make page and plots from the record"
    )
    return found


def load(options: argparse.Namespace, empty: Record) -> Record:
    """The record to go on with, or to render; an empty one where a run begins."""
    if options.render or (options.resume and options.record.exists()):
        found: Record = json.loads(options.record.read_text())
        return found
    return empty


def save(record: Record, path: Path) -> None:
    """Write a record."""
    with atomic_file(path) as file:
        file.write(json.dumps(record, indent=1).encode() + b"\n")


def machine() -> Record:
    """Environment that the numbers of a run depend on."""
    found = describe_machine(("numpy", "numba", "torch", "imageio-ffmpeg"))
    return found | {"load": load_average()}


def command() -> str:
    """The command line, without folders of this machine."""
    words = [Path(word).name if "/" in word else word for word in sys.argv[1:]]
    return " ".join([f"python tools/bench/{Path(sys.argv[0]).name}", *words])
