#!/usr/bin/env python3
"""Makes the features from which normative tables are trained: ``tools/corpus/*.dfc``.

    python tools/make_corpus.py            run the networks and write the corpus
    python tools/make_corpus.py --check    decode what is there and compare it with SHA256SUMS

Networks and images are those of ``$REFCODEC_DATA``, else ``../shared/data``. What tables are trained on
never meets what the project measures: here stand ResNet-20, CIFAR training images, and photographs from the
100th on; there ResNet-56, CIFAR test images, and the first 20 photographs.

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
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

import real  # noqa: E402  (the networks in numpy, and where the data lie)

import refcodec  # noqa: E402
from refcodec.demo.network import Network, load_held_out  # noqa: E402
from refcodec.files import atomic_file  # noqa: E402

Floats = npt.NDArray[np.float32]

CORPUS = ROOT / "tools" / "corpus"
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
    from PIL import Image

    folder = real.data_folder()
    assert folder is not None
    with np.load(folder / "cifar10" / "train.npz", allow_pickle=False) as archive:
        jpeg, offsets = archive["jpeg"], archive["offsets"]
    step = (len(offsets) - 1 - first) // count
    chosen = [first + i * step for i in range(count)]
    files = (io.BytesIO(jpeg[offsets[i] : offsets[i + 1]].tobytes()) for i in chosen)
    return real.normalise(np.stack([np.asarray(Image.open(file)) for file in files]))


def photographs(count: int, first: int) -> Floats:
    """Photographs in name order, N x 3 x 224 x 224."""
    return real.normalise(np.stack(list(islice(real.photographs(first + count), first, None))))


# --- features --------------------------------------------------------------------------------------


def crop(maps: Floats, index: int, height: int, width: int) -> Floats:
    """A window of maps C x H x W, elsewhere for every index: corners, edges and the middle in turn."""
    rows, columns = maps.shape[1] - height, maps.shape[2] - width
    top, left = (index * 3 % 5) * rows // 4, (index * 2 % 5) * columns // 4
    return maps[:, top : top + height, left : left + width]


def corpus() -> Iterator[tuple[str, str, Sequence[Floats]]]:
    """Every file of the corpus: its name, what it holds, and its features."""
    network = real.network("resnet20")
    small = cifar_training_images(16, 77)
    large = photographs(6, FIRST_PHOTOGRAPH)
    others = photographs(4, FIRST_PHOTOGRAPH + 6)
    odd: list[Floats] = []
    for layer in LAYERS:
        yield f"{layer}-small", f"{layer}; CIFAR-10 training images", network.head(small, layer)
        maps = [network.head(one[None], layer)[0] for one in large]
        crops = [crop(one, i, *CROPS[layer][1:]) for i, one in enumerate(maps)]
        yield f"{layer}-large", f"{layer}; crops of photographs", crops
        for i, one in enumerate(others):
            odd.append(crop(network.head(one[None], layer)[0], i, *ODD[layer][i % 2]))
    yield "odd", "all layers; crops of odd sizes of photographs", odd
    signed = network._convolve_normalise(cifar_training_images(4, 55), "conv1", "bn1")
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
    """What is wrong with the corpus: files that are not those of SHA256SUMS, or do not decode."""
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
    """Parse the arguments and do it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="decode and compare, write nothing")
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="folder of the corpus")
    chosen = parser.parse_args()
    if chosen.check:
        wrong = check(chosen.corpus)
        print("\n".join(wrong) or "the corpus is that of SHA256SUMS")
        return 1 if wrong else 0
    if real.data_folder() is None:
        print("the networks and images are not here: set REFCODEC_DATA", file=sys.stderr)
        return 2
    write(chosen.corpus)
    return 0


if __name__ == "__main__":
    sys.exit(main())
