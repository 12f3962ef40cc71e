"""Measures every coder at one place for the guide ``choose-a-coder``, and draws its picture.

    python tools/bench/bench_choice.py [--resume] [--render]

Rate at equal quality over the speed of decoding, coder by coder: features of ``layer1`` of photographs, on
one thread, processor time. HEVC is decoded by ffmpeg, less what ffmpeg takes for a single feature, its start
included. Needs pcodec, zfpy and zstandard (``pip install 'refcodec[bench]'``). The record is
``docs/results/choice.json``, the pictures ``docs/images/choose-a-coder.png`` and ``rate-over-speed.png``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from bench_lossless import measure as measure_lossless
from coding import apart, decode_all, processor, read, write
from curves import Point
from features import Source
from float_coders import FLOAT_CODERS, float_curve, package
from matplotlib.figure import Figure
from peers import PEERS, Coder
from realtime_speed import MEDIUM
from record import DOCS, Record, command, load, machine, parser, save

from refcodec import plotting
from refcodec.errors import EnvironmentFault
from refcodec.files import atomic_file

LAYER, SIZE, FEATURES = "layer1", "large", 4

QPS = {"refcodec": (25, 30, 35, 40, 45), "HEVC": (22, 26, 29, 32, 35, 38, 42)}

SNRS = (10.0, 14.0, 18.0, 22.0, 26.0)
"""Logit SNRs at which rates are compared, dB; curves have their mark at 18."""

ROUNDS = 3

LOSSLESS = ("native", "native, fast", "pcodec", "lzma", "zlib")
"""Coders without loss, as `bench_lossless` names them."""


def main() -> int:
    """Measure, then draw."""
    options = _options()
    record = load(options, {})
    if not options.render:
        source = Source(LAYER, SIZE, options.features)
        record |= {"machine": machine() | {"command": command()}, "features": len(source.maps)}
        try:
            for name, measure in _measures(source).items():
                if name not in record.setdefault("curves", {}):
                    record["curves"][name] = measure()
                    save(record, options.record)
                    print(name, *record["curves"][name], sep="\n  ", flush=True)
            if "lossless" not in record:
                package("pcodec")
                record["lossless"] = measure_lossless(source.maps, ROUNDS)
                save(record, options.record)
        except EnvironmentFault as fault:
            print(fault, file=sys.stderr)
            return 2
    for path, picture in ((options.picture, draw(record)), (options.opening, draw_opening(record))):
        with atomic_file(path) as file:
            file.write(picture)
    return 0


def _options() -> argparse.Namespace:
    found = parser(__doc__ or "", "choice", [LAYER], FEATURES)
    picture = DOCS / "images" / "choose-a-coder.png"
    found.add_argument("--picture", type=Path, default=picture, help="where it is drawn")
    opening = DOCS / "images" / "rate-over-speed.png"
    found.add_argument(
        "--opening", type=Path, default=opening, help="where that of the home page is"
    )
    return found.parse_args()


# --- measuring -------------------------------------------------------------------------------------


def _measures(source: Source) -> dict[str, Callable[[], list[Point]]]:
    """How the curve of each coder is measured."""
    return {
        **{name: partial(_own_curve, source, name) for name in ("native", "native-static")},
        "HEVC, x265 slower (A2)": partial(_hevc_curve, source, Coder(source.maps, PEERS["A2"])),
        "HEVC, x265 medium": partial(_hevc_curve, source, Coder(source.maps, MEDIUM)),
        **{name: partial(float_curve, source, name, ROUNDS) for name in FLOAT_CODERS},
    }


def _own_curve(source: Source, coder: str) -> list[Point]:
    found = []
    for qp in QPS["refcodec"]:
        data = write(source.maps, coder=coder, qp=qp)
        again = partial(decode_all, data)
        speed = source.maps.size / min(processor(again) for _ in range(ROUNDS))
        found.append(_point(source, read(data), len(data), speed))
    return found


def _hevc_curve(source: Source, coder: Coder) -> list[Point]:
    alone, found = Coder(source.maps[:1], PEERS["A2"]), []
    for qp in QPS["HEVC"]:
        stream, first = coder.encode(qp)[0], alone.encode(qp)[0]
        every, one = partial(coder.decode, stream), partial(alone.decode, first)
        timed = source.maps[1:].size  # the features that ffmpeg is timed for
        speed = timed / min(apart(every, one) for _ in range(ROUNDS))
        found.append(_point(source, every()[0], coder.size(stream), speed))
    return found


def _point(source: Source, decoded: Any, size: int, speed: float) -> Point:
    return source.judge(decoded, size) | {"decode": round(speed)}


_SIDES = {
    "HEVC, x265 slower (A2)": (1, -1),
    "HEVC, x265 medium": (-1, -1),
    "uniform, zstd": (-1, -1),
    "native-lossless, fast": (-1, 1),
    "pcodec": (-1, -1),
}
"""Where the name of a coder stands: to the right (1) or left (-1) of its mark, and above or below it."""

# --- the picture -----------------------------------------------------------------------------------


def draw(record: Record) -> bytes:
    """Rate at equal quality, or size without loss, over the speed of decoding."""
    with plotting.styled():
        figure = Figure(figsize=(8.4, 4), layout="constrained")
        lossy, lossless = figure.subplots(1, 2, width_ratios=(1.5, 1))
        plotting.title(lossy, "rate at equal quality, A2 = 100 %")
        _draw_curves(lossy, record)
        plotting.title(lossless, "without loss: size over float32")
        sizes = record["lossless"]
        for number, name in enumerate(LOSSLESS):
            size, _, speed = sizes.get(f"{name} in a row", sizes[name])
            shown = name.replace("native", "native-lossless")
            place = (speed / 4, 100 * size)
            lossless.plot(*place, linestyle="", markersize=6, **plotting.look(number))
            _label(lossless, shown, place)
        for panel in (lossy, lossless):
            _finish(panel)
        figure.supxlabel("decoded elements a second, millions, one thread", fontsize="medium")
        return plotting.save(figure, "png")


def draw_opening(record: Record) -> bytes:
    """Rate at equal quality over the speed of decoding, for a column of the home page."""
    with plotting.styled():
        figure = Figure(figsize=(4.4, 3.4), layout="constrained")
        panel = figure.subplots()
        plotting.title(panel, "rate at equal quality, HEVC (A2) = 100 %")
        _draw_curves(panel, record)
        _finish(panel)
        panel.set_xlabel("decoded elements a second, millions")
        return plotting.save(figure, "png")


def _draw_curves(panel: Any, record: Record) -> None:
    """Rates at equal quality over speed, a curve for each coder."""
    anchor = record["curves"]["HEVC, x265 slower (A2)"]
    for number, (name, points) in enumerate(record["curves"].items()):
        _curve(panel, number, name, points, anchor)
    panel.set_yscale("log")
    panel.set_yticks([50, 75, 100, 150, 200, 300, 500])


def _finish(panel: Any) -> None:
    """Per cent over a logarithm of speed."""
    panel.set_xscale("log", base=2)
    panel.xaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_major_formatter("{x:g} %")
    panel.minorticks_off()
    panel.margins(0.12)
    panel.grid(visible=True)


def _curve(
    panel: Any, number: int, name: str, points: Iterable[Point], anchor: Iterable[Point]
) -> None:
    """Draw the curve of a coder through the qualities of `SNRS` that it and the anchor have."""
    known = _at_equal_quality(points)
    wanted = _at_equal_quality(anchor)
    shared = [snr for snr in SNRS if snr in known and snr in wanted]
    place = [(known[snr][1] / 1e6, 100 * known[snr][0] / wanted[snr][0]) for snr in shared]
    style = plotting.look(number)
    panel.plot(*zip(*place, strict=True), color=style["color"], linewidth=1.2)
    middle = place[shared.index(18.0)]
    panel.plot(*middle, linestyle="", markersize=6, **style)
    _label(panel, name, middle, color=style["color"])


def _label(panel: Any, name: str, point: tuple[float, float], **options: Any) -> None:
    """Write the name of a coder beside its mark, on the side where there is room."""
    across, up = _SIDES.get(name, (1, 1))
    align = "left" if across > 0 else "right"
    plotting.label(panel, name, point, (6 * across, 6 if up > 0 else -10), ha=align, **options)


def _at_equal_quality(points: Iterable[Point]) -> dict[float, tuple[float, float]]:
    """Bits an element and decoded elements a second at those of `SNRS` that a curve reaches."""
    ordered = sorted(points, key=lambda one: float(one["snr"]))
    snrs = [one["snr"] for one in ordered]
    logs = [np.log([one[key] for one in ordered]) for key in ("bits", "decode")]
    return {
        snr: (
            float(np.exp(np.interp(snr, snrs, logs[0]))),
            float(np.exp(np.interp(snr, snrs, logs[1]))),
        )
        for snr in SNRS
        if snrs[0] <= snr <= snrs[-1]
    }


if __name__ == "__main__":
    sys.exit(main())
