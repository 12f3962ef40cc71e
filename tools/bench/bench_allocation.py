"""Measures the allocation of bits to channels: Algorithm 1 of Hu et al. (2020), and from gradients.

    python tools/bench/bench_allocation.py [--resume]

ResNet-56, one file for a whole set, the network's own tail on what comes back. HEVC with a channel a frame,
10 bit uniform, x265 medium, nothing restored; and the native coder as it comes. Calibration is on training
images, which no curve is measured on. The record, ``docs/results/allocation.json``, holds every point.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import allocation_page  # noqa: E402
import features  # noqa: E402
import numpy as np  # noqa: E402
import real  # noqa: E402
import torch  # noqa: E402
from bench_native import machine  # noqa: E402
from curves import Point, bd_rate  # noqa: E402

import refcodec  # noqa: E402
from refcodec.allocate import gradients  # noqa: E402
from refcodec.allocate.selection import select_qps  # noqa: E402
from refcodec.allocate.sensitivity import (  # noqa: E402
    CLASSIFICATION_QPS,
    algorithm1_qps,
    by_algorithm1,
    measure,
)
from refcodec.config import EncoderConfig  # noqa: E402
from refcodec.files import atomic_file  # noqa: E402
from refcodec.metrics import bits_per_element, fidelity, signal_to_noise  # noqa: E402
from refcodec.models import Cut, load  # noqa: E402
from refcodec.models.images import batches, open_images  # noqa: E402
from refcodec.registry import LARGEST_QP  # noqa: E402

Record = dict[str, Any]

CODERS = {
    "hevc": EncoderConfig(coder="hevc", packing="frame", restoration="off", workers=1),
    "native": EncoderConfig(coder="native", workers=1),
}

QPS = {
    "hevc": {
        "conv1": (13, 18, 23, 28, 33),
        "layer1": (22, 27, 32, 37, 42),
        "layer2": (25, 30, 35, 40, 45),
        "layer3": (30, 35, 40, 45, 50),
    },
    "native": {
        "conv1": (13, 18, 23, 28, 33),
        "layer1": (22, 27, 32, 37, 42),
        "layer2": (25, 30, 35, 40, 45),
        "layer3": (32, 37, 42, 47, 51),
    },
}
"""QP_base that takes each curve from some 30 dB of logit SNR to 8, as near as QPs reach."""

CALIBRATION = 20
"""Training images, of each class as many."""

METHODS = {
    "hevc": (
        "unified",
        "algorithm1",
        "algorithm1, calibrated",
        "gradient, calibrated",
        "gradient, each feature",
        "selection",
    ),
    "native": (
        "unified",
        "algorithm1",
        "algorithm1, calibrated",
        "gradient, calibrated",
    ),
}
"""What is not calibrated is measured on the feature itself. *Gradient* gives QPs of channels, and with the
native coder weights of frequencies; *selection* is that of `refcodec.allocate.selection`."""

_LITERAL_FEATURES, _TIMED_FEATURES = 5, 20


@cache
def cut_of(layer: str, size: str) -> Cut:
    """ResNet-56, cut for a set of features."""
    folder: Any = real.data_folder()
    side = (224, 224) if size == "large" else None
    weights = folder / "weights" / "resnet56_cifar10.safetensors"
    return load("resnet56", weights, input_size=side).cut(layer)


@cache
def calibration(layer: str, size: str) -> features.Floats:
    """Features of training images; for large maps, of photographs behind those that are measured."""
    cut = cut_of(layer, size)
    if size == "large":
        images = np.stack(list(real.photographs(features.SIZES["large"] + 4)))[-4:]
        inputs = torch.from_numpy(real.normalise(images))
    else:
        folder: Any = real.data_folder()
        archive = str(folder / "cifar10" / "train.npz")
        source = open_images(archive, count=CALIBRATION, size=(32, 32))
        (batch,) = batches(source, CALIBRATION)
        inputs = batch.inputs
    with torch.inference_mode():
        found: features.Floats = cut.head(inputs).numpy()
    return found


class Place:
    """Features of a layer, a coder, and what the network makes of the features."""

    def __init__(self, coder: str, layer: str, size: str, count: int | None) -> None:
        self.layer, self.config = layer, CODERS[coder]
        self.maps = features.part(layer, size, count)
        self.logits = features.tail(self.maps, layer)
        self.cut, self.known = cut_of(layer, size), calibration(layer, size)

    def advice(self, method: str, qp: int) -> list[dict[str, Any]]:
        """What the writer takes with each feature, by one of METHODS around QP_base."""
        config, cut, known = self.config.but(qp=qp), self.cut, self.known
        count = len(self.maps)
        match method:
            case "algorithm1":
                found = measure(self.maps, cut.representation, config)
                rows = algorithm1_qps(found, qp, highest=LARGEST_QP[config.coder])
                return [{"qp": row} for row in rows.tolist()]
            case "algorithm1, calibrated":
                return count * [{"qp": by_algorithm1(known, cut.representation, config).qps(qp)}]
            case "gradient, calibrated":
                return count * [gradients.advice(known, cut.tail, config)]
            case "gradient, each feature":
                every = range(count)
                return [gradients.advice(self.maps[n : n + 1], cut.tail, config) for n in every]
            case "selection":
                return [{"qp": row} for row in select_qps(self.maps, cut.tail, config).tolist()]
        return count * [{"qp": qp}]

    def point(self, method: str, qp: int) -> Point:
        """One file with all features, its quality, and the seconds that its QPs took."""
        begin = time.perf_counter()
        advice = self.advice(method, qp)
        seconds = time.perf_counter() - begin
        target = io.BytesIO()
        with refcodec.create(target, self.config) as writer:
            for one, arguments in zip(self.maps, advice, strict=True):
                writer.write(one, **arguments)
        with refcodec.open(io.BytesIO(target.getvalue())) as reader:
            outputs = features.tail(np.stack(list(reader)), self.layer)
        size = len(target.getvalue())
        return {
            "qp": qp,
            "bytes": size,
            "bits": round(bits_per_element(size, self.maps.size), 5),
            "snr": round(signal_to_noise(outputs, self.logits), 3),
            "fidelity": fidelity(outputs, self.logits),
            "allocation_s": round(seconds, 3),
        }

    def seconds(self, layer: str) -> dict[str, float]:
        """Seconds a feature, at a middle QP, one method after the other."""
        qps = QPS["hevc"][layer]
        qp = qps[len(qps) // 2]
        begin = time.perf_counter()
        for feature in self.maps[:_LITERAL_FEATURES]:
            self._literally(feature, qp)
        literal = (time.perf_counter() - begin) / min(_LITERAL_FEATURES, len(self.maps))
        found = {"literal": literal}
        for method in ("algorithm1", "selection"):
            begin = time.perf_counter()
            self.advice(method, qp)
            found[method] = (time.perf_counter() - begin) / len(self.maps)
        return {method: round(value, 4) for method, value in found.items()}

    def _literally(self, feature: features.Floats, qp: int) -> None:
        """Lines 1 to 9 of Algorithm 1 as they stand: C codings, one after the other, and C tails."""
        config = self.config.but(qp=qp, clip=(float(feature.min()), float(feature.max())))
        for c in range(len(feature)):
            noisy = feature.copy()
            noisy[c] = refcodec.decode(refcodec.encode(feature[c : c + 1], config))[0]
            with torch.inference_mode():
                self.cut.representation(torch.from_numpy(noisy[None]))


def main() -> int:
    """Measure, and write the record."""
    options = _options()
    if options.render:
        allocation_page.write(
            json.loads(options.record.read_text()), options.record.with_suffix(".rst")
        )
        return 0
    record: Record = {"commands": [], "features": {}, "curves": {}, "paper": {}, "literal_s": {}}
    if options.resume and options.record.exists():
        record = json.loads(options.record.read_text())
    command = " ".join(["python tools/bench/bench_allocation.py", *_words()])
    record["commands"] = list(dict.fromkeys([*record["commands"], command]))
    record["machine"] = machine()
    save = lambda: _save(record, options.record)  # noqa: E731
    if options.seconds:
        for layer in options.layers:
            place = Place("hevc", layer, options.size, options.features or _TIMED_FEATURES)
            record["literal_s"][f"hevc/{layer}/{options.size}"] = place.seconds(layer)
            save()
        return 0
    for coder in options.coders:
        for layer in options.layers:
            name = f"{coder}/{layer}/{options.size}"
            place = Place(coder, layer, options.size, options.features)
            record["features"][name] = len(place.maps)
            qps = QPS[coder][layer]
            curves = record["curves"].setdefault(name, {})
            _measure(place, curves, qps, f"{name}", save)
            if coder == "hevc" and layer == "conv1":
                own = record["paper"].setdefault(name, {})
                _measure(place, own, CLASSIFICATION_QPS, f"{name}, the paper's QPs", save)
            record["bd_rate"] = bd_rates(record)
            save()
            for row in record["bd_rate"]:
                if row["place"] == name:
                    print(
                        f"  {row['method']:26} {row['bd_rate']} % over {row['range']} dB",
                        flush=True,
                    )
    return 0


def _measure(
    place: Place, curves: Record, qps: tuple[int, ...], name: str, save: Callable[[], None]
) -> None:
    for method in METHODS[place.config.coder]:
        points = curves.setdefault(method, [])
        for qp in qps[len(points) :]:
            points.append(place.point(method, qp))
            save()
            one = points[-1]
            print(f"{name} {method} QP {qp}: {one['bits']} {one['snr']} dB", flush=True)


def bd_rates(record: Record) -> list[Record]:
    """BD-rates of each method against one QP for all, %, with their ranges of logit SNR."""
    rows = []
    for place, curves in record["curves"].items():
        for method, points in curves.items():
            found = None if method == "unified" else bd_rate(curves["unified"], points)
            if found is not None:
                rows.append(
                    {
                        "place": place,
                        "method": method,
                        "bd_rate": round(found[0], 2),
                        "range": [round(end, 2) for end in found[1:]],
                    }
                )
    return rows


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench_allocation.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--record", type=Path, default=ROOT / "docs" / "results" / "allocation.json")
    add("--coders", nargs="+", choices=CODERS, default=[*CODERS])
    add("--layers", nargs="+", choices=features.LAYERS, default=[*features.LAYERS])
    add("--size", choices=features.SIZES, default="small")
    add("--features", type=int, help="take only so many: a trial")
    add("--resume", action="store_true", help="keep what the record has already")
    add(
        "--seconds",
        action="store_true",
        help="measure only what QPs of features take, side by side",
    )
    add("--render", action="store_true", help="fill the page from the record")
    return parser.parse_args()


def _words() -> list[str]:
    return [Path(word).name if "/" in word else word for word in sys.argv[1:]]


def _save(record: Record, path: Path) -> None:
    with atomic_file(path) as file:
        file.write(json.dumps(record, indent=1).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
