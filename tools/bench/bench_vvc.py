"""Measures A3, VVC, beside A1, A2 and the native coder, and fills its results page.

    python tools/bench/bench_vvc.py [--resume] [--sections search curves]

Layers of ResNet-56 on CIFAR test images, blocks of EfficientNet-Lite0 on test photographs; one file for a
set, one thread, ``vvenc`` at several presets and with several tools in the search. Needs the extra
``networks``, and what is in ``../shared/data`` (or ``$REFCODEC_DATA``). The record, a JSON file beside the
page, holds every point; ``--render`` makes the page from it alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import real_networks
import vvc_page
from coding import read, timed, write
from features import LAYERS, Source
from peers import PEERS, Coder
from record import DOCS, Record, command, load, machine, parser, save
from vvc_peer import A3, PRESET, TOOLS

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
"""QPs of HEVC and VVC that take each curve from some 30 dB of output SNR to 8."""

NATIVE_QPS = {
    "conv1": (11, 15, 19, 23, 27, 31, 35),
    "layer1": (22, 26, 30, 34, 38, 42, 46),
    "layer2": (22, 26, 30, 34, 38, 42, 46),
    "layer3": (28, 32, 36, 40, 44, 48, 51),
    **dict.fromkeys(BLOCKS, (14, 18, 22, 26, 30, 34, 38)),
}
"""QPs of the native coder, whose samples have 16 bits."""

SEARCHED = ("layer2", "block4")
"""Where the search for the strongest VVC is made."""

TRIED = (
    ("medium", ""),
    ("medium", "MTS=1"),
    ("medium", "MTS=1:DepQuant=0:SignHideFlag=1"),
    ("faster", ""),
    ("fast", ""),
    ("medium", "IBC=1"),
    ("medium", "TransformSkip=0:BDPCM=0"),
    ("medium", "DepQuant=0:SignHideFlag=1"),
    ("slow", ""),
)
"""Presets and tools of vvenc."""


def main() -> int:
    """Measure what the record lacks, then fill the page."""
    options = _options()
    record = load(options, {})
    if not options.render:
        record |= {"machine": machine() | {"command": command()}, "tools": f"{PRESET}, {TOOLS}"}
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
        for curve, qp in _wanted(section, layer):
            points, begin = held.setdefault(curve, {}), time.perf_counter()
            if str(qp) in points:
                continue
            points[str(qp)] = _point(place(layer, options), curve, qp)
            save(record, options.record)
            print(f"{section} {layer} {curve}, QP {qp}: {time.perf_counter() - begin:.0f} s")
            sys.stdout.flush()


def _wanted(section: str, layer: str) -> Iterator[tuple[str, int]]:
    """Curves and QPs of a section; a curve of A3 is named by preset and tools."""
    if section == "search":
        for curve in ("A2", *(f"A3 {preset} {tools}".strip() for preset, tools in TRIED)):
            yield from ((curve, qp) for qp in QPS[layer])
        return
    for curve in ("A1-uniform", "A2", f"A3 {PRESET} {TOOLS}"):
        yield from ((curve, qp) for qp in QPS[layer])
    yield from (("native", qp) for qp in NATIVE_QPS[layer])


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
        name, *words = curve.split(" ")
        coder: Any = Coder(source.maps, PEERS[name]) if name in PEERS else None
        if coder is None:
            coder = A3(source.maps, words[0], " ".join(words[1:]))
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
    add("--sections", nargs="+", choices=("search", "curves"), default=["search", "curves"])
    add("--page", type=Path, default=DOCS / "results" / "vvc.rst", help="the page to fill")
    return found.parse_args()


if __name__ == "__main__":
    sys.exit(main())
