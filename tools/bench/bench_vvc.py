"""Measures A3, VVC, and A4, AV1, beside A1, A2 and the native coder, and fills their results page.

    python tools/bench/bench_vvc.py [--resume] [--sections search curves] [--coders A2 A4]

Layers of ResNet-56 on CIFAR test images, blocks of EfficientNet-Lite0 on test photographs; one file for a
set, one thread; encoders at several presets and with several tools in the search. Needs the extra
``networks``, and what is in ``../shared/data`` (or ``$REFCODEC_DATA``). The record, a JSON file beside the
page, holds every point; ``--render`` makes the page from it alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import real_networks
import vvc_page
from coding import read, timed, write
from features import LAYERS, Source
from peers import PEERS, Coder
from record import DOCS, Record, command, load, machine, parser, save
from video_peer import ANCHORS, VideoPeer

BLOCKS = ("block0", "block4", "block10")

QPS = {
    "conv1": (16, 20, 24, 28, 32, 36, 40),
    "layer1": (22, 26, 30, 33, 36, 40, 44),
    "layer2": (24, 28, 31, 34, 37, 41, 45),
    "layer3": (26, 30, 34, 38, 42, 46, 50),
    "block0": (14, 18, 22, 26, 29, 32, 35),
    "block4": (14, 18, 22, 25, 28, 31, 34),
    "block10": (14, 18, 22, 25, 28, 31, 34),
}
"""QPs of HEVC, VVC and AV1 that take each curve from some 30 dB of output SNR to 8."""

NATIVE_QPS = {
    "conv1": (11, 15, 19, 23, 27, 31, 35),
    "layer1": (22, 26, 30, 34, 38, 42, 46),
    "layer2": (22, 26, 30, 34, 38, 42, 46),
    "layer3": (28, 32, 36, 40, 44, 48, 51),
    **dict.fromkeys(BLOCKS, (14, 18, 22, 26, 30, 34, 38)),
}
"""QPs of the native coder, whose samples have 16 bits."""

SEARCHED = ("layer2", "block4")
"""Where the search for the strongest VVC and AV1 is made."""

TRIED = {
    "A3": (
        "medium",
        "medium MTS=1",
        "medium MTS=1:DepQuant=0:SignHideFlag=1",
        "faster",
        "fast",
        "medium IBC=1",
        "medium TransformSkip=0:BDPCM=0",
        "medium DepQuant=0:SignHideFlag=1",
        "slow",
    ),
    "A4": (
        "faster",
        "fast",
        "medium",
        "slow",
        "slower",
        "slow tune-content=screen",
        "slow enable-cdef=1",
        "slow enable-restoration=0",
        "slow loopfilter-control=0",
        "slow quant-b-adapt=1",
    ),
}
"""Presets and tools of vvenc and libaom."""

SECTIONS = ("search", "curves", "many")
"""Settings that are tried; the curves of all coders; those of quick ones, of more features."""

CODERS = ("A1", "A2", *ANCHORS, "native")

QUICK = ("A2", "A4", "native")
"""Coders that a section of more features has."""


def main() -> int:
    """Measure what the record lacks, then fill the page."""
    options = _options()
    record = load(options, {})
    if not options.render:
        record.setdefault("runs", []).append(machine() | {"command": command()})
        for section in options.sections:
            counts = {"features": options.features, "photographs": options.photographs}
            record.setdefault("counts", {})[section] = counts
            _measure(section, options, record)
    vvc_page.write(record, options.page)
    return 0


def _measure(section: str, options: argparse.Namespace, record: Record) -> None:
    """Measure the points of a section that are missing, and say which is done."""
    for layer in options.layers:
        if section == "search" and layer not in SEARCHED:
            continue
        held = record.setdefault(section, {}).setdefault(layer, {})
        for curve, qp in _wanted(section, layer, options.coders):
            points, begin = held.setdefault(curve, {}), time.perf_counter()
            if str(qp) in points:
                continue
            points[str(qp)] = _point(place(layer, options), curve, qp)
            save(record, options.record)
            print(f"{section} {layer} {curve}, QP {qp}: {time.perf_counter() - begin:.0f} s")
            sys.stdout.flush()


def _wanted(section: str, layer: str, coders: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Curves and QPs of a section; a curve of A3 or A4 is named by its settings, too."""
    if section == "search":
        curves = ["A2", *(f"{name} {one}" for name, tried in TRIED.items() for one in tried)]
    else:
        coders = [one for one in coders if section != "many" or one in QUICK]
        anchors = (f"{name} {one.settings}" for name, one in ANCHORS.items())
        curves = ["A1-uniform", "A2", *anchors, "native"]
    for curve in curves:
        if vvc_page.coder_of(curve) in coders:
            qps = NATIVE_QPS if curve == "native" else QPS
            yield from ((curve, qp) for qp in qps[layer])


@lru_cache(maxsize=1)
def _place(layer: str, features: int, photographs: int) -> Any:
    if layer in BLOCKS:
        return real_networks.maps(layer, photographs)
    return Source(layer, "small", features)


def place(layer: str, options: argparse.Namespace) -> Any:
    """Features of a layer, and what judges them; the last one asked for is kept."""
    return _place(layer, options.features, options.photographs)


def _point(source: Any, curve: str, qp: int) -> Record:
    """Rate, quality and seconds of a coder at a QP."""
    if curve == "native":
        data, forth = timed(write, source.maps, qp=qp, coder="native")
        decoded, back = timed(read, data)
        size = len(data)
    else:
        name, _, settings = curve.partition(" ")
        coder: Any = (
            VideoPeer(source.maps, ANCHORS[name], settings)
            if name in ANCHORS
            else Coder(source.maps, PEERS[name])
        )
        stream, forth = coder.encode(qp)
        decoded, back = coder.decode(stream)
        size = coder.size(stream)
    seconds = {"encode_s": forth / len(source.maps), "decode_s": back / len(source.maps)}
    judged: Record = source.judge(decoded, size)
    return judged | {key: round(one, 5) for key, one in seconds.items()}


def _options() -> argparse.Namespace:
    found = parser(__doc__, "vvc", (*LAYERS, *BLOCKS), 20)
    add = found.add_argument
    add("--photographs", type=int, default=5, help="of EfficientNet-Lite0")
    add("--sections", nargs="+", choices=SECTIONS, default=["search", "curves"])
    add("--coders", nargs="+", choices=CODERS, default=[*CODERS])
    add("--page", type=Path, default=DOCS / "results" / "vvc.rst", help="the page to fill")
    return found.parse_args()


if __name__ == "__main__":
    sys.exit(main())
