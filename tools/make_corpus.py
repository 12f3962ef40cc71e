#!/usr/bin/env python3
"""Makes the features from which normative tables are trained: ``tools/corpus/*.dfc``.

    python tools/make_corpus.py            run the networks and write the corpus
    python tools/make_corpus.py --check    decode what is there and compare it with SHA256SUMS

Networks and images are those of ``$REFCODEC_DATA``, else ``../shared/data``. What tables are trained on
never meets what the project measures: here stand ResNet-20, CIFAR training images, and photographs from the
100th on; there ResNet-56, CIFAR test images, and the first 20 photographs.

The committed files were made once; another machine, or another version of torch, rounds some values
otherwise.

Each file is a lossless DFC stream of bfloat16 features. They are float32 features cut to their upper 16
bits, not rounded: signs and exponents are exact, and so are the first 7 bits of the mantissa. The streams'
metadata say what they hold:

=================== ================================================================================
``LAYER-small``     16 CIFAR images, whole maps
``LAYER-large``     crops of the maps of 6 photographs of 224 x 224
``odd``             crops of odd and small sizes of other photographs, all layers
``signed``          conv1 and bn1 of 4 CIFAR images, before ReLU: positive and negative values
``fc``              300 CIFAR images after global pooling, 64 values each
``demo``            the demonstration's network on held-out digits, all its layers: another kind of network
=================== ================================================================================
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import torch

import refcodec
from refcodec.demo.network import Network, load_held_out
from refcodec.files import atomic_file
from refcodec.models import load
from refcodec.models.images import normalise
from refcodec.models.trained import ABSENT, cifar, data_folder, photographs, trained, weights

Floats = npt.NDArray[np.float32]

CORPUS = Path(__file__).resolve().parent / "corpus"
LAYERS = ("conv1", "layer1", "layer2", "layer3")

FIRST_PHOTOGRAPH = 100
"""In name order; the first 20 are for measuring."""

CROPS = {
    "conv1": (16, 64, 64),
    "layer1": (16, 64, 64),
    "layer2": (32, 48, 48),
    "layer3": (64, 28, 28),
}
"""Channels, height and width of the crops of large maps."""

ODD = {
    "conv1": ((13, 13), (14, 21)),
    "layer1": ((14, 14), (5, 33)),
    "layer2": ((14, 14), (13, 13)),
    "layer3": ((7, 7), (1, 9)),
}
"""Heights and widths of the odd crops, one after another from photograph to photograph."""


# --- images ----------------------------------------------------------------------------------------


def cifar_training_images(count: int, first: int) -> Floats:
    """Training images spread evenly over the set, which is sorted by class; N x 3 x 32 x 32.

    first : index of the first one; another keeps two draws apart.
    """
    source = cifar("train")
    step = (len(source) - first) // count
    return as_input([source[first + i * step].image for i in range(count)])


def as_input(pixels: Iterable[npt.NDArray[np.uint8]]) -> Floats:
    """Images H x W x 3 as the input of a network, N x 3 x H x W."""
    inputs: Floats = normalise(np.stack(list(pixels))).numpy()
    return inputs


# --- features --------------------------------------------------------------------------------------


def crop(maps: Floats, index: int, height: int, width: int) -> Floats:
    """A window of maps C x H x W, elsewhere for every index: corners, edges and the middle in turn."""
    rows, columns = maps.shape[1] - height, maps.shape[2] - width
    top, left = (index * 3 % 5) * rows // 4, (index * 2 % 5) * columns // 4
    return maps[:, top : top + height, left : left + width]


def corpus() -> Iterator[tuple[str, str, Floats | list[Floats]]]:
    """Every file of the corpus: its name, what it holds, and its features."""
    network = trained("resnet20")
    small = cifar_training_images(16, 77)
    pictures = as_input(photographs(10, FIRST_PHOTOGRAPH))
    large, others = pictures[:6], pictures[6:]
    odd: list[Floats] = []
    for layer in LAYERS:
        yield f"{layer}-small", f"{layer}; CIFAR-10 training images", network.head(small, layer)
        maps = [network.head(one[None], layer)[0] for one in large]
        crops = [crop(one, i, *CROPS[layer][1:]) for i, one in enumerate(maps)]
        yield f"{layer}-large", f"{layer}; crops of photographs", crops
        for i, one in enumerate(others):
            odd.append(crop(network.head(one[None], layer)[0], i, *ODD[layer][i % 2]))
    yield "odd", "all layers; crops of odd sizes of photographs", odd
    before = load("resnet20", weights("resnet20")).cut("bn1")
    signed = before.head(torch.from_numpy(cifar_training_images(4, 55))).numpy()
    yield "signed", "conv1 and bn1 before ReLU; CIFAR-10 training images", signed
    pooled = network.head(cifar_training_images(300, 33), "pool")
    yield "fc", "after global pooling; CIFAR-10 training images", pooled
    digits = load_held_out()[0][100:]  # the first ones are in the conformance suite
    layers = {"conv": 20, "pool": 20, "fc": 60}
    demo = [
        one for key, count in layers.items() for one in Network.load().head(digits[:count], key)
    ]
    yield "demo", "the demonstration's network, all layers; held-out digits", demo


def truncated(feature: Floats) -> npt.NDArray[Any]:
    """The upper 16 bits of float32 values, as bfloat16."""
    words = np.ascontiguousarray(feature, np.float32).view(np.uint32) >> 16
    return words.astype(np.uint16).view(ml_dtypes.bfloat16)


# --- files -----------------------------------------------------------------------------------------


def write(folder: Path) -> None:
    """Write the corpus and its checksums."""
    folder.mkdir(parents=True, exist_ok=True)
    sums, total = [], 0
    for name, content, features in corpus():
        network = "demonstration" if name == "demo" else "ResNet-20 (CIFAR-10)"
        metadata = {"network": network, "content": content, "made-by": "tools/make_corpus.py"}
        target = io.BytesIO()
        with refcodec.create(target, coder="lzma", shuffle=True, metadata=metadata) as writer:
            for one in features:
                writer.write(truncated(one))
        data = target.getvalue()
        with atomic_file(folder / f"{name}.dfc") as file:
            file.write(data)
        sums.append(f"{hashlib.sha256(data).hexdigest()}  {name}.dfc\n")
        total += len(data)
        print(f"{name:14} {len(features):4} features {len(data):8} bytes", flush=True)
    with atomic_file(folder / "SHA256SUMS") as file:
        file.write("".join(sorted(sums, key=lambda line: line.split()[1])).encode())
    print(f"{total} bytes")


def check(folder: Path) -> list[str]:
    """Errors in the corpus: files that are not those of SHA256SUMS, or do not decode."""
    wrong = []
    lines = (folder / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    expected = {name: digest for digest, name in (line.split() for line in lines)}
    for name in sorted(expected.keys() | {path.name for path in folder.glob("*.dfc")}):
        path = folder / name
        data = path.read_bytes() if path.exists() else b""
        if hashlib.sha256(data).hexdigest() != expected.get(name):
            wrong.append(f"{name} is not the file of SHA256SUMS")
            continue
        with refcodec.open(path) as reader:
            elements = sum(one.size for one in reader)
        print(f"{name:18} {elements:9} elements")
    return wrong


def main() -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="decode and compare, write nothing")
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="folder of the corpus")
    chosen = parser.parse_args()
    if chosen.check:
        wrong = check(chosen.corpus)
        print("\n".join(wrong) or "the corpus is that of SHA256SUMS")
        return 1 if wrong else 0
    if data_folder() is None:
        print(ABSENT, file=sys.stderr)
        return 2
    write(chosen.corpus)
    return 0


if __name__ == "__main__":
    sys.exit(main())
