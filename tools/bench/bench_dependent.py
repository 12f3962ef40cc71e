"""Measures dependent quantisation and transforms over channels on maps, and fills the results page.

    python tools/bench/bench_dependent.py [--resume] [--layers conv1 layer1 layer2 block0 block4 block10]

ResNet-56 on 200 CIFAR test images, EfficientNet-Lite0 on 50 photographs. Anchors are the points of A2 that
``native.json`` and ``real-networks.json`` hold for the same features. Transforms are fitted to images that no
test has. One file for a whole set, real bytes; ``--render`` makes the page from the record alone.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import real_networks
import torch
from coding import processor, read, write
from curves import BANDS, SNR_RANGE, Point, bd_rate
from features import Source
from page import fill, measured, percent, table
from record import DOCS, Record, command, load, machine, parser, save

from refcodec.allocate.curvature import channel_metric
from refcodec.models import load as load_network
from refcodec.models import trained
from refcodec.models.images import batches
from refcodec.transform.channel import ChannelTransform

SMALL: Final = ("conv1", "layer1", "layer2")
LARGE: Final = ("block0", "block4", "block10")

CURVES: Mapping[str, Mapping[str, Any]] = {
    "native": {},
    "dependent": {"dependent": True},
    "weighted transform": {"transform": "weighted"},
    "weighted transform, dependent": {"transform": "weighted", "dependent": True},
}
QPS: Final = (8, 12, 16, 20, 24, 28, 31, 34, 37, 40, 43, 46, 49)

_TIMED = 10
"""Features that are timed, at one QP, in some rounds."""

_QP = 28
_ROUNDS = 3

_CALIBRATION = 400
"""CIFAR training images that a transform is fitted to."""


def main() -> int:
    """Measure what the record lacks, then fill the page."""
    options = _options()
    record = load(options, {})
    if not options.render:
        record |= {"machine": machine() | {"command": command()}}
        for layer in options.layers:
            _measure(layer, options, record)
            _time(layer, options, record)
    fill(options.page, {"machine": _words(record), "bands": _bands(record), "cost": _cost(record)})
    return 0


def _measure(layer: str, options: argparse.Namespace, record: Record) -> None:
    source = _source(layer, options.features)
    curves = record.setdefault("curves", {}).setdefault(layer, {})
    for name, choices in CURVES.items():
        points = curves.setdefault(name, {})
        wanted = [qp for qp in QPS if str(qp) not in points]
        if not wanted:
            continue
        given = _given(layer, choices)
        models = given.get("model")
        write(source.maps[:1], coder="native", **given)  # compiles the kernels
        for qp in wanted:
            data = write(source.maps, coder="native", qp=qp, **given)
            points[str(qp)] = source.judge(read(data, models), len(data))
            save(record, options.record)
            print(layer, name, qp, points[str(qp)], flush=True)


def _time(layer: str, options: argparse.Namespace, record: Record) -> None:
    """Processor time to write and to read a feature, the least of some rounds that take turns."""
    costs = record.setdefault("costs", {})
    if layer in costs:
        return
    maps = _source(layer, options.features).maps[:_TIMED]
    found = {name: {"encode_s": math.inf, "decode_s": math.inf} for name in CURVES}
    ways = {name: _given(layer, choices) for name, choices in CURVES.items()}
    for _ in range(_ROUNDS + 1):  # the first one compiles
        for name, given in ways.items():
            code = partial(write, maps, coder="native", qp=_QP, **given)
            decode = partial(read, code(), given.get("model"))
            for key, action in (("encode_s", code), ("decode_s", decode)):
                found[name][key] = min(found[name][key], processor(action) / len(maps))
    costs[layer] = found
    save(record, options.record)
    print(layer, found, flush=True)


def _source(layer: str, photographs: int) -> Any:
    """The features of a layer, with what judges them."""
    return Source(layer, "small") if layer in SMALL else real_networks.maps(layer, photographs)


def _given(layer: str, choices: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the encoder: those of a curve, with the transform of the layer where it has one."""
    given = {key: value for key, value in choices.items() if key != "transform"}
    if "transform" in choices:
        small = layer in SMALL
        model = _transform(layer) if small else real_networks.transform(layer, "weighted")
        given |= {"model": model, "model_apart": True}
    return given


@cache
def _transform(layer: str) -> ChannelTransform:
    """A weighted transform over the channels of a layer of ResNet-56."""
    cut = load_network("resnet56", trained.weights("resnet56")).cut(layer)
    with torch.inference_mode():
        parts = [cut.head(one.inputs) for one in batches(trained.cifar("train", _CALIBRATION), 50)]
    metric = channel_metric(cut.tail, [one.clone() for one in parts], feature_weight=0.01)
    return ChannelTransform.fit((one for part in parts for one in part.numpy()), metric)


# --- the page --------------------------------------------------------------------------------------


def _words(record: Record) -> str:
    return f"{measured(record['machine'])}.\n"


def _anchors() -> dict[str, list[Point]]:
    """The points of A2, by layer."""
    native, real = (
        json.loads((DOCS / "results" / f"{name}.json").read_text())
        for name in ("native", "real-networks")
    )
    found = {layer: native["peers"][f"{layer}/small/A2"] for layer in SMALL}
    return found | {layer: list(real["maps"][layer]["A2"].values()) for layer in LARGE}


def _bands(record: Record) -> str:
    """BD-rates by band of output SNR: against A2, and of dependent quantisation against the same without."""
    heads = ["layer", "coder", "against", *(f"{low:g} to {high:g} dB" for low, high in BANDS)]
    heads.append(f"{SNR_RANGE[0]:g} to {SNR_RANGE[1]:g} dB")
    rows, anchors = [], _anchors()
    for layer, curves in record["curves"].items():
        for name, points in curves.items():
            rows.append([layer, name, "A2", *_changes(anchors[layer], points)])
        for name in ("dependent", "weighted transform, dependent"):
            before = name.removesuffix("dependent").removesuffix(", ") or "native"
            rows.append([layer, name, before, *_changes(curves[before].values(), curves[name])])
    return table(heads, rows)


def _changes(anchor: Any, points: Mapping[str, Point]) -> list[str]:
    cells = []
    for band in (*BANDS, SNR_RANGE):
        found = bd_rate(anchor, points.values(), band)
        cells.append("\N{EM DASH}" if found is None else percent(found.value))
    return cells


def _cost(record: Record) -> str:
    """Milliseconds of the processor to write and to read a feature."""
    heads = ["layer", *(f"{name}, ms" for name in CURVES)]
    rows = [
        [
            layer,
            *(
                f"{1e3 * costs[name]['encode_s']:.1f} / {1e3 * costs[name]['decode_s']:.1f}"
                for name in CURVES
            ),
        ]
        for layer, costs in record["costs"].items()
    ]
    return table(heads, rows)


def _options() -> argparse.Namespace:
    found = parser(__doc__ or "", "dependent", (*SMALL, *LARGE), 50)
    found.add_argument("--page", type=Path, default=DOCS / "results" / "dependent.rst")
    return found.parse_args()


if __name__ == "__main__":
    sys.exit(main())
