"""Train the native coder's initial states and weights: refcodec/tables/native_model.txt (clause 8.3.7.3).

    python tools/train_tables.py             train and write the tables
    python tools/train_tables.py --check     train, and compare with the tables that are there

Reproducible bit for bit: the features of ``tools/corpus`` become 12-bit samples; transforms of integers are
exact; levels are chosen by single IEEE operations; the rest is the coder's own integer kernels. The corpus
holds features of ResNet-20 and of the demonstration's network: neither ResNet-56, nor CIFAR test images, nor
the first 20 photographs. Its SHA256SUMS is checked before, and named in the tables.

Each round chooses levels by the rates of the round before. States are what one pass over all features
leaves in them, their counts cut so that they keep learning. Weights are then trained in a second pass, in
which every feature begins with those states, as it will in use.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from construct import Container

import refcodec
from refcodec.coders.native import decisions
from refcodec.coders.native.encoder.advice import NO_ADVICE
from refcodec.coders.native.encoder.choice import Choice
from refcodec.coders.native.encoder.choose import choose
from refcodec.coders.native.encoder.forwards import encoding_coder, run_forwards
from refcodec.coders.native.encoder.rates import rate_table
from refcodec.coders.native.encoder.tuning import Tuning
from refcodec.coders.native.head import Bounds, step_sizes
from refcodec.coders.native.payload import Content, Corrections, code_payload
from refcodec.files import atomic_file
from refcodec.syntax.codes import Quantiser
from refcodec.tables import NATIVE_MODEL, format_native_model

CORPUS = Path(__file__).parent / "corpus"
BITS = 12
LARGEST = (1 << BITS) - 1
QPS = (12, 18, 23, 28, 33, 38, 43)
ROUNDS = 2
MOST_SEEN = 24
"""Largest count of an initial state."""

Array = np.ndarray[Any, Any]


class Item(NamedTuple):
    """One feature at one step, ready to be coded."""

    chosen: Choice
    corrections: Corrections


# --- levels from features --------------------------------------------------------------------------


def check_corpus() -> str:
    """Compare the corpus with its SHA256SUMS; returns the SHA-256 of that file."""
    sums = (CORPUS / "SHA256SUMS").read_bytes()
    for line in sums.decode("ascii").splitlines():
        digest, name = line.split()
        if hashlib.sha256((CORPUS / name).read_bytes()).hexdigest() != digest:
            raise SystemExit(f"{name} is not the file that SHA256SUMS names")
    return hashlib.sha256(sums).hexdigest()


def features(qps: Sequence[int] = QPS) -> Iterator[tuple[Array, int, int]]:
    """12-bit samples (int64, C x H x W), QP and largest block, in an order that mixes and never changes."""
    jobs = []
    for path in sorted(CORPUS.glob("*.dfc")):
        with refcodec.open(path) as reader:
            for k, feature in enumerate(reader):
                jobs += [(f"{path.stem} {k} {i}", feature, i + k) for i in range(len(qps))]
    jobs.sort(key=lambda job: hashlib.sha256(job[0].encode()).digest())
    for _, feature, number in jobs:
        values = feature.astype(np.float64)
        values = values if values.ndim == 3 else values[:, None, None]
        low = values.min()
        span = max(values.max() - low, 1e-30)
        samples = np.rint((values - low) * (4095 / span)).astype(np.int64)
        side = max(values.shape[1:])
        block = 0 if side == 1 or number % 9 == 8 else 32 if side > 16 and number % 5 == 4 else 16
        yield samples, qps[number % len(qps)], block


def choose_item(samples: Array, qp: int, block: int, rates: Array) -> Item:
    """The encoder's choice for a feature, with given rates."""
    fps = Container(channels=len(samples), bits=BITS, quantiser=Quantiser.UNIFORM)
    steps = step_sizes(fps, Container(qp=qp, qp_eighths=0, qp_delta=None))
    tuning = Tuning(restoration=2 if samples[0].size >= 16 else 0)
    chosen = choose(samples, steps, tuning, NO_ADVICE, block, 0, rates)
    _, coded = run_forwards(samples, chosen, steps, Bounds(0, LARGEST))
    return Item(chosen, coded.corrections)


# --- tables from levels ----------------------------------------------------------------------------


def code(item: Item, states: Array, weights: Array) -> int:
    """Code one item, adapting states and weights; returns its size in bytes."""
    head, levels, sizes = item.chosen.head, item.chosen.levels.copy(), item.chosen.sizes.copy()
    output = np.zeros(8 * levels.size + 4096, np.uint8)
    steps = np.full(len(levels), 1 << 20)  # of no consequence for what is coded
    coded = code_payload(
        encoding_coder(), output, Content(head, levels, sizes), steps, Bounds(0, LARGEST),
        corrections=lambda samples: item.corrections, model=(states, weights),
    )  # fmt: skip
    return coded.size


def train() -> tuple[Array, Array]:
    """Train the initial states and weights from the corpus alone."""
    states = np.full(decisions.STATES, 1 << 29, np.int32)  # probability 1/2, nothing seen
    weights = np.full(decisions.WEIGHT_SETS * decisions.INPUTS, 22938, np.int64)  # 0.35
    for number in range(ROUNDS):
        rates = rate_table(states)
        items = [choose_item(*job, rates) for job in features()]
        states = np.full(decisions.STATES, 1 << 29, np.int32)
        before = sum(code(item, states, weights) for item in items)
        seen = np.minimum(states & 0xFF, MOST_SEEN)
        states = ((states >> 18 << 18) | (1 << 17) * (seen > 0) | seen).astype(np.int32)
        after = sum(code(item, states.copy(), weights) for item in items)
        print(f"round {number + 1}: {len(items)} items, {before} bytes, then {after}", flush=True)
    return states, weights


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--check", action="store_true", help="compare with the tables that are there"
    )
    arguments = parser.parse_args()
    digest = check_corpus()
    text = format_native_model(*train(), digest)
    if arguments.check:
        same = NATIVE_MODEL.read_text(encoding="ascii") == text
        print("the tables are as trained" if same else "the tables DIFFER from what was trained")
        return 0 if same else 1
    with atomic_file(NATIVE_MODEL) as file:
        file.write(text.encode("ascii"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
