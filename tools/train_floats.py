#!/usr/bin/env python3
"""Train the initial states and weights of the native lossless coder: ``refcodec/tables/floats.txt``.

    python tools/train_floats.py            train and write the table
    python tools/train_floats.py --check    train and compare; exit 1 where the table is another

Training is coding: the encoder's own kernel runs over the corpus (``tools/corpus``, whose files must be
those of SHA256SUMS) with states and weights that it keeps from feature to feature. All of it is integer
arithmetic in a fixed order, so that every machine writes the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import refcodec
from refcodec.coders.native_lossless.encoder.context import encode_floats
from refcodec.coders.native_lossless.encoder.survey import survey_floats
from refcodec.coders.native_lossless.models import STATES, WEIGHTS
from refcodec.coders.native_lossless.raw_bits import WORK_SIZE
from refcodec.entropy.arithmetic import start_encoding
from refcodec.files import atomic_file

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT / "tools" / "corpus"
TABLE = ROOT / "refcodec" / "tables" / "floats.txt"

KIND = np.array([7, 15])
"""Mantissa bits and sign bit of bfloat16, which the corpus is made of."""

PASSES = 2
FIRST_WEIGHT = 24000
STRIDE = 379
"""A prime that is not a factor of the number of features: visits them in a mixed order."""

COUNT_LIMIT = 30
"""Largest initial count of a state, which limits the influence of the training."""

_TITLE = """\
# Initial states and weights of the lossless float coder (8.3.8.2), made by tools/train_floats.py.
# States, 64 times the probability of a 1 in units of 2^-12, plus the count; then weights in units of 2^-16.
"""


def features(folder: Path) -> list[npt.NDArray[np.int32]]:
    """The corpus as bit patterns, int32, C x H x W each, in a fixed mixed order.

    Raises SystemExit for a file that is not the one of SHA256SUMS.
    """
    found = []
    for line in (folder / "SHA256SUMS").read_text(encoding="ascii").splitlines():
        digest, name = line.split()
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise SystemExit(f"{folder / name} is not the file of SHA256SUMS")
        with refcodec.open(folder / name) as reader:
            found += [as_words(one) for one in reader]
    return [found[i * STRIDE % len(found)] for i in range(len(found))]


def as_words(feature: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """A bfloat16 feature as bit patterns, int32, C x H x W."""
    words = feature.view(np.uint16).astype(np.int32)
    return words.reshape((*words.shape, 1, 1)[:3])


def train(
    corpus: list[npt.NDArray[np.int32]],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """States and weights after coding the whole corpus."""
    states, weights = np.full(STATES, (1 << 21) << 8, np.int32), np.full(WEIGHTS, FIRST_WEIGHT)
    for _ in range(PASSES):
        for one in corpus:
            words, shape = one.reshape(-1), np.array(one.shape, np.int64)
            work, header = np.zeros(WORK_SIZE, np.int64), np.zeros(4, np.int64)
            data, raw = np.empty(4 * words.size + 64, np.uint8), np.empty(2 * words.size, np.uint8)
            start_encoding(work)
            survey_floats(words, shape, KIND, header)
            encode_floats(work, data, raw, words, shape, KIND, header, states, weights)
    return states, weights


def as_text(states: npt.NDArray[np.int32], weights: npt.NDArray[np.int64]) -> str:
    """The table as it is committed."""
    numbers = [(s >> 18) << 6 | min(s & 0xFF, COUNT_LIMIT) for s in states.tolist()]
    numbers += weights.tolist()
    lines = [" ".join(map(str, numbers[i : i + 16])) for i in range(0, len(numbers), 16)]
    return _TITLE + "\n".join(lines) + "\n"


def main() -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 on differences")
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="folder of the corpus")
    parser.add_argument("--output", type=Path, default=TABLE, help="the table")
    chosen = parser.parse_args()
    text = as_text(*train(features(chosen.corpus)))
    if chosen.check:
        same = chosen.output.read_text(encoding="ascii") == text
        print(f"{chosen.output} is {'' if same else 'not '}what training gives")
        return 0 if same else 1
    with atomic_file(chosen.output) as file:
        file.write(text.encode("ascii"))
    print(f"wrote {chosen.output}: {len(text)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
