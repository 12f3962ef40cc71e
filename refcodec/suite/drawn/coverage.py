"""Coverage of the syntax by streams: values of elements at their bounds and between, branches of conditions.

A point is an element's path and one thing that may hold for it: ``smallest``, ``largest``, ``between``, the
name of a code point, ``absent``. Which points exist follows from the declarations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache

import numpy as np

from refcodec.registry import profile_coders
from refcodec.suite.assemble import Field
from refcodec.suite.text.disassembly import parts_of
from refcodec.suite.text.values import integer_of
from refcodec.syntax.codes import Profile, UnitType, is_kept
from refcodec.syntax.descriptors import (
    F32,
    SE,
    UE,
    AlignmentBits,
    Array,
    Bytes,
    Descriptor,
    Leb128,
    Rest,
    U,
)
from refcodec.syntax.follow import Place, declared
from refcodec.syntax.structures import STREAM_HEADER, UNIT_STRUCTURES

__all__ = ["Coverage", "Point", "all_points", "excluded", "points_of"]

Point = tuple[str, str]
"""Path of an element, and what holds for it."""

_STRUCTURES = {
    structure.title: structure for structure in (STREAM_HEADER, *UNIT_STRUCTURES.values())
}


class Coverage:
    """Points that streams of a profile have reached, and how often.

    labels   : number of streams by label.
    left_out : number of streams that this machine could not make, by the reason.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.reached: Counter[Point] = Counter()
        self.labels: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()

    def add(self, stream: bytes, labels: Iterable[str] = ()) -> None:
        """Count a stream, and its labels."""
        self.reached.update(set(points_of(stream)))
        self.labels.update(labels)

    @property
    def points(self) -> list[Point]:
        """Points that a conforming stream of the profile can reach."""
        return [point for point in all_points() if not excluded(point, self.profile)]

    @property
    def missing(self) -> list[Point]:
        """Those of them that were not reached, in the order of the declarations."""
        return [point for point in self.points if not self.reached[point]]

    def as_markdown(self) -> str:
        """A page: each element with its points and the number of streams that reach them."""
        count = len(self.points)
        lines = [
            "# Elements and branches that these streams reach",
            "",
            f"{count - len(self.missing)} of {count} points; the numbers are those of streams.",
            "",
            "| element | reached | not reached | not possible |",
            "| --- | --- | --- | --- |",
        ]
        by_path: dict[str, list[str]] = {}
        for path, what in all_points():
            by_path.setdefault(path, []).append(what)
        for path, own in by_path.items():
            counts = [(what, self.reached[path, what]) for what in own]
            reached = ", ".join(f"{what} {count}" for what, count in counts if count)
            left = [(what, excluded((path, what), self.profile)) for what, n in counts if not n]
            missing = ", ".join(what for what, reason in left if not reason)
            reasons = "; ".join(f"{what}: {reason}" for what, reason in left if reason)
            lines.append(f"| `{path}` | {reached} | {missing} | {reasons} |")
        lines += ["", "## Labels", "", "| label | streams |", "| --- | --- |"]
        lines += [f"| {label} | {count} |" for label, count in sorted(self.labels.items())]
        lines += [f"\n{count} streams left out: {why}" for why, count in self.left_out.items()]
        return "\n".join(lines) + "\n"


_EXCLUDED = (
    ("stream_header.version_major", "*est", "another version"),
    ("stream_header.version_minor", "[!s]*", "another version"),
    ("stream_header.header_crc", "*est", "a sum"),
    ("stream_header.level_idc", "*est", "no such level"),
    ("*.reserved_*", "[!s]*", "reserved bits are 0"),
    ("*.log_step", "*est", "beyond 9.2"),
    ("*.lattice_step", "zero", "9.2"),
    ("*.lattice_step", "negative", "9.2"),
    ("*.feature_count_minus1", "largest", "beyond the size of a batch"),
    ("*.payload_size_base", "largest", "beyond the size of a batch"),
    ("feature_parameter_set.channels_minus1", "largest", "16 million channels are not drawn"),
    ("feature_parameter_set.head_count", "largest", "4,096 heads are not drawn"),
    ("*.token_count_minus1", "largest", "65,536 tokens are not drawn"),
    ("*.context_count_minus1", "largest", "65,536 contexts are not drawn"),
    ("*.table_count_minus1", "largest", "4,096 tables are not drawn"),
    ("*.level_count", "largest", "262,143 levels are not drawn"),
    ("network_model_unit.*", "*", "networks are not drawn"),
    ("unit.unit_type", "network_model", "networks are not drawn"),
    ("context_model_unit.*", "*", "context models are not drawn"),
    ("unit.unit_type", "context_model", "context models are not drawn"),
    ("feature_parameter_set.coder_id", "native_contexts", "context models are not drawn"),
    ("feature_parameter_set.context_model_id", "[!a]*", "context models are not drawn"),
    (
        "channel_transform_unit.transform.group_*",
        "largest",
        "4,096 groups or channels are not drawn",
    ),
    ("channel_transform_unit.transform.coded_size", "*est", "not what weights come to"),
    (
        "channel_transform_unit.transform.alignment",
        "no bits",
        "the bits before it are odd in number",
    ),
    ("channel_transform_unit.transform.*", "empty", "there is a channel"),
    ("*.coded_tables", "empty", "then no latent is within reach"),
    ("*.parameter_sets_size", "*est", "not what encoders write"),
    ("index.unit_distance", "largest", "beyond any stream drawn"),
    ("index.unit_distance", "smallest", "two units at one place"),
    ("*.qp_delta", "empty", "then it is absent"),
    ("*.payload_size_delta", "empty", "then it is absent"),
    ("coded_feature_batch.*_code", "empty", "then it is absent"),
    ("*.restoration_*", "empty", "then it is absent"),
    ("*.log_step", "empty", "there is a range"),
    ("*.sample_hash*", "empty", "then it is absent"),
    ("end.index_offset", "largest", "beyond any stream drawn"),
    ("end.feature_count", "largest", "beyond any stream drawn"),
    ("feature_parameter_set.parameter_sets", "empty", "9.3"),
    ("metadata.entries.key", "empty", "9.4"),
    ("index.access_point", "between", "one bit"),
    ("coded_feature_batch*channel_*", "[!a]*", "features of video are not batched"),
)
"""Patterns of points that no stream reaches, or none that is drawn, and why."""

_LOSSY = (Profile.HEVC, Profile.NATIVE, Profile.REALTIME, Profile.VVC, Profile.AV1)

_TRANSFORMING = (Profile.NATIVE, Profile.REALTIME)

_OWNERS: dict[str, tuple[Profile, ...]] = {
    **dict.fromkeys(("qp", "qp_delta_bits", "qp_delta"), _LOSSY),
    **dict.fromkeys(
        ("temporal_prediction_flag", "access_point_flag"), (Profile.HEVC, Profile.NATIVE)
    ),
    "qp_eighths": (Profile.NATIVE, Profile.REALTIME),
    **dict.fromkeys(
        ("substream_count_minus1", "substream_size"), (Profile.LEARNED, Profile.REALTIME)
    ),
    **dict.fromkeys(
        (
            "tile_columns_minus1",
            "tile_rows_minus1",
            "parameter_sets_size",
            "parameter_sets",
            "channel_order",
            "channel_at_bits",
            "channel_at",
        ),
        (Profile.HEVC, Profile.VVC, Profile.AV1),
    ),
    "hevc_lossless_flag": (Profile.HEVC,),
    "model_id": (Profile.LEARNED, *_TRANSFORMING),
    **dict.fromkeys(
        (
            "lattice_step",
            "lattice_offset_flag",
            "lattice_offset",
            "joint_flag",
        ),
        (Profile.LEARNED,),
    ),
}
"""Profiles of elements that not every profile has."""

_MODEL_UNITS = ("entropy_model_unit.", "network_model_unit.")
"""Beginnings of paths that only the learned profile has."""

_LATENTS = ("entropy_model", "network_model", "lattice")
_TRANSFORMS = ("channel_transform", "transform")
"""Code points of latents, and of transforms over channels."""


def excluded(point: Point, profile: Profile) -> str:
    """Reason why no stream of a profile reaches a point; '' if some may."""
    path, what = point
    for pattern, kind, reason in _EXCLUDED:
        if fnmatchcase(path, pattern) and fnmatchcase(what, kind):
            return reason
    name = path.rpartition(".")[2]
    if name == "profile_idc":
        elsewhere = what != profile.name.lower()
    elif path.startswith(_MODEL_UNITS) or what in _LATENTS:
        elsewhere = profile != Profile.LEARNED
    elif path.startswith("channel_transform_unit.") or what in _TRANSFORMS:
        elsewhere = profile not in _TRANSFORMING
    elif name == "coder_id":
        elsewhere = what not in {code.name.lower() for code in profile_coders()[profile]}
    else:
        elsewhere = what != "absent" and profile not in _OWNERS.get(name, Profile)
    return "another profile" if elsewhere else ""


@cache
def all_points() -> tuple[Point, ...]:
    """All points of the declarations."""
    points: list[Point] = [
        ("unit.unit_type", kind.name.lower()) for kind in UnitType if not is_kept(kind)
    ]
    points += [("unit.unit_type", "another"), ("unit.unit_size", "one byte")]
    points += [("unit.unit_size", "several bytes")]
    for structure in _STRUCTURES.values():
        for one in declared(structure):
            own = list(_possible(one.coding))
            points += [(one.path, what) for what in own + ["absent"] * one.conditional]
    return tuple(dict.fromkeys(points))


def points_of(stream: bytes) -> Iterator[Point]:
    """Points that a stream reaches."""
    for piece, places in parts_of(stream):
        if piece.fields[0].path == "unit.skippable_flag":
            kind = int(piece.fields[1].bits, 2)
            known = kind in UNIT_STRUCTURES
            yield "unit.unit_type", UnitType(kind).name.lower() if known else "another"
            yield "unit.unit_size", _length(piece.fields[2])
            if kind == UnitType.END and len(piece.fields) == 4:
                yield from ((one.path, "absent") for one in declared(UNIT_STRUCTURES[kind]))
        present = {place.path for place in places if place is not None}
        titles = {path.partition(".")[0] for path in present}
        for one, place in zip(piece.fields, places, strict=True):
            if place is not None:
                yield from ((place.path, what) for what in _reached(one, place))
        for title in titles:
            for own in declared(_STRUCTURES[title]):
                if own.conditional and own.path not in present:
                    yield own.path, "absent"


def _length(one: Field) -> str:
    return "one byte" if len(one.bits) == 8 else "several bytes"


def _possible(coding: Descriptor) -> tuple[str, ...]:
    match coding:
        case U() if coding.values is not None:
            return tuple(code.name.lower() for code in coding.values if not is_kept(code))
        case U(width=1):
            return "smallest", "largest"
        case U() | UE() | SE():
            return "smallest", "between", "largest"
        case Array():
            return "smallest", "between", "largest", "empty"
        case F32():
            return "zero", "subnormal", "negative", "positive", "largest"
        case Leb128():
            return "one byte", "several bytes"
        case Bytes(size=int()):
            return ("some",)
        case Bytes() | Rest():
            return "empty", "some"
        case _:
            return "no bits", "some bits"


def _reached(one: Field, place: Place) -> Iterator[str]:
    coding = place.coding
    match coding:
        case U() if coding.values is not None:
            names = {int(code): code.name.lower() for code in coding.values}
            yield names.get(int(one.bits, 2), "another")
        case U():
            yield _side(int(one.bits, 2), 0, (1 << coding.width) - 1)
        case UE() | SE():
            value = integer_of(one.bits, one.descriptor)
            yield _side(value or 0, coding.minimum, coding.maximum)
        case Array():
            width = place.number(coding.width)
            words = {one.bits[i : i + width] for i in range(0, len(one.bits), width or 1)}
            sides = {_side(int(word, 2), 0, (1 << width) - 1) for word in words if word}
            yield from sides or {"empty"}
        case F32():
            numbers = {int(one.bits[i : i + 32], 2) for i in range(0, len(one.bits), 32)}
            yield from {kind for number in numbers for kind in _kinds(number)}
        case Leb128():
            yield _length(one)
        case AlignmentBits():
            yield "some bits" if one.bits else "no bits"
        case _:
            yield "some" if one.bits else "empty"


def _side(value: int, least: int, most: int) -> str:
    return {least: "smallest", most: "largest"}.get(value, "between")


def _kinds(word: int) -> Iterator[str]:
    magnitude = word & 0x7FFFFFFF
    if magnitude == 0:
        yield "zero"
    elif magnitude < 0x00800000:
        yield "subnormal"
    elif magnitude == int(np.float32(np.finfo(np.float32).max).view(np.uint32)):
        yield "largest"
    yield "negative" if word >> 31 else "positive"
