"""The native lossless coder: every bit pattern, exact bytes, hostile payloads, compiled and interpreted."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refcodec.coders.native_lossless.encoder.payload import encode_payload
from refcodec.coders.native_lossless.header import KINDS
from refcodec.coders.native_lossless.payload import decode_payload
from refcodec.coders.protocol import Payload
from refcodec.errors import PayloadError
from refcodec.models import trained
from refcodec.syntax.codes import Coder, FeatureType, Quantiser, SourceType
from refcodec.syntax.structures import FEATURE_PARAMETER_SET, FeatureParameterSet

EFFORTS = ("default", "fast")
TYPES = {
    SourceType.FLOAT32: np.float32,
    SourceType.FLOAT16: np.float16,
    SourceType.BFLOAT16: ml_dtypes.bfloat16,
    SourceType.FLOAT8_E4M3FN: ml_dtypes.float8_e4m3fn,
    SourceType.FLOAT8_E5M2: ml_dtypes.float8_e5m2,
}
WORDS = {source: 8 * np.dtype(one).itemsize for source, one in TYPES.items()}
SHAPES = [(1, 1, 1), (64, 1, 1), (3, 1, 17), (3, 17, 1), (2, 7, 7), (5, 13, 9), (16, 24, 24)]


def parameter_set(
    source: SourceType, channels: int, height: int, width: int
) -> FeatureParameterSet:
    """A feature parameter set of the native lossless coder."""
    return FEATURE_PARAMETER_SET.make(
        {
            "fps_id": 0,
            "feature_type": FeatureType.CONV,
            "source_type": source,
            "channels_minus1": channels - 1,
            "height_minus1": height - 1,
            "width_minus1": width - 1,
            "quantiser": Quantiser.NONE,
            "sample_hash_size_code": 0,
            "coder_id": Coder.NATIVE_LOSSLESS,
        }
    )


def samples_of(values: Any, source: SourceType) -> Any:
    """Bit patterns, int32, C x H x W, of values or of words."""
    words = values
    if values.dtype.kind != "u":
        words = values.astype(TYPES[source]).view(f"u{WORDS[source] // 8}")
    shape = (*words.shape, 1, 1)[:3]
    return words.astype(np.uint32).view(np.int32).reshape(shape)


def decode(payload: bytes, shape: tuple[int, ...], source: SourceType) -> Any:
    fps = parameter_set(source, *shape)
    unused: Any = None
    return decode_payload(Payload(fps, unused, b"", True, payload, 800))


def error_of(payload: bytes, shape: tuple[int, ...], source: SourceType) -> PayloadError | None:
    """The error in a payload; or None, and then it has samples of the right shape."""
    try:
        assert decode(payload, shape, source).shape == shape
    except PayloadError as error:
        return error
    return None


def there_and_back(samples: Any, source: SourceType, effort: str) -> bytes:
    payload = encode_payload(samples, parameter_set(source, *samples.shape), effort)
    decoded = decode(payload, samples.shape, source)
    assert decoded.dtype == np.int32
    np.testing.assert_array_equal(decoded, samples)
    assert len(payload) <= 1 + samples.size * WORDS[source] // 8
    return payload


def smooth(shape: tuple[int, ...], seed: int = 1, relu: bool = True) -> Any:
    """A float32 feature that resembles a real one: smooth in space, rectified; integers make it."""
    rng = random.Random(seed)
    field = np.array([rng.randrange(-512, 512) for _ in range(int(np.prod(shape)))], np.int64)
    field = field.reshape(shape)
    for axis in (1, 2):
        field = field + np.roll(field, 1, axis) + np.roll(field, 2, axis)
    field = field * 1021 + np.arange(field.size).reshape(shape) % 1000
    return (np.maximum(field, 0) if relu else field).astype(np.float32) / np.float32(2**20)


# --- round trips -----------------------------------------------------------------------------------


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("source", WORDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_encode_decode(shape: tuple[int, ...], source: SourceType, effort: str) -> None:
    for relu in (True, False):
        there_and_back(samples_of(smooth(shape, relu=relu), source), source, effort)


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("source", WORDS)
def test_every_kind_of_value(source: SourceType, effort: str) -> None:
    """NaN payloads of both signs, infinities, subnormals, both zeros, the largest and smallest."""
    bits = WORDS[source]
    mantissa = int(KINDS[source][0])
    top = (1 << (bits - 1)) - (1 << mantissa)  # infinity
    magnitudes = [
        0,
        1,
        2,
        (1 << mantissa) - 1,
        1 << mantissa,
        top - 1,
        top,
        top + 1,
        (1 << (bits - 1)) - 1,
    ]
    magnitudes += [1 << (mantissa - 1) | top, (top >> 1) + 5]
    words = np.array([sign << (bits - 1) | one for sign in (0, 1) for one in magnitudes], np.uint32)
    for order in (
        words,
        words[::-1],
        np.repeat(words, 60),
        np.tile(words, 60),
        np.repeat(words[:1], 2000),
    ):
        samples = samples_of(order.reshape(1, 2, -1), source)
        there_and_back(samples, source, effort)
    for word in words:  # one outlier amid usual values, and constants
        samples = samples_of(smooth((4, 20, 20)), source)
        samples[1, 3, 4] = samples_of(np.array([word]), source).item()
        there_and_back(samples, source, effort)
        constant = samples_of(np.full((2, 25, 25), word), source)
        assert len(there_and_back(constant, source, "default")) < 200


@given(
    st.sampled_from(list(WORDS)),
    st.sampled_from(EFFORTS),
    st.sampled_from(SHAPES),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32),
)
def test_any_bits(
    source: SourceType, effort: str, shape: tuple[int, ...], mask: int, union: int, seed: int
) -> None:
    """Random words with some bits fixed: sparse exponents, few mantissa bits, one sign, no zeros."""
    words = np.random.default_rng(seed).integers(0, 2**32, shape, np.uint32)
    words = (words & np.uint32(mask) | np.uint32(union & seed)) >> np.uint32(32 - WORDS[source])
    there_and_back(samples_of(words, source), source, effort)


def test_noise_does_not_grow() -> None:
    noise = np.random.default_rng(3).integers(0, 2**32, (8, 16, 16), np.uint32)
    for effort in EFFORTS:
        assert (
            len(there_and_back(samples_of(noise, SourceType.FLOAT32), SourceType.FLOAT32, effort))
            == 8193
        )


def test_bfloat16_within_float32_costs_nothing() -> None:
    source = SourceType.FLOAT32
    narrow = smooth((8, 32, 32)).astype(ml_dtypes.bfloat16)
    words = samples_of(narrow, SourceType.BFLOAT16)
    for effort in EFFORTS:
        wide = there_and_back(samples_of(narrow.astype(np.float32), source), source, effort)
        assert len(wide) < 1.01 * len(there_and_back(words, SourceType.BFLOAT16, effort))


def test_repeats_cost_little() -> None:
    tiles = np.repeat(np.repeat(smooth((4, 8, 8), relu=False), 8, 1), 8, 2)
    payload = there_and_back(samples_of(tiles, SourceType.FLOAT32), SourceType.FLOAT32, "default")
    assert len(payload) < 0.09 * tiles.nbytes


def test_read_only_samples() -> None:
    samples = samples_of(smooth((2, 7, 7)), SourceType.FLOAT32)
    samples.flags.writeable = False
    there_and_back(samples, SourceType.FLOAT32, "default")


# --- the format ------------------------------------------------------------------------------------

EXAMPLE = np.array([0, 0, 1, 1.5, 0, 2, 3, 2.5, 0.75, 2.25, 3.5, 3], np.float32).reshape(1, 3, 4)
# Bytes may be pinned: the samples are whole numbers, and this encoder decides by integers alone.
CONTEXT_EXAMPLE = bytes.fromhex("a180142351d5282cbc9902")
DIGESTS = {"default": "6475a78cdad6f5fb", "fast": "fd0253c6183d82ea"}


def test_backwards_compatibility() -> None:
    """Payloads of every version decode, and the encoder still writes these."""
    source = SourceType.FLOAT32
    samples = samples_of(EXAMPLE, source)
    np.testing.assert_array_equal(decode(CONTEXT_EXAMPLE, samples.shape, source), samples)
    assert encode_payload(samples, parameter_set(source, *samples.shape)) == CONTEXT_EXAMPLE
    larger = samples_of(smooth((4, 20, 20), relu=False), source)
    for effort, digest in DIGESTS.items():
        payload = encode_payload(larger, parameter_set(source, *larger.shape), effort)
        assert hashlib.sha256(payload).hexdigest()[:16] == digest


_INTERPRETED = """
import hashlib
from test_native_lossless import EFFORTS, WORDS, encode_payload, samples_of, smooth, there_and_back
for source in WORDS:
    for effort, shape in zip(EFFORTS, ((3, 9, 7), (2, 24, 22))):
        for relu in (True, False):
            samples = samples_of(smooth(shape, relu=relu), source)
            samples[1, 4:, 2:] = samples[1, 4, 1]
            payload = there_and_back(samples, source, effort)
            print(hashlib.sha256(payload).hexdigest())
"""


@pytest.mark.slow
def test_compiled_and_interpreted_agree() -> None:
    outputs = []
    for changes in ({}, {"NUMBA_DISABLE_JIT": "1"}):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | changes
        command = [sys.executable, "-W", "error::RuntimeWarning", "-c", _INTERPRETED]
        run = subprocess.run(command, env=environment, check=True, capture_output=True)
        outputs.append(run.stdout)
    assert outputs[0] == outputs[1]
    assert len(outputs[0].split()) == 4 * len(WORDS)


# --- hostile payloads ------------------------------------------------------------------------------


@pytest.mark.parametrize("effort", EFFORTS)
def test_damage(effort: str) -> None:
    """Truncated, flipped, grown or scrambled: an error of the project, or other samples; never a crash."""
    source, chance = SourceType.FLOAT32, random.Random(7)
    samples = samples_of(smooth((2, 24, 24), relu=False), source)
    payload = encode_payload(samples, parameter_set(source, *samples.shape), effort)
    assert payload[0] & 0xC0 == (0x40 if effort == "fast" else 0x80)
    refused = 0
    for i in range(600):
        damaged = bytearray(payload)
        match i % 4:
            case 0:
                del damaged[chance.randrange(len(payload)) :]
            case 1:
                damaged[chance.randrange(min(len(payload), 200))] ^= 1 << chance.randrange(8)
            case 2:
                damaged[1 + chance.randrange(len(payload) - 1) :] = chance.randbytes(
                    chance.randrange(4000)
                )
            case 3:
                damaged[2:] = bytes([chance.choice((0, 255))]) * (len(payload) - 2)
        error = error_of(bytes(damaged), samples.shape, source)
        refused += error is not None
        assert error is None or (error.clause, error.bit_offset) == ("8.3.8", 800)
    assert refused > 200


@pytest.mark.parametrize("first", range(256))
def test_garbage_behind_every_first_byte(first: int) -> None:
    chance = random.Random(first)
    for source in WORDS:
        for size in (0, 1, 2, 3, 5, 40, 300):
            payload = bytes([first]) + chance.randbytes(size)
            error = error_of(payload, (3, 5, 4), source)
            assert error is None or error.clause == "8.3.8"


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ("", "empty"),
        ("00", "raw bytes"),
        ("0000000000", "raw bytes"),
        ("01", "names no mode"),
        ("c0", "names no mode"),
        ("88", "names no mode"),
        ("80", "within its header"),
        ("b07f", "within its header"),
        ("a07f18", "trailing"),
        ("407f", "frequencies"),
        ("407f" + "0000" * 8, "frequencies"),
        ("407fc00000", "do not add up"),
        ("407f80", "before the frequencies of class 0"),
        ("407f8000c000", "within the frequencies of class 1"),
        ("807f" + "00" * 60, "meet"),
    ],
)
def test_errors(payload: str, message: str) -> None:
    with pytest.raises(PayloadError, match=message) as caught:
        decode(bytes.fromhex(payload), (1, 1, 2), SourceType.FLOAT32)
    assert caught.value.clause == "8.3.8"


def test_time_is_bounded() -> None:
    """The worst payload costs some steps per element, not hundreds: no more than some valid ones."""
    shape, source = (16, 64, 64), SourceType.FLOAT32
    sound = encode_payload(
        samples_of(smooth(shape, relu=False), source), parameter_set(source, *shape)
    )

    def seconds(payload: bytes) -> float:
        """Processor time of this thread, the least of some: others may be at work on the machine."""
        found = []
        for _ in range(4):  # the first of all compiles
            begin = time.thread_time()
            error_of(payload, shape, source)
            found.append(time.thread_time() - begin)
        return min(found)

    usual = seconds(sound)
    for filler in (b"\x00", b"\xff", b"\x5a"):
        hostile = b"\x83\xff" + filler * 5000
        assert error_of(hostile, shape, source)
        assert seconds(hostile) < 10 * usual


# --- real features ---------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.skipif(trained.data_folder() is None, reason=trained.ABSENT)
def test_real_features() -> None:
    """Sizes of 20 features a layer, against the bars: within reach of a bug, not of chance."""
    import lzma

    images, _ = trained.cifar_images(20)
    for layer, most in (("conv1", 0.50), ("layer1", 0.74), ("layer2", 0.66), ("layer3", 0.45)):
        maps = trained.trained("resnet56").head(images, layer)
        sizes = [
            sum(
                len(there_and_back(samples_of(one, SourceType.FLOAT32), SourceType.FLOAT32, effort))
                for one in maps
            )
            for effort in EFFORTS
        ]
        other = sum(len(lzma.compress(one.tobytes())) for one in maps)
        assert sizes[0] < sizes[1] < other
        assert sizes[0] < 0.92 * other
        assert sizes[0] < most * maps.nbytes
