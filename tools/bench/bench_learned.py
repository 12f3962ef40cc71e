"""Gathers the trainings of compressible features into a record, and makes page and plots of it.

    refcodec train tools/training/cifar10-pooled.toml --data ../shared/data --output R/cifar10-pooled-results
    python tools/bench/bench_learned.py --results R

and likewise for the other plans of PLANS; those without results are left out.

The record, ``docs/results/learned.json``, holds every result; ``--render`` makes page and plots from it
alone. The plots are ``docs/images/learned-*.png``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import learned_page
import numpy as np
from record import DOCS, Record

import refcodec
from refcodec.evaluate.machine import describe_machine
from refcodec.files import atomic_file
from refcodec.learn.reading import read

PLANS = (
    "cifar10-pooled",
    "cifar10-maps",
    "cifar10-maps-whole",
    "cifar10-pooled-tuned",
    "cifar10-maps-tuned",
)

TRAININGS = Path(__file__).resolve().parents[1] / "training"


def main() -> None:
    """Gather the results of the plans, and write record, page and plots."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--results", type=Path, help="folder of the folders of results")
    options.add_argument("--render", action="store_true", help="from the record alone")
    options.add_argument("--record", type=Path, default=DOCS / "results" / "learned.json")
    given = options.parse_args()
    if given.render:
        record: Record = json.loads(given.record.read_text())
    else:
        record = {
            "machine": describe_machine(["numpy", "torch"]),
            "plans": {
                name: gather(name, folder)
                for name in PLANS
                if (folder := given.results / f"{name}-results").is_dir()
            },
        }
        with atomic_file(given.record) as file:
            file.write((json.dumps(record, indent=1) + "\n").encode())
    learned_page.render(record, DOCS)


def gather(name: str, folder: Path) -> Record:
    """The results of a plan, with what its files of features say."""
    plan = read(TRAININGS / f"{name}.toml")
    results = []
    for path in sorted(folder.glob("lambda-*/result.json")):
        result = json.loads(path.read_text())
        if result["lambda"] > 0 and not name.endswith("-tuned"):
            result |= look(path.parent)
        results.append(result)
    return {
        "title": plan.title,
        "steps": plan.training.steps,
        "batch": plan.training.batch,
        "results": sorted(results, key=lambda one: (one["lambda"], one["seed"])),
    }


def look(folder: Path) -> dict[str, Any]:
    """Entropy of whole features, parts of the files, and the speed of decoding."""
    found: dict[str, Any] = {}
    for key, name in (("speed", "features.dfc"), ("joint_speed", "joint.dfc")):
        decode(folder / name)  # compiles
        began = time.perf_counter()
        features = decode(folder / name)
        found[key] = len(features) / (time.perf_counter() - began)
    kinds = Counter(one.tobytes() for one in features)
    shares = np.array(list(kinds.values())) / len(features)
    found["distinct"] = len(kinds)
    found["entropy"] = float(-(shares * np.log2(shares)).sum())
    units: Counter[str] = Counter()
    for unit in refcodec.inspect(folder / "joint.dfc"):
        units[unit.name] += unit.size
    found["units"] = {name: size / len(features) for name, size in units.items()}
    return found


def decode(path: Path) -> Any:
    """All features of a file."""
    with refcodec.open(path) as reader:
        return np.stack(list(reader))


if __name__ == "__main__":
    main()
