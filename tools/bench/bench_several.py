"""Measures tail-aware encoding for several tails: known ones, and others that no encoder saw, at equal rate.

    python tools/bench/bench_several.py [--resume]

Two features: ResNet-56's layer2 on CIFAR test images, where the rest of the network is known; and layer1 of
the segmenter on rendered scenes, where the segmenter and a classifier beside it are. The others are those of
``unseen.py``. Curves: plain coding, tail-aware encoding, the known outputs sent themselves, and a later layer
coded plainly, which serves one tail alone. One file for a whole set, real bytes. Some six minutes on an idle
core. The record, ``docs/results/several.json``, holds every point; ``--render`` makes table and plot from it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import several_page
import torch
from coding import read, timed, write
from features import Floats
from record import DOCS, Record, command, load, machine, parser, save
from unseen import Unseen

from refcodec.allocate.descent import TailAware
from refcodec.allocate.tail_aware import choose_levels
from refcodec.config import EncoderConfig
from refcodec.metrics import bits_per_element, signal_to_noise
from refcodec.models import Cut, scenes, trained
from refcodec.models import load as load_network
from refcodec.models.images import batches, normalise

TESTED = 100
CONFIG = EncoderConfig(coder="native", workers=1)
PLAIN_QPS = (14, 18, 22, 26, 28, 30, 32, 34, 36, 38, 40, 42, 44, 46)
LATER_QPS = (20, 24, 28, 32, 36, 40)
OUTPUT_QPS = (14, 20, 26, 32, 38)
_AT_ONCE = 20

Tail = Callable[[torch.Tensor], torch.Tensor]


class Images(NamedTuple):
    """Features, images from 0 to 1, N x 3 x rows x columns, and a class each."""

    maps: torch.Tensor
    images: torch.Tensor
    labels: torch.Tensor


class Place:
    """Features, the tails that encoders are given, the others, and all outputs on the originals.

    maps  : float32, N x C x H x W.
    known : tails by name; ``later`` is the cut at a later layer, whose tail is the first of them.
    """

    def __init__(
        self, own: Images, known: Mapping[str, Tail], unseen: Unseen, later: Cut, deep: torch.Tensor
    ) -> None:
        self.maps: Floats = own.maps.numpy()
        self.known, self._unseen = known, unseen
        self.later, self.deep = later, deep.numpy()
        self._known_outputs = {name: run(tail, self.maps) for name, tail in known.items()}
        self._others = self._other_outputs(self.maps)
        write(self.maps[:1], CONFIG)  # loads, or compiles, the kernels

    def _other_outputs(self, maps: Floats) -> Mapping[str, Any]:
        found = self._unseen.run(maps)._asdict()
        return {name: one for name, one in found.items() if name not in self.known}

    def judge(self, data: bytes) -> Record:
        """Rate, and quality at every tail, of a file of features."""
        decoded = read(data)
        known = {name: run(tail, decoded) for name, tail in self.known.items()}
        others = self._other_outputs(decoded)
        figures = {
            f"{name}_snr": round(signal_to_noise(others[name], one), 3)
            for name, one in self._others.items()
            if name != "nearest"
        }
        figures["neighbours_same"] = round(
            float(np.mean(others["nearest"] == self._others["nearest"])), 4
        )
        figures["feature_snr"] = round(signal_to_noise(decoded, self.maps), 3)
        return self._rate(len(data)) | self.judge_known(known) | figures

    def judge_known(self, outputs: Mapping[str, Floats]) -> Record:
        """SNR of known outputs, and the share of decisions that they keep: of images, or of pixels."""
        found: Record = {}
        for name, one in outputs.items():
            wanted = self._known_outputs[name]
            found[f"{name}_snr"] = round(signal_to_noise(one, wanted), 3)
            found[f"{name}_kept"] = round(float(np.mean(one.argmax(1) == wanted.argmax(1))), 5)
        return found

    def _rate(self, size: int) -> Record:
        return {
            "bytes": round(size / len(self.maps), 2),
            "bits": round(bits_per_element(size, self.maps.size), 5),
        }

    # --- points ------------------------------------------------------------------------------------

    def plain(self, qp: int) -> Record:
        """Coding that knows no tail."""
        return self.judge(write(self.maps, CONFIG, qp=qp))

    def aware(self, settings: TailAware) -> Record:
        """Tail-aware encoding for the known tails."""

        def encode() -> bytes:
            tails = list(self.known.values())
            config, choices = choose_levels(self.maps, tails, CONFIG, settings)
            return write(self.maps, config, advice=[{"choice": one} for one in choices])

        data, seconds = timed(encode)
        return self.judge(data) | {"seconds": round(seconds / len(self.maps), 3)}

    def outputs(self, qp: int) -> Record:
        """The outputs of all known tails, coded themselves."""
        size, decoded = 0, {}
        for name, one in self._known_outputs.items():
            kind = "fc" if one.ndim == 2 else "conv"
            data = write(one, CONFIG, qp=qp, feature_type=kind)
            size, decoded[name] = size + len(data), read(data)
        return self._rate(size) | self.judge_known(decoded)

    def deeper(self, qp: int) -> Record:
        """A later layer, coded plainly: it serves the first tail, and none of the others."""
        data = write(self.deep, CONFIG, qp=qp)
        first = next(iter(self.known))
        return self._rate(len(data)) | self.judge_known({first: run(self.later.tail, read(data))})


def run(tail: Tail, maps: Floats) -> Floats:
    """Outputs of a tail."""
    with torch.inference_mode():
        parts = torch.from_numpy(np.ascontiguousarray(maps)).split(_AT_ONCE)
        found: Floats = torch.cat([tail(one) for one in parts]).numpy()
    return found


# --- places ----------------------------------------------------------------------------------------


def resnet(count: int) -> Place:
    """ResNet-56, layer2, on CIFAR test images; layer3 is the later layer."""
    network = load_network("resnet56", trained.weights("resnet56"))
    cut, later = network.cut("layer2"), network.cut("layer3")

    def images(part: str, number: int) -> tuple[Images, torch.Tensor]:
        found = list(batches(trained.cifar(part, number), 100))
        pictures = np.concatenate([one.images for one in found])
        labels = np.concatenate([one.labels for one in found])
        return _through(cut, later, pictures, labels)

    unseen = Unseen(*images("train", 4000)[0])
    own, deep = images("test", count)
    return Place(own, {"network": cut.tail}, unseen, later, deep)


def segmenter(count: int) -> Place:
    """The segmenter, layer1, on rendered scenes, and a classifier of their commonest shape; layer3 later."""
    network = load_network("segmenter")
    cut, later = network.cut("layer1"), network.cut("layer3")

    def images(number: int, seed: int) -> tuple[Images, torch.Tensor]:
        pictures, masks = scenes.render_scenes(number, seed)
        shapes = range(1, len(scenes.CLASSES))
        areas = np.stack([(masks == shape).sum(axis=(1, 2)) for shape in shapes], axis=1)
        return _through(cut, later, pictures, areas.argmax(axis=1))

    unseen = Unseen(*images(1200, scenes.TRAINING_SEED)[0])
    own, deep = images(count, scenes.HELD_OUT_SEED)
    return Place(own, {"segmenter": cut.tail, "classifier": unseen.classifier}, unseen, later, deep)


def _through(cut: Cut, later: Cut, pictures: Any, labels: Any) -> tuple[Images, torch.Tensor]:
    """Images with their features at a cut, and those at a later one."""
    with torch.inference_mode(False), torch.no_grad():
        parts = normalise(pictures).split(100)
        maps = torch.cat([cut.head(one) for one in parts])
        deep = torch.cat([later.head(one) for one in parts])
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
    return Images(maps, images, torch.from_numpy(np.asarray(labels, np.int64))), deep


class _Source(NamedTuple):
    """A place, and the share of the images that it takes."""

    place: Callable[[int], Place]
    share: float


SETTINGS = tuple(TailAware(mu=100, strength=strength, qp=40) for strength in (7, 10))

PLACES = {"layer2": _Source(resnet, 1.0), "scenes": _Source(segmenter, 0.25)}


def main() -> int:
    """Measure what the record lacks, then fill the page and draw the plot."""
    found = parser(__doc__, "several", [*PLACES], TESTED)
    found.add_argument("--page", type=Path, default=DOCS / "results" / "tail-aware.rst")
    found.add_argument("--plot", type=Path, default=DOCS / "images" / "several-tails.png")
    options = found.parse_args()
    record = load(options, {"places": {}})
    if not options.render:
        record |= {"machine": machine() | {"command": command()}}
        for name in options.layers:
            _measure(name, options.features, record, options.record)
    several_page.write(record, options.page, options.plot)
    return 0


def _measure(name: str, count: int, record: Record, path: Path) -> None:
    own = record["places"].setdefault(name, {"curves": {}})
    source = PLACES[name]
    place = source.place(round(source.share * count))
    own |= {"features": len(place.maps), "known": [*place.known], "shape": place.maps.shape[1:]}
    for curve, point, job in _jobs(place):
        points = own["curves"].setdefault(curve, {})
        if point not in points:
            points[point] = job()
            save(record, path)
            print(name, curve, point, *(f"{key} {value}" for key, value in points[point].items()))
            sys.stdout.flush()


def _jobs(place: Place) -> Iterator[tuple[str, str, Callable[[], Record]]]:
    for qp in PLAIN_QPS:
        yield "plain", f"QP {qp}", partial(place.plain, qp)
    for qp in OUTPUT_QPS:
        yield "outputs", f"QP {qp}", partial(place.outputs, qp)
    for qp in LATER_QPS:
        yield "later layer", f"QP {qp}", partial(place.deeper, qp)
    for one in SETTINGS:
        yield "tail-aware", f"strength {one.strength:g}", partial(place.aware, one)


if __name__ == "__main__":
    sys.exit(main())
