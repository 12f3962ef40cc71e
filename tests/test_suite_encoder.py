"""Encoder conformance: the distance from the source, what streams never use, and bytes spent on nothing."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import CALL_AT_FAULT, run
from rich.console import Console

import refcodec
from refcodec.cli import terminal
from refcodec.suite.assemble import Copy, Set, assemble, disassemble
from refcodec.suite.encoders.coverage import Coverage
from refcodec.suite.encoders.report import Bounds, StreamReport, check_stream
from refcodec.suite.manifest import load_manifest

SUITE = load_manifest(Path(__file__).resolve().parents[1] / "bitstreams")


@pytest.fixture(scope="module")
def conv() -> np.ndarray[Any, Any]:
    with np.load(SUITE.root / "features.npz", allow_pickle=False) as arrays:
        found: np.ndarray[Any, Any] = arrays["conv"]
    return found


def _write(path: Path, features: Any, **config: Any) -> Path:
    with refcodec.create(path, **config) as writer:
        for one in features:
            writer.write(one)
    return path


def _check(
    stream: Path, features: Any = None, coverage: Coverage | None = None, **bounds: float
) -> StreamReport:
    @contextmanager
    def opened() -> Iterator[Iterator[Any]]:
        yield iter(features)

    sources = None if features is None else opened
    return check_stream(
        str(stream), coverage or Coverage(), sources=sources, bounds=Bounds(**bounds)
    )


def _texts(report: StreamReport) -> str:
    return "\n".join(one.what for one in report.advice)


# --- distortion ------------------------------------------------------------------------------------


@pytest.mark.parametrize("coder", ["raw", "zlib", "native-lossless"])
def test_lossless_is_bit_for_bit(coder: str, conv: Any, tmp_path: Path) -> None:
    found = _check(_write(tmp_path / "x.dfc", conv, coder=coder), conv)
    assert found.passed
    assert found.distortion is not None
    assert (found.distortion.lossless, found.distortion.exact) == (8, 8)
    assert found.distortion.as_json()["snr_db"] == "inf"


def test_lossless_that_is_not(conv: Any, tmp_path: Path) -> None:
    other = conv.copy()
    other[3, 2, 1, 0] = np.nextafter(other[3, 2, 1, 0], 9)
    other[5] *= -1  # -0.0 where it was 0.0
    found = _check(_write(tmp_path / "x.dfc", conv, coder="zlib"), other)
    assert not found.passed
    assert found.problems == ["declared lossless, and features 3, 5 are not the source bit for bit"]


def test_special_values_are_no_error(tmp_path: Path) -> None:
    feature = np.array([[[np.nan, np.inf, -np.inf, 1, -0.0]]], np.float32)
    found = _check(_write(tmp_path / "x.dfc", [feature], coder="raw"), [feature])
    assert found.passed
    assert found.distortion is not None
    assert found.distortion.max_error == 0


@pytest.mark.parametrize(
    "config",
    [
        {"coder": "raw", "quantiser": "uniform", "bits": 5},
        {"coder": "zlib", "quantiser": "uniform", "bits": 9, "range": "channel"},
        {"coder": "raw", "quantiser": "log", "bits": 4},
        {"coder": "raw", "quantiser": "log", "bits": 3, "range": "channel"},
        {"coder": "hevc", "lossless": True, "bits": 8},
    ],
)
def test_values_have_the_level_that_fits(config: dict[str, Any], conv: Any, tmp_path: Path) -> None:
    found = _check(_write(tmp_path / "x.dfc", conv, **config), conv)
    assert found.passed
    assert found.distortion is not None
    assert found.distortion.farther == 0
    assert found.distortion.lossless == 0
    assert "fits best" not in _texts(found)


@pytest.mark.parametrize(("quantiser", "shift"), [("uniform", 0.1), ("log", 1.0)])
def test_values_at_another_level_are_counted(
    quantiser: str, shift: float, conv: Any, tmp_path: Path
) -> None:
    path = _write(tmp_path / "x.dfc", conv, coder="raw", quantiser=quantiser, bits=6)
    found = _check(path, conv + np.float32(shift))
    assert found.distortion is not None
    assert found.distortion.farther > conv.size // 4
    assert "fits best" in _texts(found)
    assert found.passed  # an encoder may choose any level


def test_measures_of_a_lossy_stream(conv: Any, tmp_path: Path) -> None:
    """The sums over features are those over all values at once."""
    path = _write(tmp_path / "x.dfc", conv, coder="native", qp=36)
    found = _check(path, conv)
    with refcodec.open(path) as reader:
        decoded = np.stack(list(reader))
    error = decoded.astype(np.float64) - conv
    assert found.distortion is not None
    assert found.distortion.max_error == np.abs(error).max()
    assert found.distortion.mean_squared_error == pytest.approx(np.mean(error**2))
    snr = 10 * np.log10(np.var(conv.astype(np.float64)) / np.mean(error**2))
    assert found.distortion.snr == pytest.approx(snr)
    assert _check(path, conv, min_snr=snr - 0.01, max_error=float(np.abs(error).max())).passed
    low = _check(path, conv, min_snr=snr + 0.01)
    assert "dB, below" in low.problems[0]
    far = _check(path, conv, max_error=float(np.abs(error).max()) * 0.99)
    assert "the largest error is" in far.problems[0]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda x: x[:-1], "the source has 7 features only"),
        (lambda x: np.concatenate([x, x[:1]]), "the source has more than 8 features"),
        (lambda x: x.astype(np.float64), "its source 16 x 8 x 8, float64"),
        (lambda x: x[:, :, :, :-1], "feature 0 is 16 x 8 x 8, float32, and its source 16 x 8 x 7"),
    ],
)
def test_source_of_another_form(change: Any, problem: str, conv: Any, tmp_path: Path) -> None:
    found = _check(_write(tmp_path / "x.dfc", conv, coder="raw"), change(conv))
    assert not found.passed
    assert problem in found.problems[0]


def test_stream_that_does_not_conform(conv: Any, tmp_path: Path) -> None:
    path = _write(tmp_path / "x.dfc", conv, coder="raw")
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    coverage = Coverage()
    found = _check(path, conv, coverage)
    assert not found.passed
    assert found.validation is not None
    assert found.validation.violations[0].reject == "checksum"
    assert not coverage.elements  # a faulty stream is no evidence
    assert not _check(tmp_path / "absent.dfc").passed


# --- advice ----------------------------------------------------------------------------------------


def test_good_stream_gets_no_advice(conv: Any, tmp_path: Path) -> None:
    assert _check(_write(tmp_path / "x.dfc", conv, coder="zlib")).advice == []


def test_missing_index(conv: Any, tmp_path: Path) -> None:
    path = _write(tmp_path / "x.dfc", conv, coder="zlib")
    units = refcodec.inspect(path)
    at = next(number for number, unit in enumerate(units) if unit.name == "index")
    end = bytes.fromhex("7f00")  # an end unit without content
    end += zlib.crc32(end).to_bytes(4, "big")
    path.write_bytes(path.read_bytes()[: units[at].offset // 8] + end)
    found = _check(path)
    assert found.passed, found.validation
    assert "there is no index: readers go through 8 coded units" in _texts(found)


def test_unused_and_repeated_parameter_sets(conv: Any, tmp_path: Path) -> None:
    first = _write(tmp_path / "x.dfc", conv[:1], coder="raw")
    data = Set(2, "feature_parameter_set.fps_id", 5)(Copy(1, 2)(first.read_bytes()))
    first.write_bytes(data)
    unused = _check(first)
    assert unused.passed, unused.validation
    assert "no feature uses this parameter set" in _texts(unused)
    assert unused.advice[-1].bytes == refcodec.inspect(first)[2].size
    again = _write(tmp_path / "y.dfc", conv[:1], coder="raw")
    again.write_bytes(Copy(1, 2)(again.read_bytes()))
    assert "this parameter set is in force already" in _texts(_check(again))


def test_range_that_is_not_used(tmp_path: Path) -> None:
    feature = np.linspace(0, 1, 64, dtype=np.float32).reshape(4, 4, 4)
    path = tmp_path / "x.dfc"
    _write(path, [feature], coder="raw", quantiser="uniform", bits=8, clip=(0, 16))
    found = _check(path)
    assert "samples are 0 to 16 of 0 to 255" in _texts(found)
    assert "with 5 of 8 bits" in _texts(found)
    assert [one.bytes for one in found.advice if one.clause == "8.6"] == [64 * 3 // 8]
    tight = _write(tmp_path / "y.dfc", [feature], coder="raw", quantiser="uniform", bits=8)
    assert "samples are" not in _texts(_check(tight))


def test_equal_ranges_of_channels(tmp_path: Path) -> None:
    channel = np.linspace(-1, 1, 16, dtype=np.float32).reshape(1, 4, 4)
    feature = np.repeat(channel, 6, axis=0)
    config = {"coder": "raw", "quantiser": "uniform", "bits": 8, "range": "channel"}
    found = _check(_write(tmp_path / "x.dfc", [feature], **config))
    assert [one.bytes for one in found.advice if "ranges of all" in one.what] == [4 * 5 * 2]
    feature[2] *= 2
    assert "ranges of all" not in _texts(_check(_write(tmp_path / "y.dfc", [feature], **config)))


def test_small_units_could_be_a_batch(tmp_path: Path) -> None:
    features = np.random.default_rng(1).random((20, 3, 2, 2), np.float32)
    found = _check(_write(tmp_path / "x.dfc", features, coder="raw", batch=False))
    (advice,) = (one for one in found.advice if "a batch shares them" in one.what)
    batched = _write(tmp_path / "y.dfc", features, coder="raw", batch=True)
    saved = (tmp_path / "x.dfc").stat().st_size - batched.stat().st_size
    assert advice.bytes is not None
    assert advice.bytes <= saved <= 4 * advice.bytes
    assert "a batch shares them" not in _texts(_check(batched))


def test_level_and_profile_that_are_too_high(conv: Any, tmp_path: Path) -> None:
    path = _write(tmp_path / "x.dfc", conv, coder="raw")
    data = Set(0, "stream_header.level_idc", 3)(path.read_bytes())
    path.write_bytes(Set(0, "stream_header.profile_idc", 3)(data))
    found = _check(path)
    assert found.passed, found.validation
    assert "level 3 is declared, and level 1 would do" in _texts(found)
    assert "profile native is declared, and lossless would do" in _texts(found)


def test_wide_deltas(conv: Any, tmp_path: Path) -> None:
    path = _write(tmp_path / "x.dfc", conv[:1], coder="native", qp=[30, *[31] * 15])
    assert "qp_delta" not in _texts(_check(path))
    pieces = disassemble(path.read_bytes())
    delta = pieces[2].field("coded_feature_batch.parameters.qp_delta")
    assert len(delta.bits) == 16
    delta.bits = "".join(f"00{bit}" for bit in delta.bits)
    pieces[2].field("coded_feature_batch.parameters.qp_delta_bits").bits = "011"
    pieces[2].settle()
    path.write_bytes(assemble(pieces))
    wide = _check(path)
    assert wide.passed, wide.validation
    assert [one.bytes for one in wide.advice if "qp_delta has more" in one.what] == [16 * 2 // 8]


# --- coverage --------------------------------------------------------------------------------------


def test_coverage_of_the_suite() -> None:
    """The valid vectors use every element; with the tools that they have, none is left."""
    coverage = Coverage()
    for vector in SUITE.vectors:
        if vector.decoder == "accept" and not vector.violation:
            coverage.add(SUITE.path(vector).read_bytes())
    assert coverage.unused_elements() == []
    assert coverage.unused_tools(SUITE) == []
    for name in ("coder_id", "quantiser", "source_type", "feature_type", "shuffle_flag"):
        assert f"feature_parameter_set.{name}" not in coverage.unused_values()


def test_coverage_of_one_stream(conv: Any, tmp_path: Path) -> None:
    coverage = Coverage()
    coverage.add(_write(tmp_path / "x.dfc", conv, coder="zlib").read_bytes())
    unused = coverage.unused_elements()
    assert "feature_parameters.range_max" in unused
    assert "hash.sha256" in unused
    assert "index.unit_distance" not in unused
    assert "feature_parameter_set.alignment" not in unused
    values = coverage.unused_values()
    assert values["feature_parameter_set.coder_id"] == ["raw", "gzip", "bzip2", "lzma"]
    assert values["feature_parameter_set.shuffle_flag"] == ["1"]
    assert "feature_parameters.restoration_mode" not in values  # the element itself is not there
    types = {"coded_feature_batch", "metadata", "hash", "entropy_model"}
    types |= {"network_model", "channel_transform", "context_model"}
    assert set(values["unit_header.unit_type"]) == types
    tools = coverage.unused_tools(SUITE)
    assert {"coder:raw", "metadata", "source:float16"} <= set(tools)
    assert not any(tool.startswith(("native", "coder:hevc", "exact")) for tool in tools)


# --- command line ----------------------------------------------------------------------------------


def test_command(conv: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "conv.npy", conv)
    for coder in ("zlib", "native"):
        _write(tmp_path / f"{coder}.dfc", conv, coder=coder)
    report = tmp_path / "report.json"
    source = ("--source", tmp_path / "conv.npy")
    done = run("conformance", "encoder", tmp_path, *source, "--json", report)
    assert "2 of 2 streams pass" in done.output
    assert "8 of 8 features bit for bit (8 declared so)" in done.output
    assert "feature_parameter_set.source_type: float16, bfloat16" in done.output
    content = json.loads(report.read_text(encoding="utf-8"))
    assert content["passed"]
    assert content["suite"]["manifest_sha256"] == SUITE.sha256
    assert [one["distortion"]["bit_exact"] for one in content["streams"]] == [0, 8]
    done = run("conformance", "encoder", tmp_path, *source, "--min-snr", 60, status=1)
    assert "problem" in done.output
    assert "1 of 2 streams pass" in done.output


def test_lists_are_wrapped_and_grouped(
    conv: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a terminal of 80 columns: elements as counts by structure, and as names if asked for."""
    stream = _write(tmp_path / "x.dfc", conv, coder="zlib")
    monkeypatch.setattr(terminal, "console", lambda: Console(width=80, highlight=False))
    monkeypatch.chdir(tmp_path)
    short = run("conformance", "encoder", stream.name).output.splitlines()
    named = run("conformance", "encoder", stream.name, "--verbose").output.splitlines()
    assert max(map(len, short + named)) <= 80
    coverage = Coverage()
    coverage.add(stream.read_bytes())
    whole, unused = coverage.declared, coverage.unused_elements()
    assert f"  elements, {len(unused)} of {len(whole)} (--verbose names them)" in short
    assert "    metadata_entry: all" in short
    count = [sum(one.startswith("index.") for one in names) for names in (unused, whole)]
    assert f"    index: {count[0]} of {count[1]}" in short
    assert not any("log_exponent" in line for line in short)
    assert "    metadata_entry: key_size, key, value_size, value" in named
    listed = set("".join(named).replace(",", " ").split())
    assert {one.rpartition(".")[2] for one in unused} <= listed
    assert any(line.startswith("    bits: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ") for line in short)


def test_command_fails(conv: Any, tmp_path: Path) -> None:
    stream = _write(tmp_path / "x.dfc", conv, coder="zlib")
    np.save(tmp_path / "other.npy", conv + np.float32(1))
    run("conformance", "encoder", stream, "--source", tmp_path / "other.npy", status=1)
    run("conformance", "encoder", tmp_path / "absent.dfc", status=1)
    run("conformance", "encoder", stream, "--min-snr", 3, status=CALL_AT_FAULT)
    two = ("--source", "a.npy", "--source", "b.npy")
    run("conformance", "encoder", stream, *two, status=CALL_AT_FAULT)
    absent = run("conformance", "encoder", stream, "--source", tmp_path / "absent.npy", status=1)
    assert "absent.npy" in absent.output
