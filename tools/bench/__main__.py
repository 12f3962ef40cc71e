"""Measures refcodec on this machine and writes the results page.

    python tools/bench [--output docs/results/foundation.rst] [--maps 10000]

The measurements are those of ``bench_foundation.py``, by pytest-benchmark; they need the networks and images
of ``../shared/data`` (or ``$REFCODEC_DATA``). Everything runs on one thread; ratios are taken in one run,
in turn, so that they hold on a noisy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from page import table
from record import DOCS

from refcodec.evaluate.machine import describe_machine
from refcodec.files import atomic_file

_MEASUREMENTS = Path(__file__).with_name("bench_foundation.py")


def main() -> int:
    """Run the benchmarks, then render their records."""
    parser = argparse.ArgumentParser(prog="python tools/bench", description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=DOCS / "results" / "foundation.rst")
    parser.add_argument("--maps", type=int, default=10_000, help="features of the x265 comparison")
    parser.add_argument("--select", default="", help="run only benchmarks that match (pytest -k)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record.json"
        command = [
            *(sys.executable, "-m", "pytest", str(_MEASUREMENTS), "-q", "-p", "no:xdist"),
            *("-o", "addopts=", "--benchmark-enable"),
            *(f"--benchmark-json={record}", "-k", options.select),
        ]
        environment = os.environ | {
            "REFCODEC_BENCH_MAPS": str(options.maps),
            "OMP_NUM_THREADS": "1",
        }
        status = subprocess.run(command, env=environment, cwd=DOCS.parent).returncode
        if status:
            return status
        records = json.loads(record.read_text())
    rows: dict[str, list[dict[str, Any]]] = {}
    for one in records["benchmarks"]:
        rows.setdefault(one["group"], []).append(
            one["extra_info"] | {"seconds": one["stats"]["median"]}
        )
    if options.select:
        print(json.dumps(rows, indent=1))
        return 0
    with atomic_file(options.output) as file:
        file.write(render(rows, options.maps).encode())
    print(f"wrote {options.output}")
    return 0


def render(rows: dict[str, list[dict[str, Any]]], maps: int) -> str:
    """The results page, in reStructuredText."""
    machine = describe_machine(("numpy", "imageio-ffmpeg"))
    machine["packages"] = ", ".join(" ".join(one) for one in machine["packages"].items())
    parts = [
        _TITLE.format(maps=maps, **machine),
        _section("Lossless", _LOSSLESS, rows["lossless"], _CODING),
        _section("HEVC", _HEVC, rows["hevc"], _LOSSY),
        _section("Speed compared with x265", _X265.format(maps=maps), rows["x265"], _RATIO),
        _section("Sequences", _SEQUENCES, rows["sequence"], _SEQUENCE),
        _section("Overheads", _OVERHEADS, rows["overhead"], _OVERHEAD),
    ]
    return "\n".join(parts)


Column = tuple[str, str, str]  # heading, key of the record, format

_CODING: Sequence[Column] = (
    ("layer", "layer", "s"),
    ("coder", "coder", "s"),
    ("coded / float32", "rate", ".3f"),
    ("encode, MB/s", "encode_mb", ".1f"),
    ("decode, MB/s", "decode_mb", ".1f"),
)
_LOSSY: Sequence[Column] = (
    ("layer", "layer", "s"),
    ("QP", "qp", "d"),
    ("bits per element", "bits", ".3f"),
    ("feature SNR, dB", "feature_snr", ".1f"),
    ("logit SNR, dB", "logit_snr", ".1f"),
    ("fidelity", "fidelity", ".3f"),
    ("encode, M/s", "encode_me", ".2f"),
    ("decode, M/s", "decode_me", ".1f"),
)
_RATIO: Sequence[Column] = (
    ("maps", "maps", "d"),
    ("x265 alone, s", "x265_seconds", ".1f"),
    ("refcodec, s", "refcodec_seconds", ".1f"),
    ("speed of refcodec / speed of x265", "ratio", ".3f"),
)
_SEQUENCE: Sequence[Column] = (
    ("layer", "layer", "s"),
    ("features", "features", "d"),
    ("all intra, bytes", "intra", "d"),
    ("SNR, dB", "intra_snr", ".1f"),
    ("predicted, bytes", "inter", "d"),
    ("SNR, dB", "inter_snr", ".1f"),
    ("ratio", "ratio", ".3f"),
)
_OVERHEAD: Sequence[Column] = (
    ("what", "what", "s"),
    ("measured", "measured", ".2f"),
    ("bound", "bound", ".2f"),
    ("unit", "unit", "s"),
)

_TITLE = """\
Rates, speeds and overheads
===========================

Measured by ``python tools/bench --maps {maps}`` on {processor}, {cores} cores,
Python {python}, {packages}. One thread; the start of ffmpeg is included; medians of three rounds. Sizes are
those of whole files: one file holds the features of a whole set. Features are those of ResNet-56 (CIFAR) on
the first 20 test images of each class; the network's own tail runs on the decoded features.
The machine did other work at the same time: speeds are lower bounds; ratios are measured in turn and
unaffected.
"""
_LOSSLESS = """\
Coded size over float32 size, smaller is better, with the compressors' default settings; ``+ shuffle`` first
groups the bytes by significance.
"""
_HEVC = """\
10-bit uniform quantisation with the tensor's range, channels tiled into one frame, x265 ``medium``, all
intra, one QP, statistics restoration ``auto``. Speeds in million elements per second; encoding includes
decoding, for the sample hash. *Fidelity* is the share of images whose decision is kept (Hu et al. 2020,
eq. 4); *logit SNR* is 10 log10(var(out) / MSE) of the network's output.
"""
_X265 = """\
{maps} maps of 16 x 32 x 32 (``conv1``), QP 32, one process at a time. *x265 alone* is the same ffmpeg with
the same frames and options, without refcodec; the two take turns, 2,000 maps each.
"""
_SEQUENCES = """\
A 64 x 64 window pans over a photograph, 2 pixels per frame; the features of 32 consecutive frames at QP 32,
coded all intra and predicted over time (``gop=16``).
"""
_OVERHEADS = """\
Headers and side information of real files. HEVC parameter sets count as payload.
"""


def _section(title: str, text: str, rows: list[dict[str, Any]], columns: Sequence[Column]) -> str:
    body = [[format(row[key], kind) for _, key, kind in columns] for row in rows]
    return f"{title}\n{'-' * len(title)}\n\n{text}\n{table([c[0] for c in columns], body)}"


if __name__ == "__main__":
    sys.exit(main())
