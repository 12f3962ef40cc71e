"""Measures trained feature codecs against HEVC and the native coder, for the page *Feature codecs*.

    refcodec train tools/training/resnet56-layer2-codec.toml --data ../shared/data \\
        --output R/resnet56-layer2-codec-results --threads 1
    python tools/bench/bench_codecs.py --results R [--resume]

and likewise for the other plans of PLANS, and for other weights of the features at layer2 (WEIGHTS), from the
linear plan with ``--set bottleneck.feature_weight=0.05`` in R/resnet56-layer2-linear-weight-0.05-results.
Those without results are left out. The 200 features of each layer,
and the curves of A1, A2 and the native coder, are those of the page on the native coder
(``docs/results/native.json``). The model is stored apart, and its size stated apart. Other tails are those of
``bench_tails.py``, and tail-aware encoding is that of ``refined.py``. Run it with ``OMP_NUM_THREADS=1``, else
numpy takes all cores for the analysis. Some ten minutes, and twenty for tail-aware encoding.

The record, ``docs/results/codecs.json``, holds every point; ``--render`` makes page and plot from it alone.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path

import codecs_page
import numpy as np
from bench_tails import CONFIG, QPS, TESTED, Place
from coding import read, timed
from features import Source
from record import DOCS, Record, command, load, machine, save
from refined import PLACES, refined

import refcodec
from refcodec.learn.reading import read as read_plan
from refcodec.metrics import signal_to_noise
from refcodec.networks.analysis import FloatAnalysis
from refcodec.probability.hyperprior import HyperpriorModel

PLANS = {
    "layer1 learned": "resnet56-layer1-codec",
    "layer2 learned": "resnet56-layer2-codec",
    "layer2 linear": "resnet56-layer2-linear",
    "layer3 learned": "resnet56-layer3-codec",
}
"""Plans by layer and curve."""

TAILS = ("layer1", "layer2")
"""Layers that other tails were trained for."""

WEIGHTS = (0.0005, 0.05, 0.5)
"""Weights of the error of features at layer2 that are tried beside that of the plan."""

NATIVE = {"layer1": 38, "layer2": 38, "layer3": 48}
"""QPs of the native coder whose speed is compared."""

TRAININGS = Path(__file__).resolve().parents[1] / "training"


def main() -> int:
    """Measure, then write record, page and plot."""
    options = _options()
    record = load(options, {"plans": {}, "speed": {}, "tails": {}, "weights": {}, "refined": {}})
    if not options.render:
        record |= {"machine": machine() | {"command": command()}}
        for curve, plan in PLANS.items():
            folder = options.results / f"{plan}-results"
            if folder.is_dir() and curve not in record["plans"]:
                record["plans"][curve] = measure(curve, plan, folder)
                save(record, options.record)
        for layer in TAILS:
            folder = options.results / f"{PLANS[f'{layer} learned']}-results"
            if folder.is_dir() and layer not in record["tails"]:
                record["tails"][layer] = tails(layer, folder)
                save(record, options.record)
        for weight in WEIGHTS:
            folder = options.results / f"{PLANS['layer2 linear']}-weight-{weight:g}-results"
            if folder.is_dir() and f"{weight:g}" not in record["weights"]:
                record["weights"][f"{weight:g}"] = tails("layer2", folder)
                save(record, options.record)
        for layer, place in PLACES.items():
            folder = options.results / f"{place.plan}-results"
            if folder.is_dir() and layer not in record["refined"]:
                record["refined"][layer] = refined(layer, options.results)
                save(record, options.record)
    codecs_page.render(record, json.loads((DOCS / "results" / "native.json").read_text()), DOCS)
    return 0


def measure(curve: str, name: str, folder: Path) -> Record:
    """The points of a plan, by falling lambda, and the speed of the native coder in the same run."""
    layer = curve.split()[0]
    source, plan = Source(layer, "small"), read_plan(TRAININGS / f"{name}.toml")
    points = []
    for path in sorted(folder.glob("lambda-*/result.json")):
        result = json.loads(path.read_text())
        data, forth = timed(code, source.maps, path.parent)
        decoded, back = timed(read_apart, data, path.parent)
        points.append(
            {"lambda": result["lambda"]}
            | source.judge(decoded, len(data))
            | {
                "feature_snr": round(signal_to_noise(decoded, source.maps), 3),
                "encode_ms": round(1000 * forth / len(source.maps), 2),
                "decode_ms": round(1000 * back / len(source.maps), 2),
                **{key: result[key] for key in ("model_bytes", "network_snr", "floats")},
                "test": {key: result[key] for key in ("bytes", "output_snr", "error")},
            }
        )
        print(curve, points[-1], flush=True)
    data, forth = timed(native, source, layer)
    _, back = timed(read, data)
    return {
        "steps": plan.training.steps,
        "batch": plan.training.batch,
        "points": sorted(points, key=lambda one: -one["lambda"]),
        "native": {
            "qp": NATIVE[layer],
            "encode_ms": round(1000 * forth / len(source.maps), 2),
            "decode_ms": round(1000 * back / len(source.maps), 2),
        },
    }


def native(source: Source, layer: str) -> bytes:
    """The features by the native coder."""
    target = io.BytesIO()
    with refcodec.create(target, CONFIG, qp=NATIVE[layer]) as writer:
        for one in source.maps:
            writer.write(one)
    return target.getvalue()


def code(maps: np.ndarray, folder: Path) -> bytes:
    """A file of features under the codec of a run, whose model is apart."""
    target = io.BytesIO()
    with refcodec.create(
        target,
        coder="learned",
        model=HyperpriorModel.load(folder / "model.dfcm"),
        model_apart=True,
        analysis=FloatAnalysis.load(folder / "analysis.safetensors"),
    ) as writer:
        for one in maps:
            writer.write(one)
    return target.getvalue()


def read_apart(data: bytes, folder: Path) -> np.ndarray:
    """All features of such a file."""
    with refcodec.open(io.BytesIO(data), models=folder) as reader:
        return np.stack(list(reader))


def tails(layer: str, folder: Path) -> Record:
    """Quality of every tail, with the native coder and with the codec."""
    place = Place(layer, TESTED)
    learned = []
    for path in sorted(folder.glob("lambda-*/model.dfcm")):
        data, seconds = timed(code, place.maps, path.parent)
        point = place.point(data, seconds, read_apart(data, path.parent))
        learned.append({"lambda": float(path.parent.name.split("-seed")[0][7:])} | point)
    return {
        "native": [place.plain(qp) for qp in (*range(22, QPS[0], 4), *QPS)],
        "learned": sorted(learned, key=lambda one: one["bits"]),
    }


def _options() -> argparse.Namespace:
    found = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--results", type=Path, help="folder of the folders of results")
    found.add_argument("--record", type=Path, default=DOCS / "results" / "codecs.json")
    found.add_argument("--resume", action="store_true", help="keep what the record has already")
    found.add_argument("--render", action="store_true", help="from the record alone")
    return found.parse_args()


if __name__ == "__main__":
    sys.exit(main())
