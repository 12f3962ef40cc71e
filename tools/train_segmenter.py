"""Train the segmentation network on rendered scenes.

    python tools/train_segmenter.py --output refcodec/models/segmenter.safetensors

Needs refcodec and torch; takes about eight minutes of one core. All seeds are fixed and one thread does the
sums, so that runs on the same machine take the same course. No scene is seen twice. Held-out scenes
give the loss and the mean IoU printed at the end, of the weights as trained and of the float16 written.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from safetensors.torch import save
from torch import nn
from torch.nn.functional import cross_entropy

from refcodec.files import atomic_file
from refcodec.metrics import overlap
from refcodec.models.images import normalise
from refcodec.models.scenes import CLASSES, HELD_OUT_SEED, TRAINING_SEED, render_scenes
from refcodec.models.segmenter import segmenter

STEPS = 2000
BATCH = 16
PEAK_RATE = 4e-3
HELD_OUT = 200


def main() -> None:
    """Train, round to float16, write and report."""
    parser = argparse.ArgumentParser(description="Train the segmentation network.")
    parser.add_argument("--output", type=Path, required=True, help="the .safetensors file")
    output: Path = parser.parse_args().output

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(TRAINING_SEED)
    network = segmenter().to(memory_format=torch.channels_last)
    train(network)
    report("float32", network)
    network.half().float()
    report("float16", network)

    weights = {
        name: value.half().contiguous() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    with atomic_file(output) as file:
        file.write(save(weights))


def train(network: nn.Module) -> None:
    """Fit the network to ``STEPS`` batches of new scenes, one learning-rate cycle."""
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, STEPS)
    network.train()
    running = 0.0
    for step in track(range(STEPS), "Training"):
        images, masks = render_scenes(BATCH, TRAINING_SEED, start=step * BATCH)
        loss = cross_entropy(network(normalise(images)), torch.from_numpy(masks).long())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        running += loss.item()
        if (step + 1) % 50 == 0:
            print(f"step {step + 1:5}: mean loss {running / 50:.4f}", flush=True)
            running = 0.0


def report(name: str, network: nn.Module) -> None:
    """Print the loss, the mean IoU and that of each class on held-out scenes."""
    images, masks = render_scenes(HELD_OUT, HELD_OUT_SEED)
    network.eval()
    with torch.no_grad():
        scores = torch.cat([network(normalise(part)) for part in np.split(images, HELD_OUT // 20)])
    loss = cross_entropy(scores, torch.from_numpy(masks).long()).item()
    intersection, union = overlap(scores.numpy(), masks).sum(axis=0)
    shares = intersection / union
    print(f"{name}: loss {loss:.4f}, mean IoU {shares.mean():.4f}")
    print(", ".join(f"{label} {share:.3f}" for label, share in zip(CLASSES, shares, strict=True)))


if __name__ == "__main__":
    main()
