"""What hostile streams cost: memory and time of decoder and validator, each in a process of its own.

    python tools/fuzz/loads.py                 all loads
    python tools/fuzz/loads.py index batch     some of them

Memory is the peak beyond what the process held before, after a first feature was decoded.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "bench"), str(HERE.parents[1])]

import numpy as np  # noqa: E402
from memory import peak, reset_peak  # noqa: E402

import refcodec  # noqa: E402
from refcodec.suite.assemble import Insert, Set, disassemble  # noqa: E402
from refcodec.syntax.codes import UnitType  # noqa: E402

Load = Callable[[], bytes]


def largest_native() -> bytes:
    """The largest feature of level 3 in 70 bytes, native."""
    return refcodec.encode(
        np.zeros((16, 1024, 1024), np.float32), coder="native", speed="fast", qp=63
    )


def largest_zlib() -> bytes:
    """The largest feature of level 3, 10 bits, zlib."""
    return refcodec.encode(
        np.zeros((16, 1024, 1024), np.float32), coder="zlib", quantiser="uniform"
    )


def largest_log() -> bytes:
    """The largest feature of level 3, logarithmic, raw."""
    feature = np.zeros((16, 1024, 1024), np.float32)
    return refcodec.encode(feature, coder="raw", quantiser="log", bits=16)


def largest_lossless() -> bytes:
    """The largest feature of level 3, native-lossless."""
    return refcodec.encode(np.zeros((16, 1024, 1024), np.float32), coder="native-lossless")


def largest_hevc() -> bytes:
    """The largest feature of level 3, hevc; memory is that of refcodec, not of ffmpeg."""
    feature = np.zeros((16, 1024, 1024), np.float32)
    return refcodec.encode(feature, coder="hevc", preset="ultrafast", qp=51)


def sequence() -> bytes:
    """64 features of level 1 in sequences as long as it allows, hevc."""
    target = io.BytesIO()
    with refcodec.create(target, coder="hevc", gop=16, bits=8, qp=51) as writer:
        for _ in range(64):
            writer.write(np.zeros((16, 64, 64), np.float32))
    return target.getvalue()


def batch() -> bytes:
    """20 batches of 65,500 features of one bit, level 1."""
    target = io.BytesIO()
    with refcodec.create(target, coder="raw", quantiser="uniform", bits=1, index=False) as writer:
        for _ in range(1024):
            writer.write(np.zeros(1, np.float32))
    stream = Set(2, "coded_feature_batch.feature_count_minus1", 65499)(target.getvalue())
    stream = Set(2, "coded_feature_batch.payloads", "00", times=65500)(stream)
    header, parameters, large, *_, end = map(bytes, disassemble(stream))
    return header + parameters + 20 * large + end


def index() -> bytes:
    """An index of 4 MB that promises 33,554,432 units, level 2."""
    entries = 1 << 25
    payload = b"\x80\x80\x80\x10" + b"\x00" + b"\x04\x10" + b"\xff" * (entries // 8)
    target = io.BytesIO()
    with refcodec.create(target, coder="raw", index=False) as writer:
        writer.write(np.zeros(1, np.float32))
    stream = Set(0, "stream_header.level_idc", 2)(target.getvalue())
    return Insert(3, UnitType.INDEX, 1, payload.hex())(stream)


def alternating() -> bytes:
    """QPs that alternate over 1,048,576 channels, level 3, hevc."""
    stream = refcodec.encode(np.zeros((2, 1, 1), np.float32), coder="hevc", qp=(30, 31))
    stream = Set(0, "stream_header.level_idc", 3)(stream)
    stream = Set(2, "coded_feature.parameters.qp_delta", [0, 1], times=1 << 19)(stream)
    return Set(1, "feature_parameter_set.channels_minus1", (1 << 20) - 1)(stream)


LOADS: dict[str, Load] = {
    one.__name__: one
    for one in (
        largest_native,
        largest_lossless,
        largest_hevc,
        largest_zlib,
        largest_log,
        sequence,
        batch,
        index,
        alternating,
    )
}


def measure(path: Path, what: str) -> dict[str, Any]:
    """Peak and seconds of decoding or validating a file."""
    refcodec.decode(refcodec.encode(np.zeros((1, 1, 1), np.float32)))
    base, start, first, outcome = reset_peak(), time.perf_counter(), 0.0, ""
    if what == "validate":
        report = refcodec.validate(path)
        outcome = report.violations[0].reject if report.violations else "conforming"
    else:
        features = 0
        try:
            for _ in refcodec.open(str(path)):
                features += 1
                first = first or time.perf_counter() - start
            outcome = f"{features} features, the first after {first:.2f} s"
        except refcodec.StreamError as error:
            outcome = error.reject
    seconds = time.perf_counter() - start
    return {"peak": max(0, peak() - base), "seconds": seconds, "outcome": outcome}


def main() -> int:
    """Run the command line; returns the exit status."""
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(Path(sys.argv[2]), sys.argv[3])))
        return 0
    unknown = set(sys.argv[1:]) - LOADS.keys()
    if unknown:
        print(f"no load {', '.join(unknown)}; they are {', '.join(LOADS)}", file=sys.stderr)
        return 2
    place = Path("load.dfc")
    for name in sys.argv[1:] or LOADS:
        stream = LOADS[name]()
        place.write_bytes(stream)
        print(f"{name}: {len(stream):,} bytes. {LOADS[name].__doc__}")
        for what in ("decode", "validate"):
            command = [sys.executable, __file__, "--measure", str(place), what]
            found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
            print(
                f"  {what:<9}{found['peak'] / 2**20:8.1f} MiB {found['seconds']:8.2f} s  "
                f"{found['outcome']}",
                flush=True,
            )
    place.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
