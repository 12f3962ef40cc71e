"""Train the demonstration's network and set its held-out images aside.

    python tools/train_demo.py --output refcodec/demo

writes ``weights.npz`` and ``digits.npz``, the package data of `refcodec.demo.network`.  Needs
refcodec, torch, scikit-learn and rich; takes some seconds.  All seeds are fixed and one thread
does the sums, so that a second run on the same machine writes the same bytes.

The 1,797 scans are split in three, each with its fair share of every digit.  The first part
trains the network, the second chooses the epoch to keep, and the third is held out: it is looked
at once, when all is settled, for the accuracy printed at the end.  The data set does not say who
wrote what, so that one writer's digits may be in all three.

Source of the images: E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*,
UCI Machine Learning Repository, 1998, CC BY 4.0, in the copy that scikit-learn ships.
"""

import argparse
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn.functional import cross_entropy

from refcodec.demo.network import Network, as_input

SEED = 1998
HELD_OUT = 360
VALIDATION = 180
EPOCHS = 30
BATCH = 64
PEAK_RATE = 1e-2


def main() -> None:
    """Split, train, write and report."""
    parser = argparse.ArgumentParser(description="Train the demonstration's network.")
    parser.add_argument("--output", type=Path, required=True, help="folder for the two files")
    output: Path = parser.parse_args().output

    digits = load_digits()
    pixels, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    rest, held_out = split(np.arange(len(labels)), labels, HELD_OUT)
    training, validation = split(rest, labels, VALIDATION)

    images = as_input(pixels)
    weights = train(images, labels, training, validation)

    output.mkdir(parents=True, exist_ok=True)
    write(output / "weights.npz", weights)
    write(output / "digits.npz", {"images": pixels[held_out], "labels": labels[held_out]})

    # The accuracy that counts is that of the network as the package runs it, in numpy.
    network = Network.from_arrays(weights)
    parts = {"training": training, "validation": validation, "held-out": held_out}
    for name, part in parts.items():
        logits = network.tail(network.head(images[part], "fc"), "fc")
        right = np.count_nonzero(logits.argmax(axis=1) == labels[part])
        print(f"{name:>10}: {right} of {len(part)} right, {right / len(part):.2%}")


def split(
    indices: NDArray[np.int64], labels: NDArray[np.uint8], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Set ``count`` of the indices aside, drawn evenly over the labels; return rest and drawn."""
    rest, drawn = train_test_split(
        indices, test_size=count, stratify=labels[indices], random_state=SEED
    )
    return np.sort(rest), np.sort(drawn)


def train(
    images: NDArray[np.float32],
    labels: NDArray[np.uint8],
    training: NDArray[np.int64],
    validation: NDArray[np.int64],
) -> dict[str, NDArray[np.float32]]:
    """Train on one part of the images and return the weights that do best on another.

    ``images`` is N x 1 x 8 x 8 and ``labels`` is N; ``training`` and ``validation`` index them.
    Best is the lowest cross-entropy, which is finer than accuracy on so few images.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    inputs, targets = torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))
    batches = -(-len(training) // BATCH)

    model = build()
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, EPOCHS * batches)
    best = float("inf")
    weights: dict[str, NDArray[np.float32]] = {}
    for _ in track(range(EPOCHS), "Training"):
        shuffled = torch.from_numpy(training)[torch.randperm(len(training))]
        for batch in torch.split(shuffled, BATCH):
            optimiser.zero_grad()
            torch.autograd.backward(cross_entropy(model(inputs[batch]), targets[batch]))
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            loss = cross_entropy(model(inputs[validation]), targets[validation]).item()
        if loss < best:
            best = loss
            weights = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    return weights


def build() -> nn.Sequential:
    """The network of `refcodec.demo.network`; the layers with weights go by the same names."""
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(1, 16, 3, padding=1),
        "rectify1": nn.ReLU(),
        "conv2": nn.Conv2d(16, 16, 3, padding=1),
        "rectify2": nn.ReLU(),
        "pool2": nn.MaxPool2d(2),
        "conv3": nn.Conv2d(16, 32, 3, padding=1),
        "rectify3": nn.ReLU(),
        "pool3": nn.MaxPool2d(2),
        "flatten": nn.Flatten(),
        "hidden": nn.Linear(32 * 2 * 2, 64),
        "rectify4": nn.ReLU(),
        "output": nn.Linear(64, 10),
    }
    return nn.Sequential(OrderedDict(layers))


def write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a compressed archive of arrays, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
