"""The order of units (9.1), and the length of sequences (A.3)."""

from __future__ import annotations

from dataclasses import dataclass

from refcodec.clauses import clause
from refcodec.coders.protocol import Violations
from refcodec.errors import OrderError, StreamError, TruncatedError, UnsupportedError
from refcodec.probability.store import ModelReference
from refcodec.stream.parsing import CodedUnit, ParameterSets
from refcodec.syntax.codes import CODED_UNITS, SKIPPABLE_UNITS, FeatureType, HashTarget, UnitType
from refcodec.syntax.records import Record
from refcodec.syntax.structures import End, FeatureParameterSet, Hash, Metadata
from refcodec.syntax.units import Unit
from refcodec.tables import Level

__all__ = [
    "Order",
    "another_follows",
    "bytes_follow",
    "no_access_point",
    "no_end",
    "nothing_to_continue",
]


@dataclass(slots=True)
class _Sequence:
    """Features of one parameter set since its last access point, and their samples."""

    length: int = 0
    samples: int = 0


class Order:
    """State of the checks on the order of units, after the units accepted so far.

    parameter_sets : those in force, by fps_id.
    models         : models of latents, by model_id.
    feature_count  : number of features.
    complete       : true if all units could be read, so that the number of features is known.
    interrupted    : fps_ids of sequences that lack a feature; see `StrictWalk`.
    hashed         : targets of the hash units since the last coded unit; None if another unit came between.
    """

    def __init__(self, limits: Level) -> None:
        self._limits = limits
        self._previous: int | None = None
        self._sequences: dict[int, _Sequence] = {}
        self._begun: set[int] = set()  # fps_ids of parameter sets that have features of tokens
        self.parameter_sets: ParameterSets = {}
        self.models: dict[int, ModelReference] = {}
        self.feature_count = 0
        self.complete = True
        self.interrupted: set[int] = set()
        self.hashed: set[HashTarget] | None = None

    @clause("9.1")
    def check(self, unit: Unit, content: Record | None) -> Violations:
        """(9.1) A unit, parsed as ``content``, is allowed at this point of the stream."""
        bit_offset = 8 * unit.offset
        if self._previous == UnitType.INDEX and not isinstance(content, End):
            yield OrderError(
                "only the end unit follows the index", bit_offset=bit_offset, requirement="9.1-6"
            )
        match content:
            case Metadata() if self.parameter_sets:
                yield OrderError(
                    "metadata follows a feature parameter set; it must precede all of them",
                    bit_offset=bit_offset,
                    requirement="9.1-11",
                )
            case Hash() if self.hashed is None:
                yield OrderError(
                    "a hash unit must directly follow a coded feature or batch",
                    bit_offset=bit_offset,
                    requirement="9.1-5",
                )
            case Hash() if self.hashed is not None and content.hash_target in self.hashed:
                yield OrderError(
                    f"a second hash unit of the {content.hash_target.name.lower()} follows one "
                    "coded unit",
                    bit_offset=bit_offset,
                    requirement="9.1-12",
                )
            case End() if self.complete and content.feature_count not in (None, self.feature_count):
                yield OrderError(
                    f"the end unit counts {content.feature_count} features; the stream has "
                    f"{self.feature_count}",
                    bit_offset=8 * unit.payload_offset + 64,
                    requirement="9.1-7",
                )

    @clause("9.1")
    def check_sequence(self, coded: CodedUnit) -> Violations:
        """(9.1, A.3) A sequence begins with an access point and keeps to the limits of the level.

        Tokens that follow others need a feature that precedes them.
        """
        if coded.continues and coded.fps.fps_id not in self._begun | self.interrupted:
            yield nothing_to_continue(coded.payloads[0].bit_offset)
        if not coded.fps.temporal_prediction_flag:
            return
        so_far = self._sequences.get(coded.fps.fps_id)
        if coded.access_point:
            so_far = _Sequence()
        elif coded.fps.fps_id in self.interrupted:
            return
        elif so_far is None:
            yield no_access_point(coded)
            return
        limits = self._limits
        samples = so_far.samples + coded.samples
        for what, count, most in (
            ("features", so_far.length + 1, limits.max_sequence_length),
            ("samples", samples, limits.max_sequence_samples),
        ):
            if count > most:
                yield UnsupportedError(
                    f"{count} {what} since the last access point; level {limits.level_idc} allows {most}",
                    bit_offset=coded.payloads[0].bit_offset,
                    requirement="A.3-4",
                )

    def accept(self, unit: Unit, content: Record | None, coded: CodedUnit | None) -> None:
        """Record a unit in which nothing is wrong.

        "A coded unit refers to the last feature parameter set with its fps_id that precedes it."
        """
        self._previous = unit.unit_type
        if isinstance(content, FeatureParameterSet):
            self.parameter_sets[content.fps_id] = content
            self._sequences.pop(content.fps_id, None)
            self._begun.discard(content.fps_id)
            self.interrupted.discard(content.fps_id)
        if isinstance(content, Hash):
            if self.hashed is not None:
                self.hashed.add(content.hash_target)
        else:
            self.hashed = None
        if coded is not None:
            self.hashed = set()
            self.feature_count += len(coded.payloads)
            if coded.fps.feature_type == FeatureType.TOKENS:
                self._begun.add(coded.fps.fps_id)
            if coded.fps.temporal_prediction_flag:
                self._continue_sequence(coded)

    def lose(self, unit: Unit) -> None:
        """Record a unit whose content is unknown; hash units may follow it if it is a coded one."""
        self._previous = unit.unit_type
        if unit.unit_type in CODED_UNITS:
            self.hashed = set()
        elif unit.unit_type != UnitType.HASH:
            self.hashed = None
        if unit.unit_type not in SKIPPABLE_UNITS:
            self.complete = False

    def _continue_sequence(self, coded: CodedUnit) -> None:
        fps_id = coded.fps.fps_id
        if coded.access_point:
            self.interrupted.discard(fps_id)
        if coded.access_point or fps_id not in self._sequences:
            self._sequences[fps_id] = _Sequence()
        sequence = self._sequences[fps_id]
        sequence.length += 1
        sequence.samples += coded.samples


def no_access_point(coded: CodedUnit) -> StreamError:
    """The error of a predicted feature whose sequence has no access point."""
    return OrderError(
        "a sequence begins without an access point",
        bit_offset=coded.payloads[0].bit_offset,
        clause="9.1",
    )


def nothing_to_continue(bit_offset: int) -> StreamError:
    """The error of tokens that follow others, where the parameter set has no feature before them."""
    return OrderError(
        "continuation_flag is 1 in the first feature of its parameter set",
        bit_offset=bit_offset,
        requirement="9.1-13",
    )


def no_end(offset: int) -> StreamError:
    """The error of a stream that stops at byte ``offset`` without an end unit."""
    return TruncatedError(
        "the stream has no end unit", bit_offset=8 * offset, requirement="9.1-1", hint="it was cut"
    )


def bytes_follow(end: Unit) -> StreamError:
    """The error of bytes after the end unit."""
    return OrderError("bytes follow the end unit", bit_offset=8 * end.end, requirement="9.1-10")


def another_follows(offset: int) -> StreamError:
    """The error of another stream after the end unit, at byte ``offset``."""
    return OrderError(
        "another stream follows the end unit",
        bit_offset=8 * offset,
        requirement="9.1-10",
        hint="refcodec.open reads them one after the other; refcodec concat makes one of them",
    )
