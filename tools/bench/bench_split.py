"""Measures split inference over a socket of this machine, stage by stage, and writes the results page.

    python tools/bench/bench_split.py [--requests 200] [--render]

Client and server are processes of their own, with a thread for the network each. The features are those of
``tools/bench/bench_realtime.py``, and need what it needs; the head is the identity, the tail a mean and a
fully connected layer, so that what is left is the way between them. The record of a run is
``docs/results/split.json``.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections import OrderedDict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import features
import torch
from page import fill, table
from record import DOCS, Record, command, load, machine, parser, save
from torch import nn

import refcodec
from refcodec.splitting import Client, Server

SHAPES = ("256x14x14", "512x28x28", "64x56x56")

CODERS: dict[str, dict[str, Any]] = {
    "native-static": {"coder": "native-static", "qp": 35},
    "native": {"coder": "native", "qp": 35},
    "native-lossless, fast": {"coder": "native-lossless", "speed": "fast"},
    "raw": {"coder": "raw"},
}

STAGES = ("encode", "network", "decode", "tail", "answer", "total")

LINKS = {"10 Mbit/s": 1e7, "100 Mbit/s": 1e8}
"""Links for which the time of the bytes is computed."""

_WARM = 10
"""Requests before those that count."""


def main() -> int:
    """Measure, then write the record and the page."""
    found = parser(__doc__ or "", "split", SHAPES)
    found.add_argument("--requests", type=int, default=200, help="of each shape and coder")
    found.add_argument("--page", type=Path, default=DOCS / "results" / "split.rst")
    options = found.parse_args()
    record = load(options, {"rows": []})
    if not options.render:
        record |= {"machine": machine() | {"command": command()}, "requests": options.requests}
        done = {(row["shape"], row["coder"]) for row in record["rows"]}
        for shape, feature in features.of_shapes().items():
            for coder in CODERS:
                if shape in options.layers and (shape, coder) not in done:
                    record["rows"].append(_measure(shape, feature, coder, options.requests))
                    print(json.dumps(record["rows"][-1]), flush=True)
                    save(record, options.record)
    _write(record, options.page)
    return 0


def _halves(shape: tuple[int, ...], coder: str) -> tuple[Client, Server]:
    torch.manual_seed(0)
    network = nn.Sequential(
        OrderedDict(
            head=nn.Identity(),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            fc=nn.Linear(shape[0], 10),
        )
    )
    return refcodec.split(network, "head", input_shape=shape, **CODERS[coder])


def _serve(shape: tuple[int, ...], coder: str, pipe: Connection) -> None:
    """The process of the server: says where it listens, and ends when it is told to."""
    torch.set_num_threads(1)
    with _halves(shape, coder)[1].start() as running:
        pipe.send(running.address)
        pipe.recv()


def _measure(shape: str, feature: features.Floats, coder: str, requests: int) -> Record:
    torch.set_num_threads(1)
    given = torch.from_numpy(feature)[None]
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(feature.shape, coder, there))
    process.start()
    try:
        client, _ = _halves(feature.shape, coder)
        with client.connect(*here.recv()):
            for _ in range(_WARM):
                client(given)
            client.stats.reset()
            for _ in range(requests):
                client(given)
            row = {
                "shape": shape,
                "coder": coder,
                "bytes": round(client.stats.bytes_sent / requests),
                "ms": {name: round(one, 3) for name, one in client.stats.percentile(50).items()},
                "ms_95": {name: round(one, 3) for name, one in client.stats.percentile(95).items()},
            }
            begin = time.perf_counter()
            for _ in client.map([given] * requests):
                pass
            row["per_second"] = round(requests / (time.perf_counter() - begin), 1)
        return row
    finally:
        here.send(None)
        process.join()


def _write(record: Record, page: Path) -> None:
    own = record["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in own["packages"].items())
    text = (
        f"Measured by ``{own['command']}`` ({record['requests']} requests a row) on {own['processor']}, "
        f"{own['cores']} cores, load\n{own['load']}, Python {own['python']}, {packages}.\n"
    )
    heads = ["feature", "coder", "bytes", *STAGES, "95 %", "requests a second"]
    rows = [
        [row["shape"], row["coder"], f"{row['bytes']:,}"]
        + [f"{row['ms'][name]:.2f}" for name in STAGES]
        + [f"{row['ms_95']['total']:.2f}", f"{row['per_second']:,.0f}"]
        for row in record["rows"]
    ]
    links = [
        [row["shape"], row["coder"]]
        + [f"{row['ms']['total'] + 8e3 * row['bytes'] / rate:.1f}" for rate in LINKS.values()]
        for row in record["rows"]
    ]
    parts = {
        "machine": text,
        "stages": table(heads, rows),
        "links": table(["feature", "coder", *LINKS], links),
    }
    fill(page, parts)


if __name__ == "__main__":
    sys.exit(main())
