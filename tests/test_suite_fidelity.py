"""Fidelity vectors: refcodec meets them, hand and exact arithmetic derive them, wrong evaluations fail."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from command import CALL_AT_FAULT, run
from variation import PATIENCE

from refcodec import metrics
from refcodec.demo.network import Network
from refcodec.errors import CallerError
from refcodec.hashes import little_endian_bytes
from refcodec.reader import open_stream
from refcodec.suite.fidelity import (
    FidelityVector,
    compare,
    fidelity_schema,
    load_fidelity,
    read_results,
)

ROOT = Path(__file__).resolve().parents[1]
SUITE = ROOT / "bitstreams"
TOOL = ROOT / "tools" / "fidelity" / "make_fidelity.py"
VECTORS = load_fidelity(SUITE)

Inputs = dict[str, Any]


def _array(entry: dict[str, Any]) -> np.ndarray[Any, Any]:
    return np.array(entry["values"], entry["dtype"])


def _pair(inputs: Inputs, *names: str) -> tuple[Any, ...]:
    return tuple(_array(inputs[name]) for name in names)


def _curves(inputs: Inputs) -> tuple[Any, Any]:
    curves = pytest.importorskip("refcodec.evaluate.curves")
    anchor, other = (
        curves.Curve(*map(list, zip(*inputs[name], strict=True))) for name in ("anchor", "other")
    )
    return anchor, other


def _bd(name: str) -> Callable[[Inputs], float]:
    def difference(inputs: Inputs) -> float:
        pytest.importorskip("bjontegaard")
        from refcodec.evaluate import curves

        found = getattr(curves, name)(*_curves(inputs))
        assert found is not None
        return float(found.value)

    return difference


def _qps(inputs: Inputs) -> list[int]:
    pytest.importorskip("torch")
    from refcodec.allocate.sensitivity import algorithm1_qps

    return list(
        algorithm1_qps(inputs["sensitivity"], inputs["qp_base"], qp_range=inputs["qp_range"])
    )


REFERENCE: dict[str, Callable[[Inputs], Any]] = {
    "compression_rate": lambda x: metrics.compression_rate(
        x["coded_bytes"], np.zeros(x["shape"], x["dtype"])
    ),
    "bits_per_element": lambda x: metrics.bits_per_element(x["coded_bytes"], x["elements"]),
    "fidelity": lambda x: metrics.fidelity(*_pair(x, "outputs", "reference")),
    "top1_accuracy": lambda x: metrics.top1_accuracy(_array(x["outputs"]), np.array(x["labels"])),
    "top_accuracy": lambda x: metrics.top_accuracy(
        _array(x["outputs"]), np.array(x["labels"]), x["k"]
    ),
    "mean_iou": lambda x: metrics.mean_iou(*_pair(x, "outputs", "masks")),
    "mean_squared_error": lambda x: metrics.mean_squared_error(*_pair(x, "decoded", "original")),
    "max_error": lambda x: metrics.max_error(*_pair(x, "decoded", "original")),
    "signal_to_noise": lambda x: metrics.signal_to_noise(*_pair(x, "decoded", "original")),
    "cosine_similarity": lambda x: metrics.cosine_similarity(*_pair(x, "decoded", "original")),
    "algorithm1_qps": _qps,
    "bd_rate": _bd("bd_rate"),
    "bd_quality": _bd("bd_quality"),
}

BY_HAND: dict[str, Any] = {
    "rate-float32": 1 / 4,
    "rate-float16": 3 / 2,
    "bits-per-element": 14 / 3,
    "fidelity-images": 3 / 4,
    "fidelity-ties": 1,
    "fidelity-pixels": (3 + 4) / 12,
    "top-1": 3 / 4,
    "top-5": 3 / 4,
    "top-2": 3 / 4,
    "mean-iou": (3 / 4 + 4 / 5 + 1) / 3,
    "mean-iou-absent-class": 1 / 4,
    "mse": 25 / 64,
    "mse-float16": 180000.125,
    "mse-large": (2**24 + 0.5) ** 2 / 2,
    "max-error-uint8": 2,
    "max-error-sign": 4.25,
    "snr": 10 * math.log10(8),
    "snr-several": 10 * math.log10(44),
    "snr-equal": math.inf,
    "snr-constant": -math.inf,
    "cosine": 0.96,
    "cosine-irrational": -1 / math.sqrt(15),
    "cosine-zeros": 1,
    "cosine-one-zero": 0,
    "algorithm1-qps": (38, 33, 37, 37, 34),
    "bd-rate-scaled": 25,
    "bd-rate-part": 100,
    "bd-rate-dominated": 25,
    "bd-quality-raised": 1.5,
}
"""Values that a person derives from the inputs, without a program."""


def _tail(inputs: Inputs) -> dict[str, Any]:
    """The reference's values of the network's tail on a stream."""
    stream = SUITE / inputs["stream"]
    with open_stream(stream) as reader:
        decoded = np.stack(list(reader))
    with np.load(SUITE / inputs["originals"]["file"], allow_pickle=False) as arrays:
        original = arrays[inputs["originals"]["array"]]
    network = Network.load()
    outputs, reference = (network.tail(one, inputs["layer"]) for one in (decoded, original))
    size = stream.stat().st_size
    return {
        "classes": outputs.argmax(axis=1).tolist(),
        "original_classes": reference.argmax(axis=1).tolist(),
        "fidelity": metrics.fidelity(outputs, reference),
        "top1_accuracy": metrics.top1_accuracy(outputs, np.array(inputs["labels"])),
        "output_snr_db": metrics.signal_to_noise(outputs, reference),
        "feature_snr_db": metrics.signal_to_noise(decoded, original),
        "mean_squared_error": metrics.mean_squared_error(decoded, original),
        "compression_rate": metrics.compression_rate(size, original),
        "bits_per_element": metrics.bits_per_element(size, original.size),
    }


def _values(vector: FidelityVector) -> Any:
    if vector.metric == "tail":
        return _tail(vector.inputs)
    return {"value": REFERENCE[vector.metric](vector.inputs)}


def _written(path: Path, results: dict[str, Any]) -> Path:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(one) for name, one in value.items()}
        if isinstance(value, list):
            return list(map(int, value))
        return str(value) if math.isinf(value) else float(value)

    path.write_text(json.dumps(plain(results)), encoding="utf-8")
    return path


@pytest.mark.parametrize("vector", VECTORS, ids=[one.name for one in VECTORS])
def test_reference_meets_the_vector(vector: FidelityVector, tmp_path: Path) -> None:
    path = _written(tmp_path / "results.json", {vector.id: _values(vector)})
    found = compare((vector,), read_results(path, VECTORS))
    assert [one for one in found if one.status != "pass"] == []


@pytest.mark.parametrize("name", BY_HAND)
def test_values_by_hand(name: str) -> None:
    vector = next(one for one in VECTORS if one.name == name)
    (expected,) = vector.expected
    assert expected.value == pytest.approx(BY_HAND[name], rel=1e-14)


def test_few_values_are_beyond_hands() -> None:
    rest = {one.name for one in VECTORS if one.metric != "tail"} - set(BY_HAND)
    assert rest == {"bd-rate-bent", "bd-quality-bent"}  # by exact_metrics alone


def test_every_metric_has_a_vector() -> None:
    tested = {one.metric for one in VECTORS}
    assert set(metrics.__all__) - {"overlap"} <= tested  # overlap: the counts within mean_iou
    assert {"bd_rate", "bd_quality", "algorithm1_qps", "tail"} <= tested


def test_definitions_give_the_committed_file() -> None:
    """Exact arithmetic derives every value again, to the last digit."""
    done = subprocess.run(
        [sys.executable, str(TOOL), "--check"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_streams_and_weights_are_those_of_the_hashes() -> None:
    content = json.loads((SUITE / "fidelity" / "fidelity.json").read_text(encoding="utf-8"))
    weights = (files("refcodec.demo") / "weights.npz").read_bytes()
    assert content["network"]["sha256"] == hashlib.sha256(weights).hexdigest()
    tails = [one.inputs for one in VECTORS if one.metric == "tail"]
    assert {SUITE / one["stream"] for one in tails} == set((SUITE / "fidelity").glob("*.dfc"))
    for inputs in tails:
        data = (SUITE / inputs["stream"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == inputs["sha256"]
        with open_stream(data) as reader:
            features = b"".join(map(little_endian_bytes, reader))
        assert hashlib.sha256(features).hexdigest() == inputs["features_sha256"]


def test_some_decisions_change() -> None:
    shares = {
        one.name: value.value
        for one in VECTORS
        if one.metric == "tail"
        for value in one.expected
        if value.name == "fidelity"
    }
    assert shares["conv-lossless"] == 1
    assert sum(share != 1 for share in shares.values()) >= 4


# --- schema and results ----------------------------------------------------------------------------


def test_schema() -> None:
    schema = fidelity_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    content = json.loads((SUITE / "fidelity" / "fidelity.json").read_text(encoding="utf-8"))
    jsonschema.validate(content, schema)
    ids = [one["id"] for one in content["vectors"]]
    assert len(ids) == len(set(ids)) == len({one["name"] for one in content["vectors"]})
    assert all(one["tolerance"].keys() == one["expected"].keys() for one in content["vectors"])
    content["vectors"][0]["expected"]["value"] = "a quarter"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema)


MISTAKES: dict[str, tuple[str, Callable[[Inputs], Any]]] = {
    "inverse rate": ("rate-float32", lambda x: 4),
    "float32 assumed": ("rate-float16", lambda x: 300 / 400),
    "bytes per element": ("bits-per-element", lambda x: 7 / 12),
    "last of equal classes": ("fidelity-ties", lambda x: 1 / 4),
    "classes last": (
        "fidelity-pixels",
        lambda x: np.mean(_array(x["outputs"]).argmax(-1) == _array(x["reference"]).argmax(-1)),
    ),
    "all equal outputs are higher": ("top-5", lambda x: 2 / 4),
    "squares in float16": (
        "mse-float16",
        lambda x: float(np.float16(np.inf)),
    ),
    "differences in uint8": (
        "max-error-uint8",
        lambda x: np.subtract(*_pair(x, "decoded", "original")).max(),
    ),
    "power instead of variance": ("snr", lambda x: 10 * math.log10(26 / 0.125)),
    "sample variance": ("snr", lambda x: 10 * math.log10(2 / 0.125)),
    "SNR by channel": ("snr-several", lambda x: 10 * math.log10(5.3)),
    "most sensitive is coarsest": ("algorithm1-qps", lambda x: [43, 38, 42, 42, 39]),
    "rates of the other as anchor": ("bd-rate-scaled", lambda x: -20),
    "mean of relative rates": ("bd-rate-bent", lambda x: -12.0),
}
"""Plausible mistakes of an evaluation: what it would report for a vector."""


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_found(mistake: str, tmp_path: Path) -> None:
    name, wrong = MISTAKES[mistake]
    vector = next(one for one in VECTORS if one.name == name)
    path = _written(tmp_path / "results.json", {name: wrong(vector.inputs)})
    (found,) = compare((vector,), read_results(path, VECTORS))
    assert found.status == "fail"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("nonsense", "cannot read"),
        ("[1]", "is no object of vectors"),
        ('{"no such vector": 1}', "no fidelity vector is called"),
        ('{"snr": "much"}', "neither a number nor a list of integers"),
        ('{"snr": true}', "neither a number nor a list of integers"),
        ('{"snr": [0.5]}', "neither a number nor a list of integers"),
        ('{"snr": {"db": 9}}', "has no value 'db'"),
        ('{"conv-native": 1}', "it has classes, original_classes, fidelity"),
    ],
)
def test_bad_results(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CallerError, match=message):
        read_results(path, VECTORS)
    run("conformance", "fidelity", path, status=CALL_AT_FAULT)


def test_suite_without_fidelity_vectors(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CallerError, match=r"fidelity\.json"):
        load_fidelity(tmp_path)


# --- command line ----------------------------------------------------------------------------------


def test_expected_values_are_printed() -> None:
    done = run("conformance", "fidelity")
    lines = [line.split() for line in done.output.splitlines()]
    assert ["DFC-F-0001", "rate-float32", "compression_rate", "0.25"] in [
        line[:4] for line in lines
    ]
    listed = json.loads(run("conformance", "fidelity", "--json").output)
    assert {one["id"] for one in listed} == {one.id for one in VECTORS}


def test_verdicts(tmp_path: Path) -> None:
    expected: dict[str, dict[str, Any]] = {
        vector.id: {
            one.name: list(one.value) if isinstance(one.value, tuple) else one.value
            for one in vector.expected
        }
        for vector in VECTORS
    }
    path = _written(tmp_path / "all.json", expected)
    count = sum(len(one) for one in expected.values())
    assert f"{count} of {count} values agree" in run("conformance", "fidelity", path).output

    del expected["DFC-F-0004"]
    _written(path, expected)
    done = run("conformance", "fidelity", path, status=1)
    assert f"{count - 1} of {count} values agree, 1 absent" in done.output
    run("conformance", "fidelity", path, "--partial")

    expected["DFC-F-0104"]["classes"][7] = 5
    _written(path, expected)
    done = run("conformance", "fidelity", path, "--partial", "--json", status=1)
    wrong = [one for one in json.loads(done.output) if one["status"] == "fail"]
    assert [(one["id"], one["value"]) for one in wrong] == [("DFC-F-0104", "classes")]
