"""AV1 payloads before ffmpeg sees them: the OBUs and the tables of clause 6.16, 9.11.1, R8.3.13-1, R8.3.13-2.

The frames themselves (9.11.2) are left to the sample hash, as B.3 allows.
"""

from __future__ import annotations

from .bits import BitReader
from .constraints import constrain
from .frames import frame_size
from .hevc_constraints import depth_of
from .hevc_syntax import Elements, read_table
from .refusal import Refusal, require
from .syntax import FeatureParameterSet

HEADER = """
obu_forbidden_bit u 1
obu_type u 4
obu_extension_flag u 1
obu_has_size_field u 1
obu_reserved_1bit u 1
"""
SEQUENCE = """
seq_profile u 3
still_picture u 1
reduced_still_picture_header u 1
seq_level_idx u 5
frame_width_bits_minus_1 u 4
frame_height_bits_minus_1 u 4
"""
TOOLS = """
use_128x128_superblock u 1
enable_filter_intra u 1
enable_intra_edge_filter u 1
enable_superres u 1
enable_cdef u 1
enable_restoration u 1
high_bitdepth u 1
"""
COLOURS = """
mono_chrome u 1
color_description_present_flag u 1
color_range u 1
film_grain_params_present u 1
"""
FIXED = {
    "still_picture": 1,
    "reduced_still_picture_header": 1,
    "enable_superres": 0,
    "mono_chrome": 1,
    "color_description_present_flag": 0,
    "film_grain_params_present": 0,
}
SEQUENCE_HEADER, FRAME = 1, 6
PROFESSIONAL = 2
DELIMITER = b"\x12\0"
MOST_BYTES = 10


def obus_of(stream: bytes) -> list[tuple[int, bytes, bytes]]:
    """Type, bytes, and bytes behind the header, of the OBUs of a byte stream (R8.3.13-1)."""
    read, obus = BitReader(stream), []
    while read.position < 8 * len(stream):
        start, found = read.position // 8, Elements()
        try:
            read_table(read, found, HEADER)
            content = read.raw(read.leb128())
        except Refusal as refusal:
            raise Refusal("syntax", "R8.3.13-1", f"an OBU is not whole: {refusal}") from refusal
        kind, sized = found.pop("obu_type"), found.pop("obu_has_size_field")
        plain = sized == 1 and not any(found.values())
        require(plain, "syntax", "R8.3.13-1", "an OBU has an extension, or no size")
        obus.append((kind, stream[start : read.position // 8], content))
    return obus


def parse_sequence_header(data: bytes) -> Elements:
    """The beginning of sequence_header()."""
    read, found = BitReader(data), Elements()
    read_table(read, found, SEQUENCE)
    found["width"] = read.u(found["frame_width_bits_minus_1"] + 1) + 1
    found["height"] = read.u(found["frame_height_bits_minus_1"] + 1) + 1
    read_table(read, found, TOOLS)
    twelve = found["seq_profile"] == PROFESSIONAL and found["high_bitdepth"] and read.u(1)
    found["depth"] = 12 if twelve else 8 + 2 * found["high_bitdepth"]
    read_table(read, found, COLOURS)
    return found


def check_sequence_header(fps: FeatureParameterSet) -> None:
    """Check the parameter sets of AV1 payloads (9.11.1)."""
    obus = obus_of(fps.parameter_sets)
    kinds = [kind for kind, *_ in obus]
    short = len(fps.parameter_sets) <= MOST_BYTES
    constrain(kinds == [SEQUENCE_HEADER] and short, "R9.11.1-1", f"OBUs of types {kinds}")
    found, depth = parse_sequence_header(obus[0][2]), depth_of(fps)
    width, height = frame_size(fps)
    profile = PROFESSIONAL if depth == 12 else 0
    fixed = FIXED | {"seq_profile": profile, "width": width, "height": height, "depth": depth}
    for name, value in fixed.items():
        constrain(found[name] == value, "R9.11.1-2", f"{name} is {found[name]}, not {value}")


def check_frames(payload: bytes, frames: int) -> None:
    """Check the OBUs of a payload (R8.3.13-2)."""
    kinds = [kind for kind, *_ in obus_of(payload)]
    right = kinds == [FRAME] * frames
    require(right, "payload", "R8.3.13-2", f"OBUs of types {kinds} for {frames} frames")


def temporal_units(parameter_sets: bytes, payload: bytes) -> bytes:
    """The byte stream of the frames of a payload (8.3.13)."""
    return b"".join(DELIMITER + parameter_sets + obu for _, obu, _ in obus_of(payload))
