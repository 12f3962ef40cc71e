from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from command import CALL_AT_FAULT, INPUT_AT_FAULT, run
from numpy.lib import format as npy
from safetensors import safe_open
from safetensors.numpy import save_file
from variation import PATIENCE

import refcodec
from refcodec.cli.arrays import open_features
from refcodec.cli.help_texts import described_fields
from refcodec.cli.terminal import printable
from refcodec.errors import CallerError


def chance() -> np.random.Generator:
    """The same numbers in every test, whatever ran before it."""
    return np.random.default_rng(7)


@pytest.fixture
def conv() -> Any:
    return np.maximum(chance().normal(size=(3, 4, 5, 6)), 0).astype(np.float32)


@pytest.fixture
def batch(tmp_path: Path, conv: Any) -> Path:
    np.save(tmp_path / "batch.npy", conv)
    return tmp_path / "batch.npy"


@pytest.fixture
def stream(tmp_path: Path, batch: Path) -> Path:
    run("encode", batch, tmp_path / "batch.dfc", "--coder", "zlib", "--metadata", "net=VGG 16")
    return tmp_path / "batch.dfc"


@pytest.fixture
def damaged(tmp_path: Path, stream: Path) -> Path:
    data = bytearray(stream.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "damaged.dfc").write_bytes(data)
    return tmp_path / "damaged.dfc"


# --- encode and decode -----------------------------------------------------------------------------


def test_encode_decode(tmp_path: Path, batch: Path, stream: Path) -> None:
    result = run("decode", stream, tmp_path / "back.npy")
    assert (tmp_path / "back.npy").read_bytes() == batch.read_bytes()
    lost = "has no room for metadata (net); .safetensors has"
    assert result.output == f"warning: {tmp_path / 'back.npy'} {lost}\n"
    result = run("decode", stream, tmp_path / "back.safetensors")
    assert result.output == ""


def test_hevc_options_reach_the_stream(tmp_path: Path, batch: Path) -> None:
    qps = tmp_path / "q.json"
    qps.write_text("[30, 30, 36, 33]", encoding="utf-8")
    out = tmp_path / "out.dfc"
    options = ("--coder", "hevc", "--bits", 8, "--range", "channel", "--workers", 1)
    run("encode", batch, out, "--qp-file", qps, *options)
    found = json.loads(run("info", out, "--json").stdout)
    assert found["profile"] == "hevc"
    assert found["features"] == 3
    (one,) = found["parameter_sets"]
    assert (one["bits"], one["range_per_channel"], one["qp"]) == (8, True, [30, 36])
    text = run("info", out).stdout
    assert "  QP           30 to 36\n" in text
    assert "  coder        hevc, tiles" in text
    assert run("validate", out).stdout == f"{out}: conforming, 3 features in 7 units\n"


def test_native_is_the_default(tmp_path: Path, batch: Path) -> None:
    out = tmp_path / "out.dfc"
    options = "--qp 27.625 --bits 9 --speed fast --restoration mean --workers 1 --no-batch"
    run("encode", batch, out, *options.split())
    found = json.loads(run("info", out, "--json").stdout)
    assert found["profile"] == "native"
    expected = {
        "coder": "native",
        "bits": 9,
        "qp": [27.625, 27.625],
        "lossless": False,
        "tiles": None,
        "temporal_prediction": False,
        "sample_hash_bytes": 0,
    }
    assert found["parameter_sets"][0].items() >= expected.items()
    text = run("info", out).stdout
    assert "  QP           27.625\n" in text
    assert "  coder        native, lossy, all intra\n" in text
    assert run("validate", out).stdout == f"{out}: conforming, 3 features in 7 units\n"
    assert json.loads(run("compare", batch, out, "--json").stdout)["snr_db"] > 10


def test_native_over_time(tmp_path: Path, batch: Path) -> None:
    out = tmp_path / "out.dfc"
    run("encode", batch, out, "--gop", 2)
    assert "  coder        native, lossy, predicted over time\n" in run("info", out).stdout
    run("decode", out, tmp_path / "back.npy")
    assert np.load(tmp_path / "back.npy").shape == (3, 4, 5, 6)


def test_native_targets(tmp_path: Path, batch: Path) -> None:
    small, fine = tmp_path / "small.dfc", tmp_path / "fine.dfc"
    run("encode", batch, small, "--target-size", 60)
    units = json.loads(run("inspect", small, "--json").stdout)
    sizes = [
        one["width"] // 8
        for unit in units
        for one in unit["elements"]
        if one["name"] == "coded_feature.payload"
    ]
    assert len(sizes) == 3
    assert max(sizes) <= 60
    run("encode", batch, fine, "--target-snr", 30)
    assert json.loads(run("compare", batch, fine, "--json").stdout)["snr_db"] > 29
    low, high = json.loads(run("info", small, "--json").stdout)["parameter_sets"][0]["qp"]
    assert high > low


@pytest.mark.parametrize("speed", ["fast", "default"])
def test_native_lossless(tmp_path: Path, speed: str) -> None:
    values = chance().normal(size=(2, 8, 16, 16)).astype(np.float32)
    values[0, 0, 0, :3] = np.nan, np.inf, -0.0
    np.save(tmp_path / "in.npy", values)
    out = tmp_path / "out.dfc"
    run("encode", tmp_path / "in.npy", out, "--coder", "native-lossless", "--speed", speed)
    (one,) = json.loads(run("info", out, "--json").stdout)["parameter_sets"]
    assert (one["coder"], one["lossless"], one["qp"]) == ("native-lossless", True, None)
    assert "  coder        native-lossless\n" in run("info", out).stdout
    run("decode", out, tmp_path / "back.npy")
    assert (tmp_path / "back.npy").read_bytes() == (tmp_path / "in.npy").read_bytes()


def test_a_first_run_says_that_it_compiles(monkeypatch: pytest.MonkeyPatch, batch: Path) -> None:
    import logging

    import refcodec.writer

    create = refcodec.writer.create

    def announcing(*arguments: Any, **options: Any) -> Any:
        for _ in range(2):
            logging.getLogger("refcodec").warning("compiling kernels for this machine: once")
        return create(*arguments, **options)

    monkeypatch.setattr(refcodec, "create", announcing)
    result = run("encode", batch, batch.parent / "x.dfc", "--coder", "raw")
    assert result.stderr == "note: compiling kernels for this machine: once\n"


def test_qps_of_each_feature(tmp_path: Path, batch: Path) -> None:
    qps, out = tmp_path / "q.json", tmp_path / "out.dfc"
    qps.write_text("[[30, 30, 36, 33], [20, 20, 20, 20]]", encoding="utf-8")
    refused = run("encode", batch, out, "--qp-file", qps, status=CALL_AT_FAULT)
    assert "QPs for 2 features; there are 3" in refused.stderr
    for wrong in ("{}", "[1, [2]]", "[]", "[1.5]", "[", "[true]"):
        qps.write_text(wrong, encoding="utf-8")
        run("encode", batch, out, "--qp-file", qps, status=CALL_AT_FAULT)
    assert not out.exists()


def test_every_choice_is_passed_on(tmp_path: Path, batch: Path) -> None:
    out = tmp_path / "out.dfc"
    options = "--coder lzma --quantiser log --bits 12 --shuffle --batch --index --level 2 --hashes"
    run("encode", batch, out, *options.split(), "--type", "pool", "--hash-size", 16)
    found = json.loads(run("info", out, "--json").stdout)
    assert (found["level"], found["coded_units"]) == (2, 1)
    expected = {
        "feature_type": "pool",
        "quantiser": "logarithmic",
        "bits": 12,
        "coder": "lzma",
        "shuffle": True,
        "sample_hash_bytes": 16,
        "shape": [4, 5, 6],
    }
    assert found["parameter_sets"][0].items() >= expected.items()


def test_encode_offers_every_field_of_a_configuration() -> None:
    offered = set(re.findall(r"^│ (--[a-z-]+)", run("encode", "--help").stdout, re.MULTILINE))
    of_encoder = {one.name for one in fields(refcodec.EncoderConfig) if one.init}
    assert described_fields(refcodec.EncoderConfig.__doc__ or "").keys() == of_encoder
    names = (of_encoder - {"feature_type", "model"}) | {"type", "model_file"}
    names |= {"help", "key", "qp_file", "force"}
    names |= {"model", "layer", "weights", "input_size", "allocation", "parameter", "sensitivity"}
    names |= {"fit_statistics", "target_fidelity"}
    assert offered == {f"--{name.replace('_', '-')}" for name in names}


def test_help_tells_coders_and_defaults() -> None:
    text = " ".join(run("encode", "--help").stdout.replace("│", " ").split())
    for line in (
        "One of native, native-lossless, native-static, hevc, vvc, av1, zlib, gzip, bzip2, lzma, raw, "
        "learned. [default: native]",
        "--quantiser uniform|log|lattice|none uniform, log, lattice (latents), or none (bit for bit). "
        "A transform over channels, given as model, takes its place. "
        "[default: lattice for learned, uniform for native and native-static and hevc and vvc and av1, "
        "else none]",
        "[not native-lossless, learned; default: 16 for native and native-static, else 10]",
        "[native, native-static, hevc, vvc, av1; mean: native, native-static; tensor: hevc, vvc, av1; "
        "default: auto]",
        "[zlib, gzip, bzip2, lzma]",
        "--hash-size 0|8|16|32 ",
        "by default the lowest that fits",
    ):
        assert line in text
    assert "None" not in text


def test_clip_and_order(tmp_path: Path, batch: Path, conv: Any) -> None:
    out = tmp_path / "out.dfc"
    options = "--coder hevc --clip -1 0.5 --order 3,1,0,2 --qp 0 --workers 1"
    run("encode", batch, out, *options.split())
    config = refcodec.EncoderConfig(
        coder="hevc", clip=(-1, 0.5), order=(3, 1, 0, 2), qp=0, workers=1
    )
    assert out.read_bytes() == refcodec.encode(conv, config)


def test_several_arrays(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        "layer10": chance().normal(size=7).astype(np.float16),
        "layer9": chance().normal(size=(2, 3, 4)).astype(np.float32),
    }
    np.savez(tmp_path / "in.npz", **arrays)
    run("encode", tmp_path / "in.npz", tmp_path / "all.dfc", "--coder", "raw")
    run("decode", tmp_path / "all.dfc", tmp_path / "back.npz")
    with np.load(tmp_path / "back.npz") as back:
        assert list(back) == ["layer9", "layer10"]
        np.testing.assert_array_equal(back["layer9"], arrays["layer9"])
        np.testing.assert_array_equal(back["layer10"], arrays["layer10"])
    mixed = run("decode", tmp_path / "all.dfc", tmp_path / "no.npy", status=CALL_AT_FAULT)
    assert "use .npz or .safetensors" in mixed.stderr
    assert not (tmp_path / "no.npy").exists()
    one = tmp_path / "one.dfc"
    run("encode", tmp_path / "in.npz", one, "--coder", "raw", "--key", "layer10")
    run("decode", one, tmp_path / "one.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "one.npy"), arrays["layer10"])
    unknown = run("encode", tmp_path / "in.npz", one, "--key", "x", status=CALL_AT_FAULT)
    assert "layer9" in unknown.stderr


def test_bfloat16(tmp_path: Path) -> None:
    values = chance().normal(size=(2, 3, 4, 5)).astype(ml_dtypes.bfloat16)
    source, out = tmp_path / "b.safetensors", tmp_path / "b.dfc"
    save_file({"x": values}, source)
    run("encode", source, out, "--coder", "zlib")
    run("decode", out, tmp_path / "back.safetensors")
    with safe_open(tmp_path / "back.safetensors", framework="np") as file:
        found = file.get_tensor("x")
        assert found.dtype == ml_dtypes.bfloat16
        assert found.tobytes() == values.tobytes()
    assert "bit-exact    yes" in run("compare", source, tmp_path / "back.safetensors").stdout
    for name in ("back.npy", "back.npz"):
        refused = run("decode", out, tmp_path / name, status=CALL_AT_FAULT)
        assert "use .safetensors" in refused.stderr
        assert not (tmp_path / name).exists()
    np.save(tmp_path / "void.npy", values)
    refused = run("encode", tmp_path / "void.npy", out, status=CALL_AT_FAULT)
    assert "use .safetensors" in refused.stderr


def test_arrays_of_other_layouts(tmp_path: Path, conv: Any) -> None:
    np.save(tmp_path / "in.npy", np.asfortranarray(conv.astype(">f4")))
    run("encode", tmp_path / "in.npy", tmp_path / "x.dfc", "--coder", "raw")
    run("decode", tmp_path / "x.dfc", tmp_path / "out.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), conv)


def test_float64_needs_narrow(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.ones((2, 3)))
    arguments = ("encode", tmp_path / "in.npy", tmp_path / "x.dfc", "--coder", "zlib")
    run(*arguments, status=CALL_AT_FAULT)
    run(*arguments, "--narrow")


def test_a_stream_of_nothing(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.empty((0, 3, 4, 5), np.float32))
    run("encode", tmp_path / "in.npy", tmp_path / "x.dfc", "--coder", "zlib")
    run("decode", tmp_path / "x.dfc", tmp_path / "out.npy")
    assert np.load(tmp_path / "out.npy").shape == (0,)
    assert json.loads(run("info", tmp_path / "x.dfc", "--json").stdout)["bits_per_element"] is None


# --- pipes -----------------------------------------------------------------------------------------


def program(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "refcodec.cli", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=PATIENCE)


def test_pipes(batch: Path) -> None:
    data = batch.read_bytes()
    coded = program("encode", "-", "-", "--coder", "zlib", stdin=data)
    assert (coded.returncode, coded.stderr) == (0, b"")
    assert coded.stdout.startswith(b"\x89DFC")
    assert b"3 features" in run("info", "-", stdin=coded.stdout).stdout_bytes
    assert b"signature" in run("inspect", "-", stdin=coded.stdout).stdout_bytes
    assert b"conforming, 3" in run("validate", "-", stdin=coded.stdout).stdout_bytes
    decoded = program("decode", "-", "-", stdin=coded.stdout)
    assert (decoded.returncode, decoded.stderr) == (0, b"")
    assert decoded.stdout == data


def test_nothing_but_the_verdict_follows_a_damaged_pipe(damaged: Path) -> None:
    result = program("decode", "-", "-", stdin=damaged.read_bytes())
    assert result.returncode == INPUT_AT_FAULT
    assert result.stdout == b"REJECT checksum\n"
    assert b"Traceback" not in result.stderr


def test_a_closed_pipe_is_no_error(stream: Path) -> None:
    command = (
        f"{shlex.join([sys.executable, '-m', 'refcodec.cli', 'inspect', str(stream)])} | head -n 1; "
        "echo ${PIPESTATUS[0]}"
    )
    result = subprocess.run(["bash", "-c", command], capture_output=True, timeout=PATIENCE)
    first, status = result.stdout.decode().splitlines()
    assert first.startswith("stream_header")
    assert status in ("0", "141")  # 0 where the pipe took all of it in time
    assert result.stderr == b""


@pytest.mark.parametrize("shape", [(2, 2**40), (2**31,), (1, 2**20, 2**10, 2**10)])
def test_a_pipe_that_promises_too_much(shape: tuple[int, ...]) -> None:
    head = io.BytesIO()
    npy.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": shape})
    result = run("encode", "-", "-", stdin=head.getvalue(), status=CALL_AT_FAULT)
    assert "exceeds level 4" in result.stderr


# --- info, inspect, compare ------------------------------------------------------------------------


def test_info(stream: Path) -> None:
    size = stream.stat().st_size
    text = run("info", stream).stdout
    for line in (
        "  stream       DFC 1.0, profile lossless, level 1",
        "  holds        3 features in 3 units",
        f"  size         {size:,} bytes",
        f"               {8 * size / 360:.3f} bits per element",
        "  shape        4 x 5 x 6 (conv), float32",
        "  quantiser    none, bit for bit",
        "  coder        zlib",
        "  net          VGG 16",
    ):
        assert line in text.splitlines()
    found = json.loads(run("info", stream, "--json").stdout)
    assert found["bytes"] == size
    assert found["compression_rate"] == size / 1440
    assert found["metadata"] == {"net": "VGG 16", "refcodec.arrays": '[{"batch":3}]'}


def test_inspect(stream: Path) -> None:
    text = run("inspect", stream).stdout
    assert "         0      32  b(32)    signature                    89444643\n" in text
    assert "  feature_parameter_set  (clause 7.4 Feature parameter set)\n" in text
    units = json.loads(run("inspect", stream, "--json").stdout)
    assert [unit["name"] for unit in units].count("coded_feature") == 3
    signature = units[0]["elements"][0]
    assert signature == {
        "name": "stream_header.signature",
        "bit_offset": 0,
        "width": 32,
        "descriptor": "b(32)",
        "value": "89444643",
        "clause": "7.2",
    }
    shown = {element["name"] for unit in units for element in unit["elements"]}
    assert {"feature_parameter_set.coder_id", "index.unit_distance"} <= shown


def test_inspect_looks_and_does_not_judge(damaged: Path) -> None:
    assert "  problem: " in run("inspect", damaged).stdout


def test_info_of_a_stream_that_was_added_to(tmp_path: Path, batch: Path) -> None:
    """The description of its arrays is that of the features that were there."""
    stream, count = tmp_path / "a.dfc", len(np.load(batch))
    run("encode", batch, stream)
    assert f"a batch of {count}" in run("info", stream).stdout
    run("append", stream, batch)
    told = run("info", stream).stdout
    assert f"features were added to the {count} that were described" in told
    assert "a batch of" not in told


def test_info_lists_arrays(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    np.savez(tmp_path / "layers.npz", p2=drawn[:, :, None, None], p3=drawn, last=drawn[0])
    run("encode", tmp_path / "layers.npz", tmp_path / "layers.dfc")
    shown = run("info", tmp_path / "layers.dfc").stdout
    names = [("last", "one feature"), ("p2", "a batch of 3"), ("p3", "a batch of 3")]
    assert "\narrays\n" + "".join(f"  {name:<12} {what}\n" for name, what in names) in shown
    assert "refcodec.arrays" not in shown
    assert "one range per feature" in shown


def test_the_package_runs_as_the_command() -> None:
    command = [sys.executable, "-m", "refcodec", "--version"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout == f"refcodec {refcodec.__version__}\n"


def test_compare_counts_what_is_not_finite(tmp_path: Path) -> None:
    clean, bad = np.zeros((2, 2, 3, 3), np.float32), np.zeros((2, 2, 3, 3), np.float32)
    bad[1, 0, 1, 2], bad[1, 1, 0, 0] = np.nan, -np.inf
    for name, array in (("a", clean), ("b", bad)):
        np.save(tmp_path / f"{name}.npy", array)
    files = tmp_path / "a.npy", tmp_path / "b.npy"
    line = (
        f"not finite   1 NaN, 1 infinite in {files[1]}; the first in feature 1 at index (0, 1, 2)"
    )
    assert line in run("compare", *files).stdout
    found = json.loads(run("compare", *files, "--json").stdout)["not_finite"]
    assert found == [None, {"nan": 1, "infinite": 1, "feature": 1, "index": [0, 1, 2]}]


def test_compare(tmp_path: Path, batch: Path, stream: Path, conv: Any) -> None:
    assert "bit-exact    yes" in run("compare", batch, stream).stdout
    moved = conv.copy()
    moved[0, 0, 0, 0] += 0.5
    np.save(tmp_path / "moved.npy", moved)
    found = json.loads(run("compare", batch, tmp_path / "moved.npy", "--json").stdout)
    assert found["max_error"] == pytest.approx(0.5)
    assert found["mse"] == pytest.approx(0.25 / conv.size)
    assert found["bit_exact"] is False
    assert json.loads(run("compare", batch, batch, "--json").stdout)["snr_db"] == "inf"
    np.save(tmp_path / "other.npy", moved[:2])
    refused = run("compare", batch, tmp_path / "other.npy", status=CALL_AT_FAULT)
    assert "holds 3 features" in refused.stderr
    np.save(tmp_path / "other.npy", moved[..., :2])
    refused = run("compare", batch, tmp_path / "other.npy", status=CALL_AT_FAULT)
    assert "feature 0 has shape (4, 5, 6)" in refused.stderr


def test_not_a_number_equals_itself(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.array([np.nan, np.inf, -0.0], np.float32))
    run("encode", tmp_path / "in.npy", tmp_path / "x.dfc", "--coder", "zlib")
    found = json.loads(run("compare", tmp_path / "in.npy", tmp_path / "x.dfc", "--json").stdout)
    assert found["bit_exact"] is True
    assert found["max_error"] == "nan"


# --- validate --------------------------------------------------------------------------------------


def test_validate(stream: Path, damaged: Path) -> None:
    assert run("validate", stream).stdout == f"{stream}: conforming, 3 features in 7 units\n"
    result = run("validate", stream, damaged, status=INPUT_AT_FAULT)
    lines = result.stdout.splitlines()
    assert lines[0] == f"{stream}: conforming, 3 features in 7 units"
    assert lines[1].startswith(f"{damaged}: not conforming, 1 violation; ")
    assert lines[2].startswith("  checksum    byte ")
    assert "; clause 8.2 Units" in lines[2]
    assert lines[-1] == "REJECT checksum"
    first, second = json.loads(
        run("validate", stream, damaged, "--json", status=INPUT_AT_FAULT).stdout
    )
    assert (first["conforming"], second["conforming"]) == (True, False)
    assert second["violations"][0]["class"] == "checksum"


def test_what_cannot_be_verified_is_not_conforming(tmp_path: Path, batch: Path) -> None:
    out = tmp_path / "x.dfc"
    run("encode", batch, out, "--coder", "hevc", "--workers", 1)
    result = run("validate", out, "--timeout", "0.000001", status=CALL_AT_FAULT)
    assert "not verified" in result.stdout
    assert "REJECT" not in result.stdout


# --- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["info", "inspect", "decode"])
def test_a_file_that_is_no_stream(tmp_path: Path, batch: Path, command: str) -> None:
    out = [tmp_path / "out.npy"] if command == "decode" else []
    result = run(command, batch, *out, status=INPUT_AT_FAULT)
    assert result.stderr.startswith("error: ")
    assert result.stdout.splitlines()[-1] == "REJECT signature"
    assert not (tmp_path / "out.npy").exists()


def test_decode_of_a_damaged_stream_leaves_the_old_file(tmp_path: Path, damaged: Path) -> None:
    out = tmp_path / "out.npy"
    out.write_bytes(b"old")
    result = run("decode", damaged, out, status=INPUT_AT_FAULT)
    assert result.stdout == "REJECT checksum\n"
    assert out.read_bytes() == b"old"
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.npy", b"\x89DFC\x10", "it is .dfc"),
        ("x.npz", b"\x93NUMPY\x01\x00", "it is .npy"),
        ("x.safetensors", b"PK\x03\x04....", "it is .npz"),
        ("x.npy", b"plain text", "nothing else that refcodec knows"),
        ("x.npy", b"", "nothing else that refcodec knows"),
        ("x.npy", b"\x93NUMPY\x01\x00v\x00{'descr'", "cannot be read"),
        ("x.npz", b"PK\x03\x04" + bytes(40), "cannot be read"),
        ("x.safetensors", (9).to_bytes(8, "little") + b"{nonsense", "cannot be read"),
        ("x.txt", b"", "files of features are .npy, .npz, .safetensors, .dfc"),
    ],
)
def test_wrong_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    result = run("encode", tmp_path / name, tmp_path / "x.dfc", status=CALL_AT_FAULT)
    assert message in result.stderr
    assert not (tmp_path / "x.dfc").exists()


@pytest.mark.parametrize(
    "array",
    [np.array(1.0, np.float32), np.zeros((1,) * 5, np.float32), np.array([{}]), np.array(["a"])],
    ids=["scalar", "rank 5", "object", "text"],
)
def test_arrays_that_are_no_features(tmp_path: Path, array: Any) -> None:
    np.save(tmp_path / "x.npy", array)
    result = run("encode", tmp_path / "x.npy", tmp_path / "x.dfc", status=CALL_AT_FAULT)
    assert "is no feature" in result.stderr


def test_a_cut_array(tmp_path: Path, batch: Path) -> None:
    batch.write_bytes(batch.read_bytes()[:-1])
    result = run("encode", batch, tmp_path / "x.dfc", "--coder", "zlib", status=CALL_AT_FAULT)
    assert "the file ends before its array does" in result.stderr
    assert not (tmp_path / "x.dfc").exists()


def test_paths_that_cannot_be_used(tmp_path: Path, batch: Path, stream: Path) -> None:
    nowhere = tmp_path / "nowhere"
    for arguments in (
        ("encode", nowhere / "x.npy", "-"),
        ("encode", batch, nowhere / "x.dfc"),
        ("decode", nowhere / "x.dfc", tmp_path / "x.npy"),
        ("decode", stream, nowhere / "x.npy"),
        ("decode", stream, tmp_path / "x.txt"),
        ("info", nowhere),
        ("inspect", tmp_path),
        ("validate", nowhere),
        ("compare", batch, nowhere / "x.npy"),
    ):
        result = run(*arguments, status=CALL_AT_FAULT)
        assert result.stderr.startswith("error: ")
        assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "options",
    [
        ["--coder", "mp3"],
        ["--quantiser", "none"],
        ["--packing", "heap"],
        ["--qp", "64"],
        ["--coder", "hevc", "--qp", "52"],
        ["--qp", "many"],
        ["--metadata", "no equals sign"],
        ["--key", "x"],
        ["--qp", "30.3"],
        ["--coder", "hevc", "--qp", "30.5"],
        ["--coder", "hevc", "--ffmpeg", "/no/such/program"],
        ["--coder", "hevc", "--restoration", "mean"],
        ["--coder", "zlib", "--target-snr", "20"],
        ["--coder", "native-lossless", "--quantiser", "log"],
        ["--target-size", "100", "--target-snr", "20"],
        ["--target-size", "0"],
        ["--speed", "slow"],
        ["--unknown"],
    ],
    ids=" ".join,
)
def test_wrong_options(tmp_path: Path, batch: Path, options: list[str]) -> None:
    run("encode", batch, tmp_path / "x.dfc", *options, status=CALL_AT_FAULT)
    assert not (tmp_path / "x.dfc").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--coder zlib --gop 2", "zlib has no option --gop (--gop is for native, hevc)"),
        ("--coder hevc --batch", "hevc has no option --batch"),
        (
            "--coder lzma --bits 8",
            "--bits has no effect: lzma codes features as they are (choose a q",
        ),
        ("--target-size 9 --target-snr 9", "--target-size and --target-snr exclude each other"),
        (
            "--target-snr 9 --gop 2",
            "a target needs features that are not predicted: --gop must be 0",
        ),
        ("--hash-size 9", "--hash-size is 9; it is one of 0, 8, 16, 32"),
        ("--type convolution", "--type is 'convolution'; it is one of conv, pool, fc"),
        ("--clip 2 1", "--clip is (2.0, 1.0); it is two float32 numbers, the lesser first"),
        ("--metadata key", "'key' is not of the form KEY=VALUE"),
        ("--coder hevc --order 1,b", "'1,b' is no list of numbers, such as 2,0,1"),
    ],
)
def test_refusals_name_options_as_they_are_typed(
    tmp_path: Path, batch: Path, options: str, message: str
) -> None:
    out = tmp_path / "x.dfc"
    result = run("encode", batch, out, *options.split(), status=CALL_AT_FAULT)
    assert message in result.stderr
    assert not out.exists()


def test_interruption_is_quiet(stream: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("refcodec.validator.validate", interrupt)
    assert run("validate", stream, status=130).output == ""


def test_bugs_are_not_hidden(stream: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("refcodec.validator.validate", fail)
    assert isinstance(run("validate", stream, status=1).exception, ZeroDivisionError)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_arrays_fail_cleanly(tmp_path: Path, conv: Any) -> None:
    rng = np.random.default_rng(1)
    np.save(tmp_path / "x.npy", conv)
    np.savez_compressed(tmp_path / "x.npz", a=conv, b=conv[0])
    save_file({"a": conv, "b": conv[0].astype(ml_dtypes.bfloat16)}, tmp_path / "x.safetensors")
    refused = 0
    for path in sorted(tmp_path.iterdir()):
        whole = path.read_bytes()
        for _ in range(150):
            data = bytearray(whole)
            data[rng.integers(min(len(data), 300))] = rng.integers(256)
            path.write_bytes(data[: rng.integers(len(data))] if rng.random() < 0.2 else data)
            try:
                with open_features(str(path)) as found:
                    list(found.features)
            except CallerError:
                refused += 1
    assert refused > 100


# --- the program -----------------------------------------------------------------------------------


def test_a_stream_is_coded_anew(batch: Path, tmp_path: Path) -> None:
    """A .dfc is a file of features like any other."""
    run("encode", batch, tmp_path / "exact.dfc", "--coder", "zlib")
    run("encode", tmp_path / "exact.dfc", tmp_path / "small.dfc", "--qp", "30")
    run("encode", batch, tmp_path / "direct.dfc", "--qp", "30")
    assert (tmp_path / "small.dfc").read_bytes() == (tmp_path / "direct.dfc").read_bytes()
    result = run("encode", tmp_path / "exact.dfc", tmp_path / "x.dfc", "--key", "a", status=2)
    assert "without names" in result.stderr


def test_help_is_cheap() -> None:
    code = (
        "import sys, refcodec.cli\n"
        "heavy = {'numpy', 'numba', 'construct', 'bitstring', 'safetensors', 'rich', 'matplotlib', 'torch'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "[]\n", result.stderr


def test_help_and_version() -> None:
    text = run("--help").stdout
    for command in ("encode", "decode", "info", "inspect", "validate", "compare", "demo"):
        assert command in text
        run(command, "--help")
    assert run("--version").stdout == f"refcodec {refcodec.__version__}\n"
    assert program("--version").stdout.decode() == f"refcodec {refcodec.__version__}\n"
    run("encode", status=CALL_AT_FAULT)


def test_strangers_do_not_steer_the_terminal() -> None:
    assert printable("a\x1b[31mb\nc é") == "a\\x1b[31mb\\nc é"


# --- existing files, appending, joining ------------------------------------------------------------


def test_scripts_are_warned_of_files_that_they_replace(tmp_path: Path, batch: Path) -> None:
    out = tmp_path / "out.dfc"
    run("encode", batch, out, "--coder", "raw")
    warned = run("encode", batch, out, "--coder", "lzma")
    assert warned.stderr == f"warning: {out} exists and is replaced; --force omits this warning\n"
    assert not run("encode", batch, out, "--coder", "zlib", "--force").stderr
    coder = json.loads(run("info", out, "--json").stdout)["parameter_sets"][0]["coder"]
    assert coder == "zlib"


def test_what_is_read_is_not_replaced(tmp_path: Path, batch: Path) -> None:
    """``refcodec encode maps.npy maps.npy`` would leave no features."""
    link, stream = tmp_path / "link.npy", tmp_path / "a.dfc"
    link.symlink_to(batch)
    run("encode", batch, stream, "--coder", "raw")
    model = tmp_path / "a.dfcm"
    run("model", "fit", batch, model)
    qps = tmp_path / "q.json"
    qps.write_text("[20, 30, 40]", encoding="utf-8")
    kept = {path: path.read_bytes() for path in (batch, stream, model, qps)}
    for words in (
        ("encode", batch, batch),
        ("encode", batch, link),
        ("encode", stream, stream, "--coder", "native"),
        ("concat", stream, stream, stream),
        ("disasm", stream, stream),
        ("model", "fit", batch, batch),
        ("inspect", stream, "--html", stream),
        ("encode", batch, qps, "--qp-file", qps),
        ("encode", batch, model, "--model-file", model),
    ):
        done = run(*words, status=CALL_AT_FAULT)
        assert (
            "is what is read, and would be replaced (name another file, or --force" in done.stderr
        )
        assert {path: path.read_bytes() for path in kept} == kept
    run("encode", stream, stream, "--coder", "zlib", "--force")
    assert len(refcodec.decode(stream)) == len(np.load(batch))


@pytest.mark.parametrize("answer", ["y", "n"])
def test_a_person_is_asked(answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from refcodec.cli import terminal

    path = tmp_path / "out.dfc"
    path.write_bytes(b"old")
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    asked: list[str] = []

    def confirm(text: str, *, err: bool) -> bool:
        asked.append(text)
        return answer == "y"

    monkeypatch.setattr("typer.confirm", confirm)
    if answer == "y":
        terminal.may_replace(str(path), False)
    else:
        with pytest.raises(CallerError, match="stays as it is"):
            terminal.may_replace(str(path), False)
    assert asked == [f"{path} exists. Replace it?"]


def test_append_and_concat(tmp_path: Path, batch: Path) -> None:
    one, both = tmp_path / "one.dfc", tmp_path / "both.dfc"
    count = len(np.load(batch))
    run("append", one, batch, "--coder", "raw", "--metadata", "layer=x")
    run("append", one, batch, "--coder", "zlib")
    run("concat", both, one, one, "--metadata", "joined=yes")
    run("validate", both)
    found = json.loads(run("info", both, "--json").stdout)
    assert found["features"] == 4 * count
    assert found["metadata"] == {"layer": "x", "joined": "yes"}
    assert [one["coder"] for one in found["parameter_sets"]] == ["raw", "zlib"]
    assert (
        "is not of the form"
        in run("concat", both, one, "--force", "--metadata", "x", status=2).stderr
    )
    assert "append takes a file" in run("append", "-", batch, status=CALL_AT_FAULT).stderr


def test_errors_name_the_array_and_the_feature(tmp_path: Path) -> None:
    values = np.ones((6, 3, 4, 5), np.float32)
    np.savez(tmp_path / "a.npz", features=values, labels=np.arange(6))
    stderr = run("encode", tmp_path / "a.npz", tmp_path / "a.dfc", status=CALL_AT_FAULT).stderr
    assert "a.npz, array 'labels': feature 6: the feature has type int64" in stderr
    values[4, 1, 0, 0] = np.nan
    np.save(tmp_path / "b.npy", values)
    stderr = run("encode", tmp_path / "b.npy", tmp_path / "b.dfc", status=CALL_AT_FAULT).stderr
    assert "feature 4: the feature has nan at index (1, 0, 0)" in stderr


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    "command",
    ["encode {batch} - --coder raw", "decode {one} -", "info {one}", "concat - {one} {one}"],
)
def test_a_full_output_is_the_environments_fault(command: str, tmp_path: Path, batch: Path) -> None:
    one = tmp_path / "one.dfc"
    run("encode", batch, one, "--coder", "raw")
    arguments = command.format(batch=batch, one=one).split()
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "refcodec.cli", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
        )
    assert done.returncode == CALL_AT_FAULT
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
