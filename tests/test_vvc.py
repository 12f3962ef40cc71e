"""The VVC coder: round trips, and what is refused before ffmpeg sees a payload."""

from __future__ import annotations

import io
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from video import ROUND_TRIPS, broken, listed, maps, round_trip, vector

import refcodec
from refcodec.coders.ffmpeg import find_ffmpeg
from refcodec.coders.vvc.encoding import _PORTION
from refcodec.errors import CallerError, EnvironmentFault, StreamError
from refcodec.suite.assemble import Edit, Patch
from refcodec.suite.drawn.stream import draw_stream
from refcodec.suite.make.edits import change_payload, element, with_headers
from refcodec.suite.valid.build import replaced
from refcodec.syntax.codes import Profile
from refcodec.syntax.vvc import NAL, nal_type, split_nals
from refcodec.tables import vvc_constraints

decodes = pytest.mark.skipif(" vvc " not in listed("-decoders"), reason="ffmpeg decodes no VVC")
encodes = pytest.mark.skipif("libvvenc" not in listed("-encoders"), reason="ffmpeg has no libvvenc")


# --- round trips -----------------------------------------------------------------------------------


@encodes
@decodes
@pytest.mark.parametrize(("options", "least"), ROUND_TRIPS, ids=str)
def test_encode_decode(options: dict[str, Any], least: float) -> None:
    stream, error = round_trip("vvc", options)
    assert not broken(stream)
    assert error > least


@encodes
@decodes
def test_more_frames_than_one_run_takes() -> None:
    """Frames come back in their order, whatever runs of vvenc they were in."""
    features = [maps(2, 16, 16, seed=seed) + seed for seed in range(_PORTION)]
    target = io.BytesIO()
    options: dict[str, Any] = {
        "coder": "vvc",
        "packing": "frame",
        "preset": "faster",
        "qp": (12, 18),
    }
    with refcodec.create(target, **options) as writer:
        for one in features:
            writer.write(one)
    target.seek(0)
    with refcodec.open(target) as reader:
        found = list(reader)
        assert np.array_equal(reader[3], found[3])
    for one, back in zip(features, found, strict=True):
        assert np.abs(back - one).max() < 0.2


@encodes
def test_frames_that_do_not_compress() -> None:
    noise = np.random.default_rng(0).normal(size=(1, 16, 16)).astype(np.float32)
    with pytest.raises(EnvironmentFault, match="could not encode") as caught:
        refcodec.encode(noise, coder="vvc", qp=0)
    assert "takes no frame of more bytes than samples" in caught.value.hint


# --- refusals --------------------------------------------------------------------------------------


def test_byte_streams() -> None:
    """A payload begins with a start code and has no three zeros, whoever looks at it."""
    stream = vector("vvc-10-bit")
    payload = element(stream, 2, "coded_feature.payload").value
    for change in (b"\1", b"\0\0\1\0\x41\0\0\0\1\0\x41\1"):
        damaged = replaced(stream, change + payload[3:])
        with pytest.raises(StreamError, match="VVC") as caught:
            refcodec.decode(damaged)
        assert caught.value.clause == "8.3.12"
        assert "8.3.12-1" in broken(damaged) or change[0] == 0


@pytest.mark.parametrize("name", vvc_constraints()["zero"])
def test_elements_that_are_zero(name: str) -> None:
    stream = vector("vvc-10-bit")
    paths = [one.path for one in refcodec.inspect(stream)[1].elements]
    number = int(next(path for path in paths if path.endswith(f".{name}")).startswith("pic_"))
    for edit in with_headers(stream, number, **{name: 1}):
        stream = edit(stream)
    assert "9.10.1-4" in broken(stream)
    with pytest.raises(StreamError):
        refcodec.decode(stream)


@pytest.mark.parametrize(
    ("number", "name", "value"),
    [
        (0, "sps_ptl_dpb_hrd_params_present_flag", 0),
        (0, "sps_bitdepth_minus8", 0),
        (0, "sps_pic_height_max_in_luma_samples", 24),
        (1, "pps_pic_width_in_luma_samples", 24),
        (1, "pps_pic_height_in_luma_samples", 24),
    ],
)
def test_fixed_elements(number: int, name: str, value: int) -> None:
    stream = vector("vvc-10-bit")
    for edit in with_headers(stream, number, **{name: value}):
        stream = edit(stream)
    assert "9.10.1-3" in broken(stream)


def test_large_windows() -> None:
    """A picture is not much larger than its frame, though it is cropped to the right size."""
    stream = vector("vvc-window")
    height, bottom = "sps_pic_height_max_in_luma_samples", "sps_conf_win_bottom_offset"
    found = {one.name: one.value for one in refcodec.inspect(stream)[1].elements}
    edits = with_headers(stream, 0, **{height: found[height] + 2048, bottom: found[bottom] + 2048})
    for edit in edits:
        stream = edit(stream)
    assert "9.10.1-5" in broken(stream)


def _patched(stream: bytes, name: str, bits: str) -> bytes:
    """The stream with other bits for an element inside its first payload."""
    start = element(stream, 2, "coded_feature.payload").offset
    place = next(one for one in refcodec.inspect(stream)[2].elements if one.name == name)
    edit: Edit = Patch(2, "coded_feature.payload", place.offset - start, bits)
    return edit(stream)


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("sh_picture_header_in_slice_header_flag", "0"),
        ("ph_gdr_or_irap_pic_flag", "0"),
        ("ph_gdr_pic_flag", "1"),
        ("ph_inter_slice_allowed_flag", "1"),
    ],
)
def test_slices_of_other_pictures(name: str, bits: str) -> None:
    assert "9.10.2-2" in broken(_patched(vector("vvc-10-bit"), name, bits))


def test_filters_of_another_frame() -> None:
    """A slice names a filter that no parameter set before it holds."""
    stream = vector("vvc-filters")
    assert not broken(stream)
    assert "9.10.2-4" in broken(_patched(stream, "aps_adaptation_parameter_set_id", "00000"))

    def without(payload: bytes) -> bytes:
        return b"".join(
            b"\0\0\1" + nal for _, nal in split_nals(payload) if nal_type(nal) != NAL.PREFIX_APS
        )

    assert "9.10.2-4" in broken(change_payload(stream, without)(stream))


@decodes
def test_damaged_slices() -> None:
    """A flipped bit of a slice is noticed, by ffmpeg or by the sample hash, where it changes anything."""
    stream = vector("vvc-10-bit")
    right, noticed = refcodec.decode(stream), 0
    payload = element(stream, 2, "coded_feature.payload").value
    for bit in range(40, 8 * len(payload), 13):
        damaged = bytearray(payload)
        damaged[bit // 8] ^= 0x80 >> bit % 8
        try:
            assert np.array_equal(refcodec.decode(replaced(stream, bytes(damaged))), right)
        except StreamError:
            noticed += 1
    assert noticed > 8


# --- programs --------------------------------------------------------------------------------------


def test_an_ffmpeg_without_vvc(tmp_path: Path) -> None:
    """Whose fault it is shows in the type of the error."""
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho 'Unknown decoder vvc' >&2; exit 1\n", encoding="utf-8")
    program.chmod(0o700)
    with pytest.raises(EnvironmentFault, match="does not decode VVC"):
        refcodec.decode(vector("vvc-10-bit"), ffmpeg=str(program))
    with pytest.raises(EnvironmentFault, match="could not encode"):
        refcodec.encode(maps(1, 8, 8), coder="vvc", ffmpeg=str(program))


def test_no_streams_are_drawn() -> None:
    with pytest.raises(CallerError, match="payloads of vvc are not drawn"):
        draw_stream(Profile.VVC, 1, 0)
    assert draw_stream(Profile.VVC, 1, 0, coders=("raw", "zlib")).stream


@encodes
def test_a_run_that_writes_nothing_is_repeated(tmp_path: Path) -> None:
    """vvenc in ffmpeg 9.0.2 ends well without any output at times: here twice."""
    program = tmp_path / "ffmpeg"
    program.write_text(
        "#!/bin/sh\n"
        f"cd {shlex.quote(str(tmp_path))}\n"
        'case "$*" in *libvvenc*)\n'
        "  echo run >> runs\n"
        "  if [ $(wc -l < runs) -le 2 ]; then cat > /dev/null; exit 0; fi;;\n"
        "esac\n"
        f'exec {shlex.quote(find_ffmpeg())} "$@"\n'
    )
    program.chmod(0o755)
    feature = maps(1, 16, 16)
    data = refcodec.encode(feature, coder="vvc", preset="faster", ffmpeg=str(program))
    assert (tmp_path / "runs").read_text().count("run") == 3
    assert data == refcodec.encode(feature, coder="vvc", preset="faster")
