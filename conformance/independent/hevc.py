"""The coders of video: clauses 8.3.6, 8.3.12 and 8.3.13. The program ffmpeg decodes the pictures."""

from __future__ import annotations

import os
import shutil
import subprocess

import numpy as np

from .av1_constraints import check_frames, temporal_units
from .bits import Integers
from .codes import Coder
from .frames import frame_size, layout, unpack
from .hevc_constraints import check_slices, depth_of
from .nal import nal_units
from .refusal import Missing, Refusal, require
from .stream import CodedFeature
from .syntax import FeatureParameterSet
from .vvc_constraints import check_units

FFMPEG = "DFC_FFMPEG"  # environment variable with the program's path, where it is not on PATH
NAMES = {Coder.HEVC: "hevc", Coder.VVC: "vvc", Coder.AV1: "obu"}  # of byte streams, to ffmpeg
FORMATS = {8: "gray", 10: "gray10le", 12: "gray12le"}
FIRST_NON_SLICE = 32


def ffmpeg() -> str:
    """The path of the program ffmpeg."""
    found = os.environ.get(FFMPEG) or shutil.which("ffmpeg")
    if not found:
        raise Missing("ffmpeg is not installed: payloads of video cannot be decoded")
    return found


def frame_count(coded: CodedFeature) -> int:
    """*F*, the number of frames of a feature."""
    return len(layout(coded.fps, coded.parameters).frame_qps)


def check_payload(coded: CodedFeature) -> None:
    """Check the NAL units of a payload before ffmpeg sees it (R8.3.6-1, R8.3.6-2, 9.3.2; 8.3.12, 8.3.13)."""
    if coded.fps.coder == Coder.VVC:
        check_units(coded.payload, frame_count(coded))
        return
    if coded.fps.coder == Coder.AV1:
        check_frames(coded.payload, frame_count(coded))
        return
    units = nal_units(coded.payload)
    frame_qps = layout(coded.fps, coded.parameters).frame_qps
    right = len(units) == len(frame_qps)
    require(right, "payload", "R8.3.6-2", f"{len(units)} NAL units for {len(frame_qps)} frames")
    slices = all(unit.nal_unit_type < FIRST_NON_SLICE for unit in units)
    require(slices, "payload", "R8.3.6-2", "a NAL unit is no slice")
    check_slices(units, coded.fps, frame_qps, coded.access_point)


def decode_pictures(stream: bytes, fps: FeatureParameterSet, count: int) -> Integers:
    """Decode a byte stream to its pictures, count x frameHeight x frameWidth (R8.3.6-3)."""
    named = ("-c:v", "libaom-av1") if fps.coder == Coder.AV1 else ()
    command = [
        ffmpeg(), "-v", "error", "-nostdin", "-threads", "1", "-err_detect", "explode",
        "-f", NAMES[fps.coder], *named, "-i", "pipe:0", "-fps_mode", "passthrough",
        "-f", "rawvideo", "-pix_fmt", FORMATS[depth_of(fps)], "pipe:1",
    ]  # fmt: skip
    done = subprocess.run(command, input=stream, capture_output=True, check=False)
    if done.returncode or done.stderr:
        message = done.stderr.decode("utf-8", "replace").strip()[-200:]
        raise Refusal("payload", "R8.3.6-3", f"ffmpeg: {message}")
    width, height = frame_size(fps)
    word = 1 if depth_of(fps) == 8 else 2
    size = count * height * width * word
    found = len(done.stdout)
    require(found == size, "payload", "R8.3.6-3", f"{found} bytes of pictures, not {size}")
    samples = np.frombuffer(done.stdout, f"<u{word}")
    return samples.astype(np.int64).reshape(count, height, width)


class SequenceDecoder:
    """Decodes the features of a sequence together, and gives them out one by one."""

    def __init__(self) -> None:
        self.pictures: dict[CodedFeature, Integers] = {}

    def samples(self, coded: CodedFeature) -> Integers:
        """The samples of a feature, C x H x W, limited to its bits (8.3.6, 8.3.12, 8.3.13)."""
        if coded not in self.pictures:
            self.decode(coded.sequence)
        frames = self.pictures.pop(coded)
        samples = unpack(frames, coded.fps, coded.parameters)
        return np.minimum(samples, (1 << coded.fps.bits) - 1)

    def decode(self, sequence: list[CodedFeature]) -> None:
        """Decode the payloads of a sequence in one run."""
        fps, at = sequence[0].fps, 0
        for coded in sequence:
            check_payload(coded)
        counts = [frame_count(coded) for coded in sequence]
        payloads = b"".join(coded.payload for coded in sequence)
        stream = fps.parameter_sets + payloads
        if fps.coder == Coder.AV1:
            stream = temporal_units(fps.parameter_sets, payloads)
        pictures = decode_pictures(stream, fps, sum(counts))
        for coded, count in zip(sequence, counts, strict=True):
            self.pictures[coded] = pictures[at : at + count]
            at += count
