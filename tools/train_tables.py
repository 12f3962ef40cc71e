"""Train the native coder's initial states and weights: refcodec/tables/native_model.txt (clause 8.3.7.3).

    python tools/train_tables.py             train the family of dependent quantisation, write the tables
    python tools/train_tables.py --check     train it, and compare with the tables that are there
    python tools/train_tables.py --all       train all families: the result is another format

The other families were trained by the first encoder of this coder, whose choices differ from today's in some
levels: ``--all`` does as was done then, and no longer gives the same numbers, which the format has fixed.

Reproducible bit for bit: the features of ``tools/corpus`` become 12-bit samples; transforms of integers are
exact; levels are chosen by single IEEE operations; the rest is the coder's own integer kernels. The corpus
holds features of ResNet-20 and of the demonstration's network: neither ResNet-56, nor CIFAR test images, nor
the first 20 photographs. Its SHA256SUMS is checked before, and named in the tables.

Each round chooses levels by the rates of the round before. States are what one pass over all features
leaves in them, their counts cut so that they keep learning. Weights are then trained in a second pass, in
which every feature begins with those states, as it will in use. The family of dependent quantisation is
trained after the others, which it leaves as they are.
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
from refcodec.coders.native.coefficients import DEPENDENT
from refcodec.coders.native.encoder.advice import NO_ADVICE
from refcodec.coders.native.encoder.choice import Choice
from refcodec.coders.native.encoder.choose import choose
from refcodec.coders.native.encoder.forwards import encoding_coder, run_forwards
from refcodec.coders.native.encoder.rates import magnitude_rates, rate_table
from refcodec.coders.native.encoder.tuning import tuning_of
from refcodec.coders.native.head import Bounds, step_sizes
from refcodec.coders.native.payload import Content, Corrections, code_payload
from refcodec.files import atomic_file
from refcodec.syntax.codes import Quantiser
from refcodec.tables import NATIVE_MODEL, format_native_model, native_model

CORPUS = Path(__file__).parent / "corpus"
BITS = 12
LARGEST = (1 << BITS) - 1
QPS = (12, 18, 23, 28, 33, 38, 43)
ROUNDS = 2
MOST_SEEN = 24
"""Largest count of an initial state."""

UNTRAINED = 22938
"""A weight of 0.35, in units of 2^-16."""

UNSEEN = 1 << 29
"""A state of probability 1/2 that has seen nothing."""

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


def choose_item(
    samples: Array, qp: int, block: int, rates: Array, *, dependent: bool = False
) -> Item:
    """The encoder's choice for a feature, with given rates."""
    fps = Container(channels=len(samples), bits=BITS, quantiser=Quantiser.UNIFORM)
    steps = step_sizes(fps, Container(qp=qp, qp_eighths=0, qp_delta=None))
    restoration = "channel" if samples[0].size >= 16 else "off"
    tuning = tuning_of("default", restoration, dependent=dependent)
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


def learn(items: Sequence[Item], states: Array, weights: Array, name: str) -> Array:
    """Train states, then weights, on some items; the weights are changed, the states returned."""
    before = sum(code(item, states, weights) for item in items)
    seen = np.minimum(states & 0xFF, MOST_SEEN)
    states = ((states >> 18 << 18) | (1 << 17) * (seen > 0) | seen).astype(np.int32)
    after = sum(code(item, states.copy(), weights) for item in items)
    print(f"{name}: {len(items)} items, {before} bytes, then {after}", flush=True)
    return states


def train() -> tuple[Array, Array]:
    """Train the initial states and weights of all families but that of dependent quantisation."""
    states = np.full(decisions.STATES, UNSEEN, np.int32)
    weights = np.full(decisions.WEIGHT_SETS * decisions.INPUTS, UNTRAINED, np.int64)
    for number in range(ROUNDS):
        rates = rate_table(states)
        items = [choose_item(*job, rates) for job in features()]
        states = learn(items, np.full_like(states, UNSEEN), weights, f"round {number + 1}")
    return states, weights


def train_dependent(states: Array, weights: Array) -> tuple[Array, Array]:
    """Train the family of dependent quantisation; the others stay as they are."""
    own_states, own_weights = _slices(DEPENDENT)
    states, weights = states.copy(), weights.copy()
    states[own_states], weights[own_weights] = UNSEEN, UNTRAINED
    for number in range(ROUNDS):
        rates = magnitude_rates(states)
        items = [choose_item(*job, rates, dependent=True) for job in features() if job[2] > 0]
        begun, adapted = states.copy(), weights.copy()
        begun[own_states] = UNSEEN
        name = f"dependent quantisation, round {number + 1}"
        states[own_states] = learn(items, begun, adapted, name)[own_states]
        weights[own_weights] = adapted[own_weights]
    return states, weights


def _slices(family: decisions.Family) -> tuple[slice, slice]:
    """The places of a family among the states, and among the weights."""
    states = decisions.INPUTS * family.flags * family.contexts
    weights = decisions.INPUTS * family.flags * family.sets
    first = decisions.INPUTS * family.first_set
    return (
        slice(family.first_state, family.first_state + states),
        slice(first, first + weights),
    )


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--check", action="store_true", help="compare with the tables that are there"
    )
    parser.add_argument("--all", action="store_true", help="train all families anew")
    arguments = parser.parse_args()
    digest = check_corpus()
    states, weights = train() if arguments.all else native_model()
    text = format_native_model(*train_dependent(states, weights), digest)
    if arguments.check:
        same = NATIVE_MODEL.read_text(encoding="ascii") == text
        print("the tables are as trained" if same else "the tables DIFFER from what was trained")
        return 0 if same else 1
    with atomic_file(NATIVE_MODEL) as file:
        file.write(text.encode("ascii"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
