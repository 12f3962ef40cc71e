"""The first difference of a wrong output: place, values, stage, and a guess that fits the mistake."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from oracle import command_template, write_answers
from variation import PATIENCE

from refcodec.hashes import little_endian_bytes
from refcodec.quantise import dequantise
from refcodec.suite.derive import syntax_lines
from refcodec.suite.manifest import load_manifest
from refcodec.suite.run.contract import Command, Outcome
from refcodec.suite.run.difference import Difference, explain
from refcodec.suite.run.expected import Decoded, decoded_features
from refcodec.suite.run.runner import run_suite
from refcodec.uniform import dequantise_uniform

SUITE = load_manifest(Path(__file__).resolve().parents[1] / "bitstreams")

Values = npt.NDArray[Any]
Mistake = Callable[[Decoded], Values]


def _stream(name: str) -> bytes:
    return SUITE.path(SUITE.named(name)).read_bytes()


def _decoded(name: str) -> list[Decoded]:
    return list(decoded_features(io.BytesIO(_stream(name))))


def _explained(name: str, output: bytes, **stages: Any) -> tuple[str, Difference | None]:
    outcome = Outcome(output=output, **stages)
    return explain(SUITE.named(name), _stream(name), outcome)


def _bytes(values: list[Values]) -> bytes:
    return b"".join(map(little_endian_bytes, values))


@pytest.mark.parametrize(
    "name", ["empty", "no-index", "raw-bfloat16", "hevc-several", "special-float32", "native-fc"]
)
def test_nothing_differs(name: str) -> None:
    assert _explained(name, _bytes([one.values for one in _decoded(name)])) == ("", None)


# --- values ----------------------------------------------------------------------------------------


def _nudged(one: Decoded) -> Values:
    values = one.values.copy()
    values.reshape(-1).view(f"u{values.dtype.itemsize}")[37] ^= 1
    return values


def _one_code_up(one: Decoded) -> Values:
    samples = one.samples.copy()
    samples[3, 1, 2] += 1 if samples[3, 1, 2] == 0 else -1
    return dequantise(samples, one.payload.fps, one.payload.parameters)


def _without_restoration(one: Decoded) -> Values:
    parameters = replace(one.payload.parameters, restoration_mean=None, restoration_deviation=None)
    return dequantise(one.samples, one.payload.fps, parameters)


def _uniform(one: Decoded) -> npt.NDArray[np.float64]:
    parameters = one.payload.parameters
    high = parameters.range_max
    assert high is not None
    low = np.zeros_like(high) if parameters.range_min is None else parameters.range_min
    return dequantise_uniform(one.samples.astype(np.int64) << 16, low, high, one.payload.fps.bits)


def _rounded_twice(one: Decoded) -> Values:
    return _uniform(one).astype(np.float32).astype(one.values.dtype)


def _in_binary32(one: Decoded) -> Values:
    parameters = one.payload.parameters
    assert parameters.range_max is not None
    low = np.float32(0.0) if parameters.range_min is None else parameters.range_min[0]
    high = parameters.range_max[0]
    step = (high - low) / np.float32((1 << one.payload.fps.bits) - 1)
    return one.samples.astype(np.float32) * step + low


def _overflowing(one: Decoded) -> Values:
    with np.errstate(over="ignore"):
        return _uniform(one).astype(one.values.dtype)


def _flushed(one: Decoded) -> Values:
    values = one.values.copy()
    tiny = np.abs(values) < ml_dtypes.finfo(values.dtype).smallest_normal
    values[tiny] = 0
    return values


def _with_nan(one: Decoded) -> Values:
    values = one.values.copy()
    values[2, 3, 1] = np.nan
    return values


MISTAKES: list[tuple[str, Mistake, str]] = [
    ("raw-float32", lambda one: one.values.T, "transposed axes: (x, y, c) instead of (c, y, x)"),
    ("hevc-8-bit", lambda one: one.values.transpose(1, 2, 0), "transposed axes: (y, x, c)"),
    ("raw-bfloat16", lambda one: one.values.byteswap(), "most significant byte comes first"),
    ("raw-bfloat16", lambda one: one.values.astype(np.float16), "written as float16"),
    ("no-index", lambda one: one.values.astype(np.int32), "the values written as int32"),
    ("no-index", lambda one: one.values * 0, "nothing but zeros"),
    ("no-index", lambda one: one.samples.astype(np.float32), "without inverse quantisation"),
    ("raw-float16", _with_nan, "NaN instead of 1 numbers"),
    ("raw-float16", _nudged, "off by one code value"),
    ("raw-7-bit", _one_code_up, "off by one code value"),
    ("log-signed", _one_code_up, "off by one code value"),
    ("native-conv", _one_code_up, "off by one code value"),
    ("raw-16-bit", _nudged, "one rounding too many or too few"),
    ("hevc-order-explicit", lambda one: one.values[::-1], "channels in another order"),
    ("hevc-restoration-tensor", _without_restoration, "restoration is missing (8.5)"),
    ("hevc-restoration-channel", _without_restoration, "restoration is missing (8.5)"),
    ("uniform-bfloat16-rounds-once", _rounded_twice, "one rounding too many: to binary32"),
    ("uniform-three-roundings", _in_binary32, "binary32 instead of binary64"),
    ("uniform-float16-saturates", _overflowing, "overflow to infinity"),
    ("uniform-subnormal-float16", _flushed, "subnormal numbers flushed to zero"),
]


@pytest.mark.parametrize(
    ("name", "mistake", "guess"),
    MISTAKES,
    ids=[f"{name}: {guess[:30]}" for name, _, guess in MISTAKES],
)
def test_guess(name: str, mistake: Mistake, guess: str) -> None:
    reason, found = _explained(name, _bytes([mistake(one) for one in _decoded(name)]))
    assert found is not None, reason
    assert guess in found.guess
    assert found.guess in reason
    assert found.stage == ""
    assert found.clauses


def test_place_and_values() -> None:
    (right,) = _decoded("raw-float32")
    wrong = right.values.copy()
    wrong[5, 2, 3] += np.float32(0.5)
    wrong[7, 0, 1] -= np.float32(2)
    reason, found = _explained("raw-float32", wrong.tobytes())
    assert found == Difference(
        feature=0,
        shape=(16, 4, 4),
        dtype="float32",
        index=(5, 2, 3),
        got=str(wrong[5, 2, 3]),
        wanted=str(right.values[5, 2, 3]),
        got_bits=f"0x{wrong[5, 2, 3].view(np.uint32):08x}",
        wanted_bits=f"0x{right.values[5, 2, 3].view(np.uint32):08x}",
        differing=2,
        elements=256,
        largest="2",
        clauses=("8.3.1", "8.6"),
    )
    assert reason.startswith("feature 0 (16 x 4 x 4, float32) is not the expected one: value")
    assert f"(c, y, x) = (5, 2, 3) is {found.got} ({found.got_bits}), wanted" in reason
    assert "2 of 256 differ, by at most 2" in reason


def test_a_code_value_is_not_guessed_if_the_samples_are_right() -> None:
    (right,) = _decoded("raw-7-bit")
    output, samples = _bytes([_one_code_up(right)]), _bytes([right.samples])
    _, found = _explained("raw-7-bit", output, samples=samples)
    assert found is not None
    assert (found.guess, found.stage) == ("", "reconstruction")
    (plain,) = _decoded("raw-float16")
    output, samples = _bytes([_nudged(plain)]), _bytes([plain.samples])
    _, found = _explained("raw-float16", output, samples=samples)
    assert found is not None
    assert found.guess.startswith("off by one in the last bit of a value")


def test_narrow_types_are_shown_exactly() -> None:
    (right,) = _decoded("uniform-float16-saturates")
    wrong = right.values.copy()
    wrong.reshape(-1).view(np.uint16)[-1] -= 1
    _, found = _explained("uniform-float16-saturates", wrong.tobytes())
    assert found is not None
    assert (found.got, found.wanted) == ("65472.0", "65504.0")


def test_index_of_a_vector() -> None:
    name = "fc-single"
    (right,) = _decoded(name)
    wrong = right.values.copy()
    wrong[9] = 1e30
    _, found = _explained(name, wrong.tobytes())
    assert found is not None
    assert found.index == (9,)
    assert "(d) = (9)" in str(found)


def test_a_later_feature() -> None:
    values = [one.values.copy() for one in _decoded("no-index")]
    values[2][0, 0, 0] = np.inf
    _, found = _explained("no-index", _bytes(values))
    assert found is not None
    assert (found.feature, found.index, found.got, found.largest) == (2, (0, 0, 0), "inf", "")


def test_features_in_another_order() -> None:
    first, second, third = (one.values for one in _decoded("no-index"))
    _, found = _explained("no-index", _bytes([second, first, third]))
    assert found is not None
    assert "feature 1: features in another order" in found.guess


def test_sign_of_zero() -> None:
    (right,) = _decoded("special-float32")
    wrong = right.values.copy()
    wrong[wrong == 0] = 0.0
    _, found = _explained("special-float32", wrong.tobytes())
    assert found is not None
    assert found.guess == "the sign of zero"
    assert (found.got, found.wanted, found.largest) == ("0.0", "-0.0", "0")


# --- sizes -----------------------------------------------------------------------------------------


def _npy(values: Values) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


@pytest.mark.parametrize(
    ("make", "guess"),
    [
        (lambda f: _bytes([*f, np.zeros(1, np.float32)]), "4 bytes too many after features that"),
        (lambda f: b"head" + _bytes(f), "4 bytes too many before features that are right"),
        (lambda f: _bytes(f[:-1]), "the last 1 features are missing, the others are right"),
        (lambda f: _npy(np.stack(f)), "a file of numpy"),
        (lambda f: _bytes([one.astype(np.float64) for one in f]), "values written as float64"),
        (lambda f: _bytes([one.astype(np.float16) for one in f]), "values written as float16"),
        (lambda f: _bytes([np.ones_like(one, np.int64) for one in f]), "8 bytes for each value"),
        (lambda f: b"", "nothing was written"),
        (lambda f: _bytes([f[0], f[1] * 2]), "wrong from feature 1 on"),
    ],
)
def test_size(make: Callable[[list[Values]], bytes], guess: str) -> None:
    output = make([one.values for one in _decoded("no-index")])
    reason, found = _explained("no-index", output)
    assert found is None
    assert guess in reason
    assert f"{len(output)} bytes" in reason


def test_samples_instead_of_values() -> None:
    output = _bytes([one.samples for one in _decoded("raw-bfloat16")])
    assert "the samples, without inverse" in _explained("raw-bfloat16", output)[0]


# --- stages ----------------------------------------------------------------------------------------


def test_stage_is_reconstruction_if_the_samples_are_right() -> None:
    wanted = _decoded("no-index")
    output = _bytes([wanted[0].values, wanted[1].values * 2, wanted[2].values])
    samples = _bytes([one.samples for one in wanted])
    reason, found = _explained("no-index", output, samples=samples)
    assert found is not None
    assert (found.feature, found.stage, found.dtype) == (1, "reconstruction", "float32")
    assert found.clauses == ("8.6.1", "8.7")
    assert reason.endswith("the first stage that differs is reconstruction; see 8.6.1, 8.7")


@pytest.mark.parametrize("feature", [0, 2])
def test_stage_is_samples_if_they_are_wrong(feature: int) -> None:
    wanted = _decoded("no-index")
    samples = [one.samples.copy() for one in wanted]
    samples[feature][4, 3, 2] += 7
    values = [
        dequantise(own, one.payload.fps, one.payload.parameters)
        for own, one in zip(samples, wanted, strict=True)
    ]
    _, found = _explained("no-index", _bytes(values), samples=_bytes(samples))
    assert found is not None
    assert (found.feature, found.stage, found.dtype) == (feature, "samples", "int32")
    assert (found.index, found.largest) == ((4, 3, 2), "7")
    assert int(found.got) - int(found.wanted) == 7
    assert found.clauses == ("8.3.1",)
    assert "sample (c, y, x) = (4, 3, 2)" in str(found)


@pytest.mark.parametrize("rest", [b"", b"\0\0\0", b"\0" * 100])
def test_samples_that_are_too_few(rest: bytes) -> None:
    values = [one.values * 2 for one in _decoded("no-index")]
    _, found = _explained("no-index", _bytes(values), samples=rest)
    assert found is not None
    assert (found.stage, found.clauses) == ("samples", ("8.3.1",))


def test_stage_is_syntax_if_an_element_is_wrong() -> None:
    lines = list(syntax_lines(_stream("raw-7-bit")))
    number = next(n for n, line in enumerate(lines) if line.endswith("bits_minus1=6"))
    wrong = [*lines[:number], lines[number].replace("=6", "=7"), *lines[number + 1 :]]
    output = _bytes([one.values * 2 for one in _decoded("raw-7-bit")])
    _, found = _explained("raw-7-bit", output, syntax="\n".join(wrong))
    assert found is not None
    assert found.stage == "syntax"
    assert found.element.startswith(f"line {number + 1} is ")
    assert "=7, wanted " in found.element
    _, found = _explained("raw-7-bit", output, syntax="\n".join(lines))
    assert found is not None
    assert found.stage == ""


def test_stages_never_decide() -> None:
    """A decoder that says wrong samples, and gives the right features, passes."""
    output = _bytes([one.values for one in _decoded("no-index")])
    assert _explained("no-index", output, samples=b"", syntax="") == ("", None)


def test_command_says_samples(tmp_path: Path) -> None:
    small = replace(SUITE, vectors=(SUITE.named("no-index"),))
    write_answers(small, tmp_path / "answers")
    program = "right['output'] = '00' * (len(right['output']) // 2)\nwrite(places, right)"
    template = command_template(tmp_path / "answers", program, "{input} {output} {samples}")
    (result,) = run_suite(small, Command.parse(template), timeout=PATIENCE).results
    assert result.status == "fail"
    assert result.difference is not None
    assert result.difference.stage == "reconstruction"


def test_values_are_not_known_if_the_manifest_wants_others() -> None:
    vector = SUITE.named("raw-float32")
    other = replace(vector, features=(replace(vector.features[0], reconstruction="0" * 64),))
    output = _bytes([one.values for one in _decoded("raw-float32")])
    outcome = Outcome(output=output)
    reason, found = explain(other, _stream("raw-float32"), outcome)
    assert reason == (
        "feature 0 (16 x 4 x 4, float32) is not the expected one; "
        "refcodec itself cannot say more on this machine"
    )
    assert found is None


def test_stage_is_known_without_the_values() -> None:
    vector = SUITE.named("raw-float32")
    other = replace(vector, features=(replace(vector.features[0], reconstruction="0" * 64),))
    (right,) = _decoded("raw-float32")
    output, samples = _bytes([right.values]), _bytes([right.samples])
    for own, stage in ((samples, "reconstruction"), (samples[4:], "samples")):
        outcome = Outcome(output=output, samples=own)
        reason, _ = explain(other, _stream("raw-float32"), outcome)
        assert f"; the first stage that differs is {stage}; refcodec itself" in reason
