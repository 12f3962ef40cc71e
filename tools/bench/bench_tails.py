"""Measures the loss by tail-aware encoding in other tails than the given one, and the effect of mu.

    python tools/bench/bench_tails.py [--resume]

ResNet-56, one file for a whole set of CIFAR test images, real bytes. The given tail is the rest of the
network; the others (``unseen.py``) were trained on training images. The output of the given tail is coded
itself, too. Takes some ten minutes on one core. The record, ``docs/results/tails.json``, holds every point;
the plot is ``docs/images/tails.png``, and the page ``docs/results/tail-aware.rst`` has a table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import features
import outputs
import tails_page
import torch
import unseen
from coding import read, timed, write
from record import DOCS, Record, command, load, machine, parser, save

from refcodec.allocate.descent import TailAware
from refcodec.allocate.tail_aware import choose_levels
from refcodec.config import EncoderConfig
from refcodec.metrics import bits_per_element, fidelity, signal_to_noise
from refcodec.models import load as load_network
from refcodec.models import trained
from refcodec.models.images import batches

LAYERS = ("layer2", "layer1")
TRAINING, TESTED = 4000, 60

CONFIG = EncoderConfig(coder="native", workers=1)
QPS = (34, 38, 42, 46, 49)
"""QPs of the curve without tail-awareness."""

QP = 40
STRENGTHS = {0: (25, 5, 1), 10: (10, 3, 1), 40: (20, 8, 3)}
"""Strengths by mu, such that all curves cover about the same rates."""

GIVEN = (10, 3)
"""Strengths of the curve that is given a second tail, the one that draws the picture; its mu is 10."""


class Place:
    """The features of a layer, the tail that is given, and those that are not."""

    def __init__(self, layer: str, count: int) -> None:
        self.cut = load_network("resnet56", trained.weights("resnet56")).cut(layer)
        self._unseen = unseen.Unseen(*self._read("train", TRAINING))
        maps, images, labels = self._read("test", count)
        self.maps, self._images, self._labels = maps.numpy(), images.numpy(), labels.numpy()
        self._layer = layer
        self._given, self._others = self._tail(self.maps), self._unseen.run(self.maps)
        write(self.maps[:1], CONFIG)  # loads, or compiles, the kernels

    def _tail(self, maps: features.Floats) -> features.Floats:
        return features.network().tail(maps, self._layer)

    def _read(self, part: str, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features, images from 0 to 1, and labels."""
        found = []
        with torch.no_grad():
            for batch in batches(trained.cifar(part, count), 100):
                images = torch.from_numpy(batch.images).permute(0, 3, 1, 2) / 255
                found.append((self.cut.head(batch.inputs), images, torch.from_numpy(batch.labels)))
        parts = (torch.cat(part) for part in zip(*found, strict=True))
        return next(parts), next(parts), next(parts)

    def plain(self, qp: int) -> Record:
        """A point without tail-awareness."""
        data, seconds = timed(write, self.maps, CONFIG, qp=qp)
        return {"qp": qp} | self.point(data, seconds)

    def aware(self, settings: TailAware, second: bool = False) -> Record:
        """A point with it; where ``second`` says so, for the tail that draws the picture as well."""
        tails = [self.cut.tail, *([self._unseen.picture] if second else [])]

        def encode() -> bytes:
            config, choices = choose_levels(self.maps, tails, CONFIG, settings)
            return write(self.maps, config, advice=[{"choice": one} for one in choices])

        point = self.point(*timed(encode))
        return {"strength": settings.strength, "mu": settings.mu} | point

    def point(self, data: bytes, seconds: float, decoded: features.Floats | None = None) -> Record:
        """Rate, quality at every tail, and seconds a feature of a file; ``decoded`` if it is read already."""
        decoded = read(data) if decoded is None else decoded
        outputs, others = self._tail(decoded), self._unseen.run(decoded)
        return {
            "bytes": len(data),
            "bits": round(bits_per_element(len(data), decoded.size), 5),
            "given_snr": round(signal_to_noise(outputs, self._given), 3),
            "given_fidelity": round(fidelity(outputs, self._given), 4),
            "feature_snr": round(signal_to_noise(decoded, self.maps), 3),
            **unseen.measure(others, self._others, self._labels, self._images),
            "seconds": round(seconds / len(decoded), 3),
        }

    def originals(self) -> Record:
        """Outputs of the tails on features that were not compressed."""
        figures = unseen.measure(self._others, self._others, self._labels, self._images)
        return {name: figures[name] for name in ("classifier_top1", "picture_psnr")}


def main() -> int:
    """Measure, then write the record and the plot."""
    options = _options()
    record = load(options, {"curves": {}, "originals": {}})
    if not options.render:
        record |= {"machine": machine() | {"command": command()}, "features": options.features}
        record["output"] = _outputs(options.features)
        save(record, options.record)
        for layer in options.layers:
            _measure(layer, options, record)
    tails_page.draw(record, options.plot)
    tails_page.write(record, options.page)
    return 0


def _outputs(count: int) -> Record:
    """The logits, coded themselves: bytes, and quality, by curve and point."""
    network = features.network()
    logits = network.tail(network.head(trained.cifar_images(count)[0], "pool"), "pool")
    found: Record = {}
    for curve, points in outputs.CURVES.items():
        for name, choices in points.items():
            size, decoded, *_ = outputs.code(logits, choices)
            found.setdefault(curve, {})[name] = {
                "bytes": size,
                "given_snr": round(signal_to_noise(decoded, logits), 3),
                "given_fidelity": round(fidelity(decoded, logits), 4),
            }
    return found


def _measure(layer: str, options: argparse.Namespace, record: Record) -> None:
    curves = record["curves"].setdefault(layer, {})
    place = Place(layer, options.features)
    record["originals"][layer] = place.originals()
    for name, setting, run in _jobs(place):
        points = curves.setdefault(name, {})
        if str(setting) in points:
            continue
        point = points[str(setting)] = run()
        save(record, options.record)
        print(layer, name, *(f"{k} {v:g}" for k, v in point.items() if k != "bytes"), flush=True)


def _jobs(place: Place) -> Iterator[tuple[str, float, Callable[[], Record]]]:
    """Curve, what sets the point apart from others of the curve, and how to measure it."""
    for qp in QPS:
        yield "plain", qp, partial(place.plain, qp)
    for mu, strengths in STRENGTHS.items():
        for one in strengths:
            yield f"mu {mu}", one, partial(place.aware, TailAware(strength=one, qp=QP, mu=mu))
    for one in GIVEN:
        settings = TailAware(strength=one, qp=QP, mu=10)
        yield "picture given", one, partial(place.aware, settings, second=True)


def _options() -> argparse.Namespace:
    found = parser(__doc__, "tails", LAYERS, TESTED)
    found.add_argument("--plot", type=Path, default=DOCS / "images" / "tails.png")
    found.add_argument("--page", type=Path, default=DOCS / "results" / "tail-aware.rst")
    return found.parse_args()


if __name__ == "__main__":
    sys.exit(main())
