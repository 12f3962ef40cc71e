"""Measurements that need a process of their own: peak memory of coding a feature, time of the first use.

python tools/bench/alone.py memory LAYER SIZE
python tools/bench/alone.py first-use
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from coding import read, write
from memory import peak, reset_peak
from record import Record

__all__ = ["PLACES", "compilation", "peak_memory"]

PLACES = (("layer1", "small"), ("conv1", "large"), ("layer2", "large"))
"""Layers and sizes whose memory is measured."""


def peak_memory(layer: str, size: str) -> Record:
    """Peak memory of coding one feature, over the feature's own bytes."""
    return _run("memory", layer, size)


def compilation() -> Record:
    """First use with an empty folder of compiled kernels, and with a full one."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            "compiling": _run("first-use", REFCODEC_CACHE=folder),
            "compiled": _run("first-use", REFCODEC_CACHE=folder),
        }


def _run(*arguments: str, **environment: str) -> Record:
    """Run this file as a program."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    found: Record = json.loads(done.stdout.splitlines()[-1])
    return found


# --- inside the process ----------------------------------------------------------------------------


def _code(maps: Any) -> bytes:
    return write(maps, coder="native", qp=30)


def _peak_memory(layer: str, size: str) -> Record:
    import features

    one = features.load(layer, size)[:1].copy()
    features.load.cache_clear()
    read(_code(one[:, :, :16, :16]))  # what any use takes is not the feature's
    row: Record = {"place": f"{layer}/{size}", "float32": one.nbytes}
    data = _peaks(row, "encode", lambda: _code(one))
    _peaks(row, "decode", lambda: read(data))
    return row


def _peaks(row: Record, name: str, action: Callable[[], Any]) -> Any:
    """Enter peaks relative to the feature: of numpy's arrays, and of the whole process."""
    before = reset_peak()
    result = action()
    row[f"{name}_resident"] = round((peak() - before) / row["float32"], 2)
    tracemalloc.start()
    action()
    row[f"{name}_arrays"] = round(tracemalloc.get_traced_memory()[1] / row["float32"], 2)
    tracemalloc.stop()
    return result


def _first_use() -> Record:
    """Processor seconds of the first encoding and decoding in a process: hardly any work beside loading."""
    one = np.random.default_rng(0).random((1, 2, 8, 8), np.float32)
    begin = time.process_time()
    data = _code(one)
    middle = time.process_time()
    read(data)
    end = time.process_time()
    return {"encode_s": round(middle - begin, 2), "decode_s": round(end - middle, 2)}


def main() -> int:
    """Measure one thing, and print it as JSON."""
    measures: dict[str, Callable[..., Record]] = {"memory": _peak_memory, "first-use": _first_use}
    name, *arguments = sys.argv[1:] or ["--help"]
    if name not in measures:
        print(__doc__)
        return 0 if name in ("-h", "--help") else 2
    print(json.dumps(measures[name](*arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
