#!/usr/bin/env python3
"""Make the fidelity vectors, or check them.

    python tools/fidelity/make_fidelity.py             write the file of expected values, and streams that
    lack python tools/fidelity/make_fidelity.py --check     compare with what is there, write nothing

Expected values come from exact arithmetic (``exact_metrics``, ``exact_tail``), not from the functions of
refcodec that they verify. Streams are decoded by refcodec, and their features pinned by hash.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from importlib.resources import files
from math import prod
from pathlib import Path
from typing import Any

import exact_metrics as exact
import numpy as np
from exact_tail import exact_logits
from fidelity_cases import CASES, Case
from fidelity_tails import TAILS, Tail

import refcodec
from refcodec.demo.network import load_held_out
from refcodec.hashes import little_endian_bytes

ROOT = Path(__file__).resolve().parents[2] / "bitstreams"
PLACE = ROOT / "fidelity"
DOCUMENT = PLACE / "fidelity.json"

_BYTES = {"float32": 4, "float16": 2}
_MARGIN = Fraction(1, 20)
"""Least distance of the two highest logits, so that no sum in float32 changes a decision."""


def _arrays(inputs: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(inputs[name]["values"] for name in names)


def _frontier(curve: list[list[float]]) -> list[list[float]]:
    """The points of a curve that no point of lower or equal rate reaches."""
    kept: list[list[float]] = []
    for point in curve:
        if not kept or point[1] > kept[-1][1]:
            kept.append(point)
    return kept


EXACT: dict[str, Callable[[dict[str, Any]], Any]] = {
    "compression_rate": lambda x: Fraction(x["coded_bytes"], prod(x["shape"]) * _BYTES[x["dtype"]]),
    "bits_per_element": lambda x: Fraction(8 * x["coded_bytes"], x["elements"]),
    "fidelity": lambda x: exact.fidelity(*_arrays(x, "outputs", "reference")),
    "top1_accuracy": lambda x: exact.top_accuracy(x["outputs"]["values"], x["labels"], 1),
    "top_accuracy": lambda x: exact.top_accuracy(x["outputs"]["values"], x["labels"], x["k"]),
    "mean_iou": lambda x: exact.mean_iou(*_arrays(x, "outputs", "masks")),
    "mean_squared_error": lambda x: exact.mean_squared_error(*_arrays(x, "decoded", "original")),
    "max_error": lambda x: exact.max_error(*_arrays(x, "decoded", "original")),
    "signal_to_noise": lambda x: exact.signal_to_noise(*_arrays(x, "decoded", "original")),
    "cosine_similarity": lambda x: exact.cosine_similarity(*_arrays(x, "decoded", "original")),
    "algorithm1_qps": lambda x: exact.algorithm1_qps(x["sensitivity"], x["qp_base"], x["qp_range"]),
    "bd_rate": lambda x: exact.bd_rate(_frontier(x["anchor"]), _frontier(x["other"])),
    "bd_quality": lambda x: exact.bd_quality(_frontier(x["anchor"]), _frontier(x["other"])),
}
"""The exact value of each metric, from the inputs of a vector."""


def plain(value: Any) -> Any:
    """An exact value as JSON takes it: the nearest binary64, or ``inf`` and ``-inf``."""
    if isinstance(value, Decimal) and value.is_infinite():
        return "inf" if value > 0 else "-inf"
    return float(value) if isinstance(value, Fraction | Decimal) else value


def metric_entry(case: Case) -> dict[str, Any]:
    """The entry of a metric on arrays."""
    entry: dict[str, Any] = {
        "id": f"DFC-F-{case.number:04d}",
        "name": case.name,
        "metric": case.metric,
    }
    entry |= {"source": case.source, "purpose": case.purpose, "inputs": case.inputs}
    if case.exact:
        entry["exact"] = case.exact
    value = plain(EXACT[case.metric](case.inputs))
    tolerance = 0 if isinstance(value, list) else case.tolerance
    return entry | {"expected": {"value": value}, "tolerance": {"value": tolerance}}


def tail_entry(tail: Tail) -> dict[str, Any]:
    """The entry of the network's tail on a stream, which is encoded if it is not there."""
    stream = PLACE / f"{tail.name}.dfc"
    with np.load(ROOT / "features.npz", allow_pickle=False) as arrays:
        originals = arrays[tail.layer]
    if not stream.exists():
        with refcodec.create(stream, feature_type=tail.layer, **tail.config) as writer:
            for one in originals:
                writer.write(one)
    with refcodec.open(stream) as reader:
        decoded = np.stack(list(reader))
    weights_file = files("refcodec.demo") / "weights.npz"
    with weights_file.open("rb") as file, np.load(file, allow_pickle=False) as weights:
        logits = [exact_logits(weights, one, tail.layer) for one in decoded]
        reference = [exact_logits(weights, one, tail.layer) for one in originals]
    for row in (*logits, *reference):
        last, best = sorted(row)[-2:]
        assert best - last > _MARGIN, f"{tail.name}: two classes are nearly equal"
    labels = load_held_out()[1][: len(decoded)].tolist()
    size = stream.stat().st_size
    found, original = decoded.tolist(), originals.tolist()
    expected = {
        "classes": [row.index(max(row)) for row in logits],
        "original_classes": [row.index(max(row)) for row in reference],
        "fidelity": exact.fidelity(logits, reference),
        "top1_accuracy": exact.top_accuracy(logits, labels, 1),
        "output_snr_db": exact.signal_to_noise(logits, reference),
        "feature_snr_db": exact.signal_to_noise(found, original),
        "mean_squared_error": exact.mean_squared_error(found, original),
        "compression_rate": Fraction(size, originals.nbytes),
        "bits_per_element": Fraction(8 * size, originals.size),
    }
    return {
        "id": f"DFC-F-{tail.number:04d}",
        "name": tail.name,
        "metric": "tail",
        "source": "the demonstration network, refcodec.demo.network",
        "purpose": tail.purpose,
        "inputs": {
            "stream": f"fidelity/{stream.name}",
            "sha256": _sha256(stream.read_bytes()),
            "features_sha256": _sha256(little_endian_bytes(decoded)),
            "originals": {"file": "features.npz", "array": tail.layer},
            "layer": tail.layer,
            "labels": labels,
            "configuration": tail.config,
        },
        "expected": {name: plain(value) for name, value in expected.items()},
        "tolerance": {
            **dict.fromkeys(expected, 1e-12),
            **dict.fromkeys(("classes", "original_classes"), 0),
            **dict.fromkeys(("feature_snr_db", "mean_squared_error"), 1e-9),
            "output_snr_db": 1e-3,  # the logits are sums in float32
        },
    }


def document() -> str:
    """The whole file."""
    weights = (files("refcodec.demo") / "weights.npz").read_bytes()
    content = {
        "version": "1.0",
        "network": {"file": "refcodec/demo/weights.npz", "sha256": _sha256(weights)},
        "vectors": [*map(metric_entry, CASES), *map(tail_entry, TAILS)],
    }
    return json.dumps(content, indent=1) + "\n"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main() -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 on differences")
    chosen = parser.parse_args()
    if chosen.check:
        same = DOCUMENT.read_text(encoding="utf-8") == document()
        print(
            "the fidelity vectors are" + (" " if same else " NOT ") + "those of their definitions"
        )
        return 0 if same else 1
    PLACE.mkdir(exist_ok=True)
    DOCUMENT.write_text(document(), encoding="utf-8")
    print(f"{len(CASES) + len(TAILS)} vectors in {DOCUMENT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
