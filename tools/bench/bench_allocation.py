"""Measures the allocation of bits to channels: Algorithm 1 of Hu et al. (2020), and from gradients.

    python tools/bench/bench_allocation.py [--resume]

ResNet-56, one file for a whole set, the network's own tail on the decoded features. HEVC with one channel per
frame, 10 bit uniform, x265 medium, nothing restored; and the native coder as it comes. Calibration is on
training images, which no curve is measured on. The record, ``docs/results/allocation.json``, holds every
point.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import allocation_page
import features
import torch
from coding import read, timed, write
from curves import Point, bd_rate
from record import Record, command, load, machine, parser, save

import refcodec
from refcodec.allocate import gradients
from refcodec.allocate.selection import select_qps
from refcodec.allocate.sensitivity import (
    CLASSIFICATION_QPS,
    algorithm1_qps,
    by_algorithm1,
    measure,
)
from refcodec.config import EncoderConfig
from refcodec.models import Cut, images, trained
from refcodec.models import load as load_network
from refcodec.registry import LARGEST_QP

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
"""Number of training images, equally many of each class."""

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
"""Methods by name; those without calibration measure on the feature itself. *Gradient* gives QPs of channels,
and with the native coder weights of frequencies; *selection* is that of `refcodec.allocate.selection`."""

_LITERAL_FEATURES, _TIMED_FEATURES = 5, 20


@cache
def cut_of(layer: str, size: str) -> Cut:
    """ResNet-56, cut for a set of features."""
    side = (224, 224) if size == "large" else None
    return load_network("resnet56", trained.weights("resnet56"), input_size=side).cut(layer)


@cache
def calibration(layer: str, size: str) -> features.Floats:
    """Features of training images; for large maps, of photographs after those that are measured."""
    if size == "large":
        inputs = images.normalise(trained.photographs(4, first=features.SIZES["large"]))
    else:
        (batch,) = images.batches(trained.cifar("train", CALIBRATION), CALIBRATION)
        inputs = batch.inputs
    with torch.inference_mode():
        found: features.Floats = cut_of(layer, size).head(inputs).numpy()
    return found


class Place:
    """Features of a layer, a coder, and the network's output on the features."""

    def __init__(self, coder: str, layer: str, size: str, count: int | None) -> None:
        self.config = CODERS[coder]
        self.source = features.Source(layer, size, count)
        self.maps = self.source.maps
        self.cut, self.known = cut_of(layer, size), calibration(layer, size)

    def advice(self, method: str, qp: int) -> list[dict[str, Any]]:
        """Arguments of the writer for each feature, by one of METHODS around QP_base."""
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
        advice, seconds = timed(self.advice, method, qp)
        data = write(self.maps, self.config, advice=advice)
        found = {"qp": qp} | self.source.judge(read(data), len(data))
        return found | {"allocation_s": round(seconds, 3)}

    def seconds(self, layer: str) -> dict[str, float]:
        """Seconds per feature at a middle QP, one method after the other."""
        qps = QPS["hevc"][layer]
        qp = qps[len(qps) // 2]
        few = self.maps[:_LITERAL_FEATURES]
        found = {"literal": sum(timed(self._literally, one, qp)[1] for one in few) / len(few)}
        for method in ("algorithm1", "selection"):
            _, seconds = timed(self.advice, method, qp)
            found[method] = seconds / len(self.maps)
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
    record = load(
        options, {"commands": [], "features": {}, "curves": {}, "paper": {}, "literal_s": {}}
    )
    if options.render:
        allocation_page.write(record, options.record.with_suffix(".rst"))
        return 0
    record["commands"] = list(dict.fromkeys([*record["commands"], command()]))
    record["machine"] = machine()
    for coder in ["hevc"] if options.seconds else options.coders:
        for layer in options.layers:
            if options.seconds:
                _seconds(layer, options, record)
            else:
                _curves(coder, layer, options, record)
    return 0


def _seconds(layer: str, options: argparse.Namespace, record: Record) -> None:
    place = Place("hevc", layer, options.size, options.features or _TIMED_FEATURES)
    record["literal_s"][f"hevc/{layer}/{options.size}"] = place.seconds(layer)
    save(record, options.record)


def _curves(coder: str, layer: str, options: argparse.Namespace, record: Record) -> None:
    name = f"{coder}/{layer}/{options.size}"
    place = Place(coder, layer, options.size, options.features)
    record["features"][name] = len(place.maps)

    def keep() -> None:
        save(record, options.record)

    _measure(place, record["curves"].setdefault(name, {}), QPS[coder][layer], name, keep)
    if coder == "hevc" and layer == "conv1":
        own = record["paper"].setdefault(name, {})
        _measure(place, own, CLASSIFICATION_QPS, f"{name}, the paper's QPs", keep)
    record["bd_rate"] = bd_rates(record)
    keep()
    for row in record["bd_rate"]:
        if row["place"] == name:
            change = f"{row['bd_rate']} % over {row['range']} dB"
            print(f"  {row['method']:26} {change}", flush=True)


def _measure(
    place: Place, curves: Record, qps: tuple[int, ...], name: str, keep: Callable[[], None]
) -> None:
    for method in METHODS[place.config.coder]:
        points = curves.setdefault(method, [])
        for qp in qps[len(points) :]:
            points.append(place.point(method, qp))
            keep()
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
                        "bd_rate": round(found.value, 2),
                        "range": [round(end, 2) for end in found[1:]],
                    }
                )
    return rows


def _options() -> argparse.Namespace:
    found = parser(__doc__, "allocation", features.LAYERS)
    add = found.add_argument
    add("--coders", nargs="+", choices=CODERS, default=[*CODERS])
    add("--size", choices=features.SIZES, default="small")
    add("--seconds", action="store_true", help="measure only what QPs of features take")
    return found.parse_args()


if __name__ == "__main__":
    sys.exit(main())
