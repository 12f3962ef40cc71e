"""Decoding: coded units to features, in the order of clause 8.

    payload --coder (8.3)--> integer samples --hash (8.8)--> --restoration, quantiser (8.5, 8.6)--> feature

Units of one parameter set are decoded together, a window at a time, and are yielded in stream order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from refcodec.clauses import clause
from refcodec.coders import payload_coder
from refcodec.coders.protocol import (
    Machine,
    Payload,
    PayloadCoder,
    Reference,
    Samples,
    Violations,
)
from refcodec.errors import ConstraintError, DFCError, EnvironmentFault, HashError, StreamError
from refcodec.grouping import by_key, in_order
from refcodec.hashes import sample_hash, unit_hash
from refcodec.memory import memory_for
from refcodec.probability.store import ModelStore
from refcodec.quantise import dequantise
from refcodec.registry import record_of
from refcodec.shapes import of_layer
from refcodec.stream.order import no_access_point
from refcodec.stream.parsing import CodedUnit, UnitHash
from refcodec.syntax.codes import Quantiser
from refcodec.syntax.structures import FeatureParameterSet
from refcodec.transform.channel import ChannelTransform

__all__ = [
    "Decode",
    "DecodedUnit",
    "Failed",
    "Sequences",
    "check_hashes",
    "check_unit_hashes",
    "decode_channels",
    "decode_window",
    "raise_failure",
    "reconstruct",
    "transform_of",
]

Feature = npt.NDArray[Any]

UnitSamples = list[Samples] | Samples
"""Samples of the features of a unit, one by one or as an array N x C x H x W."""

Failed = Callable[[CodedUnit, DFCError], None]
"""Receives a unit that cannot be decoded, and the error; if it returns, decoding goes on."""


Decode = Callable[[list["CodedUnit"], Machine, "Sequences"], Iterator["DecodedUnit"]]
"""Decodes consecutive units: `decode_window`, or a function in its place."""


def raise_failure(unit: CodedUnit, error: DFCError) -> None:
    """Raise the error: the ``failed`` of a decoder."""
    raise error


@dataclass(frozen=True, slots=True)
class DecodedUnit:
    """A coded unit, decoded.

    samples  : per feature, int32, C x H x W; an array N x C x H x W where they were decoded at once.
    features : in the source type and the shape of their layer; or their latents.
    """

    unit: CodedUnit
    samples: UnitSamples
    features: list[Any]


@dataclass(slots=True)
class Sequence:
    """State of a sequence of predicted features that decoding the next window needs.

    units : coded units since the last access point, for a coder that must decode from there again.
    last  : the last feature, for a coder that can resume from it.
    """

    units: list[CodedUnit] = field(default_factory=list)
    last: Reference | None = None


Sequences = dict[int, Sequence]
"""Sequences under way, by fps_id."""


def decode_window(
    window: list[CodedUnit],
    machine: Machine,
    sequences: Sequences,
    failed: Failed = raise_failure,
) -> Iterator[DecodedUnit]:
    """Decode consecutive units, those of one parameter set together.

    sequences : state kept from window to window; empty at first.
    failed    : receives each unit that cannot be decoded.

    If ``failed`` returns, the unit is left out, and so are the units that are predicted from it.
    """
    keys = _parameter_sets(window)
    attempts = {
        number: _attempt(units, machine, sequences)
        for number, units in by_key(window, keys).items()
    }
    for unit, attempt in zip(window, in_order(attempts, keys), strict=True):
        if isinstance(attempt, DFCError):
            failed(unit, attempt)
        elif attempt is not None:
            try:
                decoded, errors = _finish(unit, attempt, machine.models)
            except (StreamError, EnvironmentFault) as error:
                failed(unit, error)
                continue
            for wrong in errors:
                failed(unit, wrong)
            yield decoded


def _finish(
    unit: CodedUnit, samples: UnitSamples, models: ModelStore
) -> tuple[DecodedUnit, list[StreamError]]:
    """The features of a unit from its samples, and the hashes that are not theirs.

    Raises EnvironmentFault where memory does not suffice, or a model is not found; StreamError for a model
    of other features.
    """
    with memory_for(f"to reconstruct {_shape_of(unit)}"):
        if isinstance(samples, np.ndarray):
            features = reconstruct_all(unit, samples)
        else:
            transform = transform_of(unit.payloads[0], models)
            features = [
                reconstruct(payload, own, transform)
                for payload, own in zip(unit.payloads, samples, strict=True)
            ]
        return DecodedUnit(unit, samples, features), list(check_hashes(unit, samples, features))


def _parameter_sets(window: list[CodedUnit]) -> list[int]:
    """A number for each unit, equal for units of one parameter set; one that replaces another has its own."""
    in_force: dict[int, tuple[int, FeatureParameterSet]] = {}
    numbers: list[int] = []
    for unit in window:
        fps = unit.fps
        number, known = in_force.get(fps.fps_id, (-1, None))
        if known is not fps and known != fps:
            number = len(numbers)
            in_force[fps.fps_id] = number, fps
        numbers.append(number)
    return numbers


_Attempt = UnitSamples | DFCError | None
"""Samples of a unit; or the error in it; or None if another unit, which it depends on, is at fault."""


def _attempt(units: list[CodedUnit], machine: Machine, sequences: Sequences) -> list[_Attempt]:
    """Decode units of one parameter set together; if that fails, find those at fault."""
    fps = units[0].fps
    if fps.temporal_prediction_flag:
        return _attempt_sequence(units, machine, sequences.setdefault(fps.fps_id, Sequence()))
    try:
        return list(_decode(units, machine))
    except (StreamError, EnvironmentFault) as error:
        if len(units) == 1:
            return [error]
    return [attempt for unit in units for attempt in _attempt([unit], machine, sequences)]


def _attempt_sequence(
    units: list[CodedUnit], machine: Machine, sequence: Sequence
) -> list[_Attempt]:
    """Decode the next units of a sequence, continuing the units of earlier windows."""
    resumes = record_of(units[0].fps.coder_id).resumes
    past = [] if resumes or units[0].access_point else sequence.units
    run = [*past, *units]
    found = _attempt_run(run, machine, sequence.last if resumes else None)
    early = [one for one in found[: len(past)] if isinstance(one, DFCError)]
    found = found[len(past) :]
    if early and found[0] is None:
        found[0] = early[0]  # units of earlier windows fail together with these
    last = found[-1]
    sequence.last = (
        Reference(last[-1], run[-1].payloads[-1].parameters) if isinstance(last, list) else None
    )
    starts = [i for i, unit in enumerate(run) if unit.access_point]
    sequence.units = run[starts[-1] :] if starts else []
    return found


def _attempt_run(
    run: list[CodedUnit], machine: Machine, previous: Reference | None
) -> list[_Attempt]:
    """Decode consecutive units of one parameter set; if that fails, sequence by sequence."""
    found: list[_Attempt] = []
    try:
        for own in _decode(run, machine, previous):
            found.append(own)
    except (StreamError, EnvironmentFault) as error:
        bad = len(found)
        ahead = next((i for i in range(bad + 1, len(run)) if run[i].access_point), len(run))
        if bad == 0 and ahead < len(run):  # the fault may lie in any of the sequences
            found = _attempt_run(run[:ahead], machine, previous)
        else:
            found += [error, *[None] * (ahead - bad - 1)]
        if ahead < len(run):
            found += _attempt_run(run[ahead:], machine, None)
    return found


def _decode(
    units: list[CodedUnit], machine: Machine, previous: Reference | None = None
) -> Iterator[UnitSamples]:
    """Yield the samples of consecutive units of one parameter set, unit by unit."""
    if not units[0].access_point and previous is None:
        raise no_access_point(units[0])
    coder = payload_coder(units[0].fps.coder_id)
    if record_of(units[0].fps.coder_id).has_model:
        yield from _decode_units(units, coder, machine)
        return
    with memory_for(f"to decode {_shape_of(units[0])}"):
        payloads = [payload for unit in units for payload in unit.payloads]
        samples = coder.decode(payloads, machine, previous)
    for unit in units:
        with memory_for(f"to decode {_shape_of(unit)}"):
            own = [next(samples) for _ in unit.payloads]
        yield own


def _decode_units(
    units: list[CodedUnit], coder: PayloadCoder, machine: Machine
) -> Iterator[UnitSamples]:
    """Yield the samples of units whose features a coder may decode at once."""
    for unit in units:
        with memory_for(f"to decode {_shape_of(unit)}"):
            whole = coder.decode_unit(unit.payloads, machine)
            own = list(coder.decode(unit.payloads, machine)) if whole is None else whole
        yield own


def _shape_of(unit: CodedUnit) -> str:
    """Size of the features of a unit, for messages."""
    fps = unit.payloads[0].fps
    return f"a feature of {fps.channels} x {fps.height} x {fps.width}"


def decode_channels(unit: CodedUnit, machine: Machine, channels: range) -> Feature | None:
    """Some channels of the only feature of a unit, without decoding all; None where that is not possible.

    The sample hash, which is that of all channels, is not verified.
    """
    (payload,) = unit.payloads
    with memory_for(f"to decode {_shape_of(unit)}"):
        found = payload_coder(unit.fps.coder_id).decode_channels(payload, machine, channels)
        if found is None:
            return None
        samples, first = found
        if unit.fps.quantiser == Quantiser.TRANSFORM:
            return None
        values = dequantise(samples, unit.fps, unit.parameters, first=first)
    wanted = values[channels.start - first : channels.stop - first]
    return of_layer(wanted, replace(unit.fps, head_count=0))


@clause("8.6")
def reconstruct(
    payload: Payload, samples: Samples, transform: ChannelTransform | None = None
) -> Feature:
    """(8.6) Reconstruct a feature, in its source type and shape, from samples (int32, C x H x W).

    transform : that of `transform_of`.
    """
    values = dequantise(samples, payload.fps, payload.parameters, transform)
    return of_layer(values, payload.fps)


@clause("9.9")
def transform_of(payload: Payload, models: ModelStore) -> ChannelTransform | None:
    """(9.9) The transform of a payload; None where its quantiser needs none.

    Raises EnvironmentFault where a file is not found; StreamError for one of other features.
    """
    reference = payload.model
    if payload.fps.quantiser != Quantiser.TRANSFORM or reference is None:
        return None
    model = models.find(reference)
    if not isinstance(model, ChannelTransform):
        raise ConstraintError(
            f"model {payload.fps.model_id} is no transform over channels",
            bit_offset=payload.bit_offset,
            requirement="9.9-5",
        )
    if reference.limits is not None:  # of a file, which has not been checked against the stream
        place = payload.bit_offset
        for error in model.check(model.coded, reference.limits, place):
            raise error
        for error in model.check_features(payload.fps, place):
            raise error
    return model


@clause("8.6")
def reconstruct_all(unit: CodedUnit, samples: Samples) -> list[Feature]:
    """(8.6) Reconstruct the features of a unit, which have no ranges, from samples N x C x H x W."""
    return list(of_layer(dequantise(samples, unit.fps, unit.parameters), unit.fps))


@clause("8.8")
def check_hashes(unit: CodedUnit, samples: UnitSamples, features: list[Feature]) -> Violations:
    """(8.8) Compare sample hashes and hash units with the decoded samples and features."""
    hashed = zip(unit.payloads, samples, strict=True) if unit.fps.sample_hash_size else ()
    for payload, own in hashed:
        size = len(payload.sample_hash)
        if size and sample_hash(own, size) != payload.sample_hash:
            yield HashError(
                "the decoded samples are not those that were encoded: their SHA-256 differs",
                bit_offset=payload.bit_offset,
                requirement="8.8-1",
                hint="the payload is corrupt, or the video decoder in use is wrong",
            )
    yield from check_unit_hashes(unit.hashes, samples, features)


@clause("8.8")
def check_unit_hashes(
    hashes: Iterable[UnitHash], samples: Iterable[Samples], features: list[Feature]
) -> Violations:
    """(8.8) Compare hash units with the decoding of their coded unit."""
    for target, expected, bit_offset in hashes:
        if unit_hash(target, zip(samples, features, strict=True)) != expected:
            yield HashError(
                f"the SHA-256 of the {target.name.lower()} is not the one in the hash unit",
                bit_offset=bit_offset,
                requirement="8.8-2",
            )
