"""Defects of AV1 sequence headers and frames."""

from __future__ import annotations

from refcodec.suite.assemble import Edit
from refcodec.suite.make.define import invalid, invalid_payload, unnoticed
from refcodec.suite.make.edits import (
    change_payload,
    element,
    inside,
    parameter,
    parameter_set,
    replace_sets,
)
from refcodec.suite.vectors import Definition
from refcodec.syntax.av1 import split_units

_ORIGIN = "av1-10-bit"
_SETS, _PAYLOAD = (1, "feature_parameter_set.parameter_sets"), (2, "coded_feature.payload")


def _fixed(number: int, name: str, value: int, title: str) -> Definition:
    """A vector whose sequence header has another value of an element."""

    def change(stream: bytes) -> list[Edit]:
        return inside(stream, *_SETS, value, f"sequence_header.{name}")

    change.__name__ = f"av1_{title}"
    change.__doc__ = f"{name} of the sequence header is {value}"
    return invalid(number, _ORIGIN, "constraint", "9.11.1")(change)


av1_chroma = _fixed(801, "mono_chrome", 0, "chroma")
av1_film_grain = _fixed(803, "film_grain_params_present", 1, "film_grain")
av1_superres = _fixed(823, "enable_superres", 1, "superres")
av1_depth = _fixed(824, "high_bitdepth", 0, "depth")
av1_whole_headers = _fixed(805, "reduced_still_picture_header", 0, "whole_headers")


@invalid(800, _ORIGIN, "constraint", "9.11.1")
def av1_width(stream: bytes) -> list[Edit]:
    """the sequence header has frames 15 samples wide; the tiles ask for 16"""
    return inside(stream, *_SETS, [14], "sequence_header.max_frame_width_minus_1")


@invalid(825, _ORIGIN, "constraint", "9.11.1")
def av1_height(stream: bytes) -> list[Edit]:
    """the sequence header has frames of one row less than the tiles ask for"""
    rows = int(element(stream, *_SETS[:1], "sequence_header.max_frame_height_minus_1").value[0])
    return inside(stream, *_SETS, [rows - 1], "sequence_header.max_frame_height_minus_1")


@invalid(820, "av1-12-bit", "constraint", "9.2")
def av1_13_bit() -> Edit:
    """samples of an AV1 feature have 13 bits"""
    return parameter_set("bits_minus1", 12)


@invalid(821, _ORIGIN, "constraint", "9.3")
def av1_no_sample_hash() -> Edit:
    """the sample hash of an AV1 feature is left out"""
    return parameter_set("sample_hash_size_code", 0)


@invalid(822, _ORIGIN, "constraint", "9.2")
def av1_qp_52() -> Edit:
    """qp of an AV1 feature is 52"""
    return parameter("qp", 52)


@invalid(802, _ORIGIN, "syntax", "8.3.13", _PAYLOAD)
def av1_extension(stream: bytes) -> list[Edit]:
    """obu_extension_flag of a frame is 1"""
    return inside(stream, *_PAYLOAD, 1, "obu_header.obu_extension_flag")


@invalid(804, _ORIGIN, "constraint", "9.11.1", _SETS)
def av1_two_headers(stream: bytes) -> list[Edit]:
    """parameter_sets holds the sequence header twice"""
    return replace_sets(2 * element(stream, *_SETS).value)


@invalid(806, _ORIGIN, "payload", "8.3.13", _PAYLOAD)
def av1_header_in_payload(stream: bytes) -> Edit:
    """the sequence header is repeated in a payload"""
    header = element(stream, *_SETS).value
    return change_payload(stream, lambda payload: header + payload)


@invalid_payload(807, "av1-frame-packing", "8.3.13", place=_PAYLOAD)
def av1_frame_missing(payload: bytes) -> bytes:
    """a payload lacks the last frame"""
    return payload[: [*split_units(payload)][-1].at]


@invalid_payload(808, _ORIGIN, "8.3.13", "syntax", _PAYLOAD)
def av1_frame_cut(payload: bytes) -> bytes:
    """a payload lacks the last byte of its frame"""
    return payload[:-1]


@unnoticed(809, _ORIGIN, "constraint", "9.11.2", _PAYLOAD, also=("payload", "hash"))
def av1_shown_size(stream: bytes) -> list[Edit]:
    """render_and_frame_size_different is 1"""
    return inside(stream, *_PAYLOAD, 1, "frame_header.render_and_frame_size_different")
