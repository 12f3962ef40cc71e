"""Measures what tail-aware encoding costs other tails than the one it was made for, and what mu gives back.

    python tools/bench/bench_tails.py [--resume]

ResNet-56, one file for a whole set of CIFAR test images, real bytes. The given tail is the rest of the
network; the others (``unseen.py``) were trained on training images. Takes some ten minutes on one core. The
record, ``docs/results/tails.json``, holds every point; the plot is ``docs/images/tails.png``.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import features  # noqa: E402
import numpy as np  # noqa: E402
import real  # noqa: E402
import torch  # noqa: E402
import unseen  # noqa: E402
from bench_native import machine  # noqa: E402

import refcodec  # noqa: E402
from refcodec.allocate.tail_aware import TailAware, choose_levels  # noqa: E402
from refcodec.config import EncoderConfig  # noqa: E402
from refcodec.files import atomic_file  # noqa: E402
from refcodec.metrics import bits_per_element, fidelity, signal_to_noise  # noqa: E402
from refcodec.models import load  # noqa: E402
from refcodec.models.images import batches, open_images  # noqa: E402

Record = dict[str, Any]

LAYERS = ("layer1", "layer2")
TRAINING, TESTED = 4000, 60

CONFIG = EncoderConfig(coder="native", workers=1)
QPS = (34, 38, 42, 46, 49)
"""Of the curve without tail-awareness."""

QP = 40
STRENGTHS = {0: (25, 5, 1), 10: (10, 3, 1), 40: (20, 8, 3)}
"""By mu, what takes each curve over about the same rates."""

GIVEN = (10, 3)
"""Strengths of the curve that is given a second tail, the one that draws the picture; its mu is 10."""


class Place:
    """The features of a layer, the tail that is given, and those that are not."""

    def __init__(self, layer: str, count: int) -> None:
        folder: Any = real.data_folder()
        self.cut = load("resnet56", folder / "weights" / "resnet56_cifar10.safetensors").cut(layer)
        self._unseen = unseen.Unseen(*self._read(folder / "cifar10" / "train.npz", TRAINING))
        maps, images, labels = self._read(folder / "cifar10" / "test.npz", count)
        self.maps, self._images, self._labels = maps.numpy(), images.numpy(), labels.numpy()
        self._given, self._others = features.tail(self.maps, layer), self._unseen.run(self.maps)
        self._layer = layer
        refcodec.encode(self.maps[0], CONFIG)  # loads, or compiles, the kernels

    def _read(self, path: Path, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features, images from 0 to 1, and labels."""
        found = []
        source = open_images(str(path), count=count, size=(32, 32))
        with torch.no_grad():
            for batch in batches(source, 100):
                images = torch.from_numpy(batch.images).permute(0, 3, 1, 2) / 255
                found.append((self.cut.head(batch.inputs), images, torch.from_numpy(batch.labels)))
        parts = (torch.cat(part) for part in zip(*found, strict=True))
        return next(parts), next(parts), next(parts)

    def plain(self, qp: int) -> Record:
        """A point without tail-awareness."""
        begin = time.perf_counter()
        target = io.BytesIO()
        with refcodec.create(target, CONFIG.but(qp=qp)) as writer:
            for one in self.maps:
                writer.write(one)
        return {"qp": qp} | self._point(target.getvalue(), time.perf_counter() - begin)

    def aware(self, settings: TailAware, second: bool = False) -> Record:
        """A point with it; where ``second`` says so, for the tail that draws the picture as well."""
        begin = time.perf_counter()
        target = io.BytesIO()
        tails = [self.cut.tail, *([self._unseen.picture] if second else [])]
        config, choices = choose_levels(self.maps, tails, CONFIG, settings)
        with refcodec.create(target, config) as writer:
            for one, choice in zip(self.maps, choices, strict=True):
                writer.write(one, choice=choice)
        point = self._point(target.getvalue(), time.perf_counter() - begin)
        return {"strength": settings.strength, "mu": settings.mu} | point

    def _point(self, data: bytes, seconds: float) -> Record:
        with refcodec.open(io.BytesIO(data)) as reader:
            decoded = np.stack(list(reader))
        outputs = features.tail(decoded, self._layer)
        others = self._unseen.run(decoded)
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
        """What the tails make of features that were not compressed."""
        figures = unseen.measure(self._others, self._others, self._labels, self._images)
        return {name: figures[name] for name in ("classifier_top1", "picture_psnr")}


def main() -> int:
    """Measure, then write the record and the plot."""
    options = _options()
    record: Record = {"curves": {}, "originals": {}}
    if (options.resume or options.render) and options.record.exists():
        record = json.loads(options.record.read_text())
    if not options.render:
        words = [Path(word).name if "/" in word else word for word in sys.argv[1:]]
        command = " ".join(["python tools/bench/bench_tails.py", *words])
        record |= {"machine": machine() | {"command": command}, "features": options.features}
        for layer in options.layers:
            _measure(layer, options, record)
    draw(record, options.plot)
    return 0


def _measure(layer: str, options: argparse.Namespace, record: Record) -> None:
    curves = record["curves"].setdefault(layer, {})
    place = Place(layer, options.features)
    record["originals"][layer] = place.originals()
    for name, setting, run in _jobs(place):
        points = curves.setdefault(name, {})
        if str(setting) in points:
            continue
        point = points[str(setting)] = run()
        with atomic_file(options.record) as file:
            file.write(json.dumps(record, indent=1).encode() + b"\n")
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


# --- the plot --------------------------------------------------------------------------------------

_PANELS = {
    "given_snr": "given tail, SNR in dB",
    "classifier_snr": "other classifier, SNR in dB",
    "attributes_snr": "attributes, SNR in dB",
    "picture_psnr": "picture, PSNR in dB",
    "neighbours_same": "nearest neighbour, same",
}
_CURVES = {
    "plain": "without tail-awareness",
    "mu 0": "tail-aware, mu = 0",
    "mu 10": "tail-aware, mu = 10",
    "mu 40": "tail-aware, mu = 40",
    "picture given": "the picture's tail given, too",
}


def draw(record: Record, path: Path) -> None:
    """What each tail has of its output, over bits an element: a row for each layer."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from refcodec.evaluate.style import FAINT, STYLE, save

    layers = list(record["curves"])
    with rc_context(dict(STYLE)):
        size = (2.3 * len(_PANELS), 0.5 + 2.5 * len(layers))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(len(layers), len(_PANELS), squeeze=False, sharex=True)
        for row, layer in zip(panels, layers, strict=True):
            for panel, (measure, title) in zip(row, _PANELS.items(), strict=True):
                panel.set_title(title, fontsize="medium", loc="left")
                _panel(panel, record["curves"][layer], measure)
                if measure in record["originals"][layer]:
                    panel.axhline(record["originals"][layer][measure], color=FAINT, linewidth=0.6)
            row[0].set_ylabel(layer)
        figure.supxlabel("bits an element", fontsize="medium")
        figure.legend(
            *panels[0, 0].get_legend_handles_labels(),
            loc="outside upper center",
            ncols=len(_CURVES),
            frameon=False,
        )
        image = save(figure, "png")
    with atomic_file(path) as file:
        file.write(image)


def _panel(panel: Any, curves: Record, measure: str) -> None:
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    from refcodec.evaluate.style import COLOURS, FAINT, MARKERS

    panel.set_xscale("log", base=2)
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:.3g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.grid(visible=True)
    for number, (name, label) in enumerate(_CURVES.items()):
        points = sorted(curves.get(name, {}).values(), key=lambda one: one["bits"])
        panel.plot(
            [one["bits"] for one in points],
            [one[measure] for one in points],
            label=label,
            color=COLOURS[number - 1] if number else FAINT,
            marker=MARKERS[number],
            markersize=3.5,
            linewidth=1,
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench_tails.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--record", type=Path, default=ROOT / "docs" / "results" / "tails.json")
    add("--plot", type=Path, default=ROOT / "docs" / "images" / "tails.png")
    add("--layers", nargs="+", choices=LAYERS, default=["layer2", "layer1"])
    add("--features", type=int, default=TESTED, help="how many test images")
    add("--resume", action="store_true", help="keep what the record has already")
    add("--render", action="store_true", help="make the plot again from the record")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
