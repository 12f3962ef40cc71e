"""The AV1 coder: round trips, its quantisers, and what is refused before ffmpeg sees a payload."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from video import ROUND_TRIPS, broken, listed, maps, round_trip, vector

import refcodec
from refcodec.coders.av1.steps import quantiser_of
from refcodec.coders.video.portions import VideoFrames, encode_portions
from refcodec.errors import EnvironmentFault, StreamError
from refcodec.metrics import signal_to_noise
from refcodec.suite.drawn.stream import draw_stream
from refcodec.suite.make.edits import element, inside, replace_sets
from refcodec.suite.valid.build import replaced
from refcodec.syntax.av1 import TYPE, split_units
from refcodec.syntax.codes import Profile

SETS, PAYLOAD = (1, "feature_parameter_set.parameter_sets"), (2, "coded_feature.payload")


decodes = pytest.mark.skipif("libdav1d" not in listed("-decoders"), reason="ffmpeg has no libdav1d")
encodes = pytest.mark.skipif("libaom-av1" not in listed("-encoders"), reason="ffmpeg has no libaom")


def changed(stream: bytes, name: str, value: Any) -> bytes:
    """The stream with another value of an element of its sequence header."""
    for edit in inside(stream, *SETS, value, f"sequence_header.{name}"):
        stream = edit(stream)
    return stream


# --- round trips -----------------------------------------------------------------------------------


@encodes
@decodes
@pytest.mark.parametrize(
    ("options", "least"), [*ROUND_TRIPS, ({"qp": 22, "bits": 12}, 25)], ids=str
)
def test_encode_decode(options: dict[str, Any], least: float) -> None:
    stream, error = round_trip("av1", options)
    assert not broken(stream)
    assert error > least
    assert round_trip("av1", options, workers=2)[0] == stream


@encodes
@decodes
@pytest.mark.parametrize("bits", [3, 8, 9, 10, 12])
def test_qp_0_keeps_every_sample(bits: int) -> None:
    """Noise, too: what comes back are the samples themselves."""
    samples = np.random.default_rng(bits).integers(0, 1 << bits, (2, 11, 5))
    samples.flat[:2] = 0, (1 << bits) - 1
    found = refcodec.decode(
        refcodec.encode(samples.astype(np.float32), coder="av1", bits=bits, qp=0)
    )
    assert np.array_equal(np.round(found), samples)


@encodes
@decodes
def test_several_features() -> None:
    """Frames come back in their order, whatever runs of libaom they were in, and one alone."""
    features = [maps(2, 16, 16, seed=seed) + seed for seed in range(5)]
    target = io.BytesIO()
    with refcodec.create(target, coder="av1", packing="frame", qp=(12, 18)) as writer:
        for one in features:
            writer.write(one)
    target.seek(0)
    with refcodec.open(target) as reader:
        found = list(reader)
        assert np.array_equal(reader[3], found[3])
    for one, back in zip(features, found, strict=True):
        assert np.abs(back - one).max() < 0.2


def test_frames_of_one_qp_run_together() -> None:
    """At most so many at a time, and each at its place in the end."""
    runs = []

    def encode_alike(frames: Any, qp: int) -> VideoFrames:
        runs.append((qp, len(frames)))
        return VideoFrames([bytes([one[0, 0], qp]) for one in frames], b"sets")

    frames = np.arange(7, dtype=np.uint8).reshape(7, 1, 1)
    qps = (4, 9, 4, 4, 9, 4, 4)
    found = encode_portions(frames, qps, 3, encode_alike, "an encoder")
    assert found == ([bytes([number, qp]) for number, qp in enumerate(qps)], b"sets")
    assert runs == [(4, 3), (4, 2), (9, 2)]
    with pytest.raises(EnvironmentFault, match="an encoder wrote 2 different parameter sets"):
        encode_portions(
            frames, qps, 9, lambda own, qp: VideoFrames([b""] * len(own), bytes([qp])), "an encoder"
        )


# --- quantisers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [8, 10, 12])
def test_quantisers_follow_the_qp(depth: int) -> None:
    """The greatest QP takes the coarsest; none is finer than that of a lower QP."""
    found = [quantiser_of(qp, depth) for qp in range(52)]
    assert found == sorted(found)
    assert (found[0], found[51]) == (0, 63)
    assert 0 not in found[1:]


@encodes
@decodes
@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("qp", [22, 30, 38])
def test_a_qp_means_what_it_means_elsewhere(bits: int, qp: int) -> None:
    """The error is that of HEVC at this QP, within 2.5 dB: two to three QPs."""
    feature = maps(8, 24, 24) + maps(8, 24, 24, seed=7)[:, ::-1]
    snr = {
        coder: signal_to_noise(
            refcodec.decode(refcodec.encode(feature, coder=coder, qp=qp, bits=bits)), feature
        )
        for coder in ("av1", "hevc")
    }
    assert abs(snr["av1"] - snr["hevc"]) < 2.5


# --- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [b"\xb2\x06", b"\x36\x06\0", b"\x30\x06", b"\x33\x06", b"\x32\x86\0", b"\x32", b"\x32\xff\xff"],
    ids=["forbidden", "extension", "no size", "reserved", "long size", "end", "endless size"],
)
def test_obus(head: bytes) -> None:
    """Every OBU has a size, in the shortest form, no extension, and no reserved bits."""
    stream = vector("av1-10-bit")
    whole = element(stream, *PAYLOAD).value
    for place in (head + whole[2:], whole + head):
        with pytest.raises(StreamError, match="AV1") as caught:
            refcodec.decode(replaced(stream, place))
        assert caught.value.requirement == "8.3.13-1"
        assert "8.3.13-1" in broken(replaced(stream, place))


def test_no_more_obus_are_read_than_there_are_frames() -> None:
    """Two bytes make an OBU: of a payload full of them, a decoder takes one more than it needs."""
    stream = vector("av1-10-bit")
    wrong = element(stream, *PAYLOAD).value + b"\x32\0" + b"\xff\xff"
    with pytest.raises(StreamError, match="has more than 1 OBUs") as caught:
        refcodec.decode(replaced(stream, wrong))
    assert caught.value.requirement == "8.3.13-2"
    assert "8.3.13-2" in broken(replaced(stream, wrong))


def test_one_short_sequence_header() -> None:
    """Two are too many, as is one with bytes behind its end, for it is repeated with each frame."""
    stream = vector("av1-10-bit")
    sets = element(stream, *SETS).value
    padded = bytes([sets[0], 9]) + sets[2:].ljust(9, b"\0")
    frame = element(stream, *PAYLOAD).value
    for wrong in (sets + sets, frame, padded):
        damaged = stream
        for edit in replace_sets(wrong):
            damaged = edit(damaged)
        assert broken(damaged) == {"9.11.1-1"}
        with pytest.raises(StreamError, match="a sequence header"):
            refcodec.decode(damaged)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seq_profile", 2),
        ("still_picture", 0),
        ("max_frame_height_minus_1", [14]),
        ("high_bitdepth", 0),
        ("enable_superres", 1),
        ("color_description_present_flag", 1),
    ],
)
def test_fixed_elements(name: str, value: Any) -> None:
    stream = changed(vector("av1-10-bit"), name, value)
    assert "9.11.1-2" in broken(stream)
    with pytest.raises(StreamError):
        refcodec.decode(stream)


def test_twelve_bits() -> None:
    assert "9.11.1-2" in broken(changed(vector("av1-12-bit"), "twelve_bit", 0))


@decodes
@pytest.mark.parametrize(("name", "value"), [("seq_level_idx", 31), ("color_range", 0)])
def test_elements_of_any_value(name: str, value: int) -> None:
    """A level promises nothing here, and samples are not colours."""
    stream = vector("av1-10-bit")
    other = changed(stream, name, value)
    assert other != stream
    assert not broken(other)
    assert np.array_equal(refcodec.decode(other), refcodec.decode(stream))


@decodes
def test_damaged_frames() -> None:
    """A flipped bit of a frame is noticed, by ffmpeg or by the sample hash, where it changes anything."""
    stream = vector("av1-screen-content")
    right, noticed = refcodec.decode(stream), list[str]()
    payload = element(stream, *PAYLOAD).value
    for bit in range(24, 8 * len(payload), 31):
        damaged = bytearray(payload)
        damaged[bit // 8] ^= 0x80 >> bit % 8
        try:
            assert np.array_equal(refcodec.decode(replaced(stream, bytes(damaged))), right)
        except StreamError as error:
            noticed.append(error.requirement)
    assert len(noticed) > 8
    assert set(noticed) <= {"8.3.13-3", "8.8-1"}


def test_many_units_are_not_shown() -> None:
    """Three hostile bytes can make an OBU: an inspector shows as many as a payload may have."""
    stream = replaced(vector("av1-10-bit"), bytes.fromhex("320100") * 5000)
    unit = refcodec.inspect(stream)[2]
    assert 100 < len(unit.elements) < 2000


def test_headers_are_shown() -> None:
    """Inspecting a stream names the elements of the OBUs, where they stand."""
    stream = vector("av1-frame-packing")
    _, own, coded = refcodec.inspect(stream)[:3]
    found = {one.path: one for one in own.elements}
    assert found["sequence_header.mono_chrome"].value == 1
    start = element(stream, *PAYLOAD).offset
    offsets = [one.offset for one in coded.elements if one.path == "obu_header.obu_size"]
    obus = list(split_units(element(stream, *PAYLOAD).value))
    assert [one.kind for one in obus] == [TYPE.FRAME] * 3
    assert offsets == [start + 8 * (one.at + 1) for one in obus]


# --- programs --------------------------------------------------------------------------------------


def test_an_ffmpeg_without_av1(tmp_path: Path) -> None:
    """Whose fault it is shows in the type of the error."""
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho 'Unknown decoder libdav1d' >&2; exit 1\n", encoding="utf-8")
    program.chmod(0o700)
    with pytest.raises(EnvironmentFault, match="does not decode AV1"):
        refcodec.decode(vector("av1-10-bit"), ffmpeg=str(program))
    with pytest.raises(EnvironmentFault, match="could not encode"):
        refcodec.encode(maps(1, 8, 8), coder="av1", ffmpeg=str(program))


@encodes
def test_drawn_streams() -> None:
    """Random parameters and samples are coded, and obey every requirement."""
    coded = 0
    for seed in range(8):
        drawn = draw_stream(Profile.AV1, 1, seed, coders=["av1"])
        assert not broken(drawn.stream)
        coded += len(drawn.features)
    assert coded > 0
