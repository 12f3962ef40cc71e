"""Measures the native coder beside HEVC on this machine, and writes the results page.

    python tools/bench/bench_native.py [--peers docs/results/native.json]

Needs what ``tools/bench`` needs, and the packages torch, bjontegaard, scipy and matplotlib. One process, one
thread. The record of a run, ``docs/results/native.json``, holds every point; the tables of
``docs/results/native.rst`` and its plots are made from it.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import features  # noqa: E402
import native_page  # noqa: E402
import numpy as np  # noqa: E402
import peers  # noqa: E402
from curves import Point, bd_rate, frontier  # noqa: E402
from rich import progress  # noqa: E402

import refcodec  # noqa: E402
from refcodec.files import atomic_file  # noqa: E402
from refcodec.metrics import bits_per_element, fidelity, signal_to_noise  # noqa: E402

Record = dict[str, Any]

QPS = {
    "small": {
        "conv1": (11, 15, 19, 23, 27, 31, 35),
        "layer1": (22, 26, 30, 34, 38, 42, 46),
        "layer2": (22, 26, 30, 34, 38, 42, 46),
        "layer3": (28, 32, 36, 40, 44, 48, 51),
    },
    "large": {
        "conv1": (2, 5, 8, 11, 15, 19, 24),
        "layer1": (25, 30, 35, 40, 45),
        "layer2": (28, 33, 38, 43, 48),
        "layer3": (36, 40, 43, 46, 49, 51),
    },
}
"""QPs of the native coder, whose samples have 16 bits."""

SPEED_SNR = 18.0
"""Coders are timed at the point of their curves that is nearest to this logit SNR, dB."""

SETTINGS = ("fast", "default", "best")
FEWER = {"small": 50, "large": 2}
"""Features that the speed settings are compared on."""


def main() -> int:
    """Measure, then write the record and the page."""
    options = _options()
    if options.child:
        print(json.dumps(_CHILDREN[options.child](*options.arguments)))
        return 0
    if options.render:
        record = json.loads(options.record.read_text())
        native_page.write(record, options.page, options.plots)
        return 0
    columns = (
        progress.TextColumn("{task.description:24}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
    )
    with progress.Progress(*columns) as bar:
        beside = _peers(options, bar)
        if options.only_peers:
            return 0
        record: Record = {"native": {}}
        if options.resume and options.record.exists():
            record = json.loads(options.record.read_text())
        record |= {"machine": machine() | {"command": _command()}, "peers_by": beside["machine"]}
        record |= {"quick": options.features is not None, "peers": beside["peers"]}
        for size, layer in _sets(options):
            if f"{layer}/{size}" not in record["native"]:
                record["native"][f"{layer}/{size}"] = _native(size, layer, options, bar)
                _save(record, options.record)
        record["bd_rate"] = bd_rates(record)
        for name, measure in (
            ("speed", lambda: _speeds(record, options, bar)),
            ("uncorrected", lambda: _uncorrected(record, options)),
            ("memory", lambda: [_child("memory", *place) for place in _MEMORY]),
            ("settings", lambda: _settings(options, bar)),
            ("compilation", _compilation),
        ):
            if name not in record:
                record[name] = measure()
                _save(record, options.record)
    if not record["quick"]:
        native_page.write(record, options.page, options.plots)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench_native.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    results = ROOT / "docs" / "results"
    add("--record", type=Path, default=results / "native.json", help="where the run is recorded")
    add("--page", type=Path, default=results / "native.rst", help="the page with tables to fill")
    add("--plots", type=Path, default=ROOT / "docs" / "images", help="folder of the plots")
    add("--peers", type=Path, help="take the peers' curves from the record of an earlier run")
    add("--only-peers", type=Path, metavar="FILE", help="measure the peers alone, into FILE")
    add("--sizes", nargs="+", choices=features.SIZES, default=[*features.SIZES])
    add("--layers", nargs="+", choices=features.LAYERS, default=[*features.LAYERS])
    add("--features", type=int, help="take only so many of each set: a trial, without a page")
    add("--resume", action="store_true", help="keep what the record has already")
    add("--render", action="store_true", help="make the page again from the record")
    add("--child", choices=sorted(_CHILDREN), help=argparse.SUPPRESS)
    add("arguments", nargs="*", help=argparse.SUPPRESS)
    return parser.parse_args()


def _sets(options: argparse.Namespace) -> list[tuple[str, str]]:
    return [(size, layer) for size in options.sizes for layer in options.layers]


# --- rate and quality ------------------------------------------------------------------------------


class Source:
    """A set of features, or a part of it, and what the network makes of it.

    maps   : float32, N x C x H x W.
    logits : N x 10.
    """

    def __init__(self, size: str, layer: str, count: int | None = None) -> None:
        self.layer = layer
        self.maps = features.part(layer, size, count)
        self.logits = features.tail(self.maps, layer)


def point(source: Source, decoded: features.Floats, size: int, *seconds: float) -> Point:
    """What one run of a coder gives."""
    outputs, reference = features.tail(decoded, source.layer), source.logits
    return {
        "bytes": size,
        "bits": round(bits_per_element(size, source.maps.size), 5),
        "snr": round(signal_to_noise(outputs, reference), 3),
        "fidelity": fidelity(outputs, reference),
        "encode_s": round(seconds[0], 3),
        "decode_s": round(seconds[1], 3),
    }


def encode(maps: features.Floats, qp: int, **choices: Any) -> tuple[bytes, float]:
    """One file with all features, and the seconds it took."""
    target = io.BytesIO()
    begin = time.perf_counter()
    with refcodec.create(target, coder="native", qp=qp, workers=1, **choices) as writer:
        for one in maps:
            writer.write(one)
    return target.getvalue(), time.perf_counter() - begin


def decode(data: bytes) -> tuple[features.Floats, float]:
    """All features of a file, and the seconds it took."""
    begin = time.perf_counter()
    with refcodec.open(io.BytesIO(data)) as reader:
        maps = np.stack(list(reader))
    return maps, time.perf_counter() - begin


def native_curve(
    source: Source, qps: Iterable[int], step: Callable[[], object], **choices: Any
) -> list[Point]:
    """Points of the native coder by rising QP."""
    decode(encode(source.maps[:1], 30, **choices)[0])  # loads, or compiles, the kernels
    found = []
    for qp in qps:
        data, forth = encode(source.maps, qp, **choices)
        decoded, back = decode(data)
        found.append({"qp": qp} | point(source, decoded, len(data), forth, back))
        step()
    return found


def _native(
    size: str, layer: str, options: argparse.Namespace, bar: progress.Progress
) -> list[Point]:
    qps = QPS[size][layer]
    task = bar.add_task(f"native {layer} {size}", total=len(qps))
    source = Source(size, layer, options.features)
    return native_curve(source, qps, partial(bar.advance, task))


def _peers(options: argparse.Namespace, bar: progress.Progress) -> Record:
    if options.peers:
        known: Record = json.loads(options.peers.read_text())
        return {"peers": known["peers"], "machine": known.get("peers_by", known["machine"])}
    found: Record = {}
    for size, layer in _sets(options):
        source = Source(size, layer, options.features)
        task = bar.add_task(
            f"HEVC {layer} {size}", total=sum(map(len, peers.QPS[size][layer].values()))
        )
        for name, qps in peers.QPS[size][layer].items():
            coder = peers.Coder(source.maps, peers.PEERS[name])
            points = found[f"{layer}/{size}/{name}"] = []
            for qp in qps:
                stream, forth = coder.encode(qp)
                decoded, back = coder.decode(stream)
                found_here = point(source, decoded, coder.size(stream), forth, back)
                points.append({"qp": qp} | found_here)
                bar.advance(task)
        _choose_anchor(found, f"{layer}/{size}")
    record = {"peers": found, "machine": machine() | {"command": _command()}}
    if options.only_peers:
        _save(record, options.only_peers)
    return record


def _choose_anchor(found: Record, place: str) -> None:
    """Enter the better quantiser as A1."""
    uniform, log = (found[f"{place}/A1-{kind}"] for kind in ("uniform", "log"))
    change = bd_rate(uniform, log)
    found[f"{place}/A1"] = log if change is not None and change[0] < 0 else uniform


def bd_rates(record: Record) -> list[Record]:
    """BD-rates of the native coder against A1 and A2, with the ranges they are taken over."""
    rows = []
    for place, points in record["native"].items():
        for peer in ("A1", "A2"):
            anchor = record["peers"].get(f"{place}/{peer}")
            if anchor is None:
                continue
            found = bd_rate(anchor, points)
            rows.append(
                {
                    "place": place,
                    "peer": peer,
                    "bd_rate": None if found is None else round(found[0], 2),
                    "range": None if found is None else [round(end, 2) for end in found[1:]],
                    "points": [len(frontier(curve)[0]) for curve in (anchor, points)],
                }
            )
    return rows


def _uncorrected(record: Record, options: argparse.Namespace) -> list[Record]:
    """layer3 without corrected means: its tail averages each channel, and hence sees little else."""
    rows = []
    for size, layer in _sets(options):
        if layer != "layer3":
            continue
        source, place = Source(size, layer, options.features), f"{layer}/{size}"
        points = native_curve(source, QPS[size][layer], lambda: None, restoration="off")
        row: Record = {"place": place, "curve": points}
        for peer in ("A2", "A1"):
            found = bd_rate(record["peers"][f"{place}/{peer}"], points)
            row[peer] = None if found is None else [round(number, 2) for number in found]
        rows.append(row)
    return rows


# --- speed -----------------------------------------------------------------------------------------


def _nearest(points: list[Point], snr: float) -> int:
    return int(min(points, key=lambda one: abs(one["snr"] - snr))["qp"])


def _speeds(record: Record, options: argparse.Namespace, bar: progress.Progress) -> list[Record]:
    """The native coder and A2 in turn: the median of three rounds, for large maps one."""
    rows = []
    places = [place for place in _sets(options) if f"{place[1]}/{place[0]}/A2" in record["peers"]]
    task = bar.add_task("speed", total=len(places))
    for size, layer in places:
        maps = features.part(layer, size, options.features)
        ours = _nearest(record["native"][f"{layer}/{size}"], SPEED_SNR)
        theirs = _nearest(record["peers"][f"{layer}/{size}/A2"], SPEED_SNR)
        coder = peers.Coder(maps, peers.PEERS["A2"])
        runs: list[list[float]] = []
        for _ in range(3 if size == "small" else 1):
            stream, peer_forth = coder.encode(theirs)
            _, peer_back = coder.decode(stream)
            data, forth = encode(maps, ours)
            _, back = decode(data)
            runs.append([forth, back, peer_forth, peer_back])
        forth, back, peer_forth, peer_back = np.median(runs, axis=0)
        rows.append(
            {
                "place": f"{layer}/{size}",
                "qps": [ours, theirs],
                "encode": round(maps.size / forth),
                "decode": round(maps.size / back),
                "a2_encode": round(maps.size / peer_forth),
                "a2_decode": round(maps.size / peer_back),
                "encode_ratio": round(peer_forth / forth, 2),
                "decode_ratio": round(peer_back / back, 3),
            }
        )
        bar.advance(task)
    return rows


def _settings(options: argparse.Namespace, bar: progress.Progress) -> list[Record]:
    """BD-rates and speeds of the speed settings, on fewer features."""
    rows = []
    task = bar.add_task("settings", total=len(_sets(options)) * len(SETTINGS))
    for size, layer in _sets(options):
        count = min(FEWER[size], options.features or FEWER[size])
        source, qps = Source(size, layer, count), QPS[size][layer]
        elements = len(qps) * source.maps.size
        curves = {}
        for speed in SETTINGS:
            curves[speed] = native_curve(source, qps, lambda: None, speed=speed)
            bar.advance(task)
        for speed, points in curves.items():
            change = bd_rate(curves["default"], points)
            rows.append(
                {
                    "place": f"{layer}/{size}",
                    "speed": speed,
                    "features": count,
                    "bd_rate": None if change is None else round(change[0], 2),
                    "range": None if change is None else [round(end, 2) for end in change[1:]],
                    "encode": round(elements / sum(p["encode_s"] for p in points)),
                    "decode": round(elements / sum(p["decode_s"] for p in points)),
                    "curve": points,
                }
            )
    return rows


# --- in processes of their own ---------------------------------------------------------------------


_MEMORY = (("layer1", "small"), ("conv1", "large"), ("layer2", "large"))


def _memory(layer: str, size: str) -> Record:
    """Peak memory of coding one feature, beside what the process had before."""
    one = features.load(layer, size)[:1].copy()
    features.load.cache_clear()
    decode(encode(one[:, :, :16, :16], 30)[0])  # what any use takes is not the feature's
    row: Record = {"place": f"{layer}/{size}", "float32": one.nbytes}
    data, _ = _peaks(row, "encode", lambda: encode(one, 30))
    _peaks(row, "decode", lambda: decode(data))
    return row


def _peaks(row: Record, name: str, action: Callable[[], Any]) -> Any:
    """Enter peaks relative to the feature: of numpy's arrays, and of the whole process."""
    before = _reset_peak()
    result = action()
    row[f"{name}_resident"] = round((_peak() - before) / row["float32"], 2)
    tracemalloc.start()
    action()
    row[f"{name}_arrays"] = round(tracemalloc.get_traced_memory()[1] / row["float32"], 2)
    tracemalloc.stop()
    return result


def _reset_peak() -> int:
    """Let the peak of resident memory start anew where Linux can; returns the bytes resident now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _peak() -> int:
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _first_use() -> Record:
    """Processor seconds of the first encoding and decoding in a process: hardly any work beside loading."""
    one = np.random.default_rng(0).random((1, 2, 8, 8), np.float32)
    begin = time.process_time()
    data, _ = encode(one, 30)
    middle = time.process_time()
    decode(data)
    end = time.process_time()
    return {"encode_s": round(middle - begin, 2), "decode_s": round(end - middle, 2)}


_CHILDREN = {"memory": _memory, "first-use": _first_use}


def _child(name: str, *arguments: str, **environment: str) -> Record:
    """Run one of _CHILDREN in a process of its own."""
    command = [sys.executable, __file__, "--child", name, *arguments]
    done = subprocess.run(
        command, env=os.environ | environment, stdout=subprocess.PIPE, check=True, text=True
    )
    found: Record = json.loads(done.stdout.splitlines()[-1])
    return found


def _compilation() -> Record:
    """First use with an empty folder of compiled kernels, and with a full one."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            "compiling": _child("first-use", REFCODEC_CACHE=folder),
            "compiled": _child("first-use", REFCODEC_CACHE=folder),
        }


# --- record ----------------------------------------------------------------------------------------


def machine() -> Record:
    """What the numbers of a run depend on."""
    import cpuinfo

    info = cpuinfo.get_cpu_info()
    return {
        "processor": info.get("brand_raw", platform.processor()),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("numpy", "numba", "torch", "imageio-ffmpeg")},
        "date": time.strftime("%Y-%m-%d"),
        "load": round(os.getloadavg()[0], 1),
    }


def _command() -> str:
    """The command line, without folders of this machine."""
    words = [Path(word).name if "/" in word else word for word in sys.argv[1:]]
    return " ".join(["python tools/bench/bench_native.py", *words])


def _save(record: Record, path: Path) -> None:
    with atomic_file(path) as file:
        file.write(json.dumps(record, indent=1).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
