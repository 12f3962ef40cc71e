"""The first difference of a decoder's output from the expected one, and the stage in which it arises.

The hashes of the manifest tell the stage; the values come from the reference decoder in this process.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from math import prod
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from refcodec.coders.protocol import Payload
from refcodec.errors import EnvironmentFault, StreamError
from refcodec.hashes import little_endian_bytes, sample_hash
from refcodec.registry import record_of
from refcodec.suite.derive import syntax_lines
from refcodec.suite.manifest import Vector
from refcodec.suite.run.contract import Outcome
from refcodec.suite.run.expected import Decoded, decoded_features
from refcodec.suite.run.guesses import guess_of_size, guess_of_values
from refcodec.syntax.codes import Quantiser

__all__ = ["Difference", "Stage", "explain"]

Stage = Literal["", "syntax", "samples", "reconstruction"]
"""The first stage of decoding that differs; '' where the decoder does not say enough to tell."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference of a feature, or of its samples.

    feature     : number of the feature in the stream.
    shape       : C x H x W, or D.
    dtype       : type of the values compared; int32 where they are samples.
    index       : (c, y, x), or (d,), of the first value that differs.
    got, wanted : the values there, in decimal, and as bits in hexadecimal.
    differing   : number of values that differ, of ``elements``.
    largest     : greatest absolute difference, in decimal; '' if a value is not finite.
    guess       : likely cause; '' where none fits.
    stage       : first stage that differs.
    clauses     : clauses of the specification to look at.
    element     : first line of syntax elements that differs, in the stage ``syntax``.
    """

    feature: int
    shape: tuple[int, ...]
    dtype: str
    index: tuple[int, ...]
    got: str
    wanted: str
    got_bits: str
    wanted_bits: str
    differing: int
    elements: int
    largest: str
    guess: str = ""
    stage: Stage = ""
    clauses: tuple[str, ...] = ()
    element: str = ""

    def __str__(self) -> str:
        axes = "(c, y, x)" if len(self.index) == 3 else "(d)"
        index = ", ".join(map(str, self.index))
        what = "sample" if self.stage == "samples" else "value"
        parts = [
            f"{what} {axes} = ({index}) is {self.got} ({self.got_bits}), "
            f"wanted {self.wanted} ({self.wanted_bits})",
            f"{self.differing} of {self.elements} differ{_by(self.largest)}",
        ]
        parts += [f"the syntax elements differ: {self.element}"] if self.element else []
        parts += [f"likely {self.guess}"] if self.guess else []
        if self.stage:
            parts.append(f"the first stage that differs is {self.stage}")
        if self.clauses:
            parts.append(f"see {', '.join(self.clauses)}")
        return "; ".join(parts)


def _by(largest: str) -> str:
    return f", by at most {largest}" if largest else ""


def explain(vector: Vector, stream: bytes, outcome: Outcome) -> tuple[str, Difference | None]:
    """The reason why an accepted stream has another output than the expected one.

    stream : of the vector.

    Returns '' and None if the output is the expected one, and None where the first difference is not that of
    a value.
    """
    count, size = len(vector.features), vector.output_size
    if outcome.size != size:
        wanted = _expected(vector, stream)
        guess = guess_of_size(outcome, wanted) if wanted else ""
        sizes = (
            f"{outcome.size} bytes: more than the {size} bytes of {count} features"
            if outcome.size > size
            else f"{outcome.size} bytes; {count} features have {size}"
        )
        return f"{sizes}; likely {guess}" if guess else sizes, None
    start = 0
    for number, feature in enumerate(vector.features):
        own = outcome.output[start : start + feature.size]
        start += feature.size
        if hashlib.sha256(own).hexdigest() == feature.reconstruction:
            continue
        shape = " x ".join(map(str, feature.shape))
        reason = f"feature {number} ({shape}, {feature.dtype}) is not the expected one"
        stage = _stage(vector, number, outcome)
        wanted = _expected(vector, stream)
        if not wanted:
            reason += f"; the first stage that differs is {stage}" if stage else ""
            return f"{reason}; refcodec itself cannot say more on this machine", None
        found = _difference(number, own, wanted, outcome, stage)
        if stage == "syntax":
            found = replace(found, element=_first_line(outcome.syntax or "", stream))
        return f"{reason}: {found}", found
    return "", None


def _expected(vector: Vector, stream: bytes) -> list[Decoded]:
    """The features of a stream; none if the reference decoder does not give those of the manifest."""
    try:
        found = list(decoded_features(io.BytesIO(stream)))
    except (StreamError, EnvironmentFault):
        return []
    hashes = [(sample_hash(one.samples).hex(), _hash(one.values)) for one in found]
    same = hashes == [(one.samples, one.reconstruction) for one in vector.features]
    return found if same else []


def _hash(values: npt.NDArray[Any]) -> str:
    return hashlib.sha256(little_endian_bytes(values)).hexdigest()


def _difference(
    number: int, output: bytes, wanted: list[Decoded], outcome: Outcome, stage: Stage
) -> Difference:
    """The first difference of a feature whose bytes are not the expected ones."""
    expected = wanted[number]
    values = expected.values
    word = np.dtype(f"<u{values.dtype.itemsize}")
    got = np.frombuffer(output, word).astype(word.newbyteorder("=")).view(values.dtype)
    found = _compared(number, got.reshape(values.shape), values)
    if stage == "samples":
        own = _own_samples(outcome, [one.samples.size for one in wanted[: number + 1]]) or b""
        samples = np.frombuffer(own[: len(own) // 4 * 4], "<i4").astype(np.int32)
        if samples.size == expected.samples.size:
            found = _compared(number, samples.reshape(expected.samples.shape), expected.samples)
    right = stage == "reconstruction"
    return replace(
        found,
        guess=guess_of_values(got, number, wanted, samples_right=right),
        stage=stage,
        clauses=_clauses(expected.payload, stage),
    )


def _compared(number: int, got: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> Difference:
    """The first difference of two arrays of one type and shape that are not the same bit for bit."""
    word = f"u{wanted.dtype.itemsize}"
    digits = 2 * wanted.dtype.itemsize
    bits = [np.ascontiguousarray(own).view(word) for own in (got, wanted)]
    differing = bits[0] != bits[1]
    index = tuple(int(i) for i in np.argwhere(differing)[0])
    with np.errstate(all="ignore"):
        gap = np.abs(got.astype(np.float64) - wanted.astype(np.float64))[differing]
    return Difference(
        feature=number,
        shape=wanted.shape,
        dtype=str(wanted.dtype),
        index=index,
        got=_decimal(got[index]),
        wanted=_decimal(wanted[index]),
        got_bits=f"0x{int(bits[0][index]):0{digits}x}",
        wanted_bits=f"0x{int(bits[1][index]):0{digits}x}",
        differing=int(differing.sum()),
        elements=wanted.size,
        largest=f"{gap.max():.9g}" if np.isfinite(gap).all() else "",
    )


def _decimal(value: Any) -> str:
    """A value in decimal: binary32 in the fewest digits that tell it from others, narrower types exactly."""
    return (
        str(value) if value.dtype.itemsize >= 4 or value.dtype.kind in "iu" else str(float(value))
    )


# --- stages ----------------------------------------------------------------------------------------


def _stage(vector: Vector, number: int, outcome: Outcome) -> Stage:
    """The first stage whose hash is not that of the manifest, of a feature that is wrong."""
    if outcome.syntax is not None and vector.syntax:
        lines = "".join(f"{line}\n" for line in outcome.syntax.splitlines())
        if hashlib.sha256(lines.encode("utf-8")).hexdigest() != vector.syntax:
            return "syntax"
    own = _own_samples(outcome, [prod(one.shape) for one in vector.features[: number + 1]])
    if own is None:
        return ""
    same = hashlib.sha256(own).hexdigest() == vector.features[number].samples
    return "reconstruction" if same else "samples"


def _own_samples(outcome: Outcome, sizes: list[int]) -> bytes | None:
    """The samples that a decoder says for a feature, as far as there are any; None if it says none.

    sizes : elements of the features up to this one.
    """
    if outcome.samples is None:
        return None
    return outcome.samples[4 * sum(sizes[:-1]) : 4 * sum(sizes)]


def _first_line(syntax: str, stream: bytes) -> str:
    """The first line of syntax elements that is wrong; '' if there is none."""
    pairs = zip_longest(syntax.splitlines(), syntax_lines(stream), fillvalue="nothing")
    for number, (got, wanted) in enumerate(pairs, start=1):
        if got != wanted:
            return f"line {number} is {got[:120]}, wanted {wanted[:120]}"
    return ""


def _clauses(payload: Payload, stage: Stage) -> tuple[str, ...]:
    """Clauses to look at, for a stage or for all that give the values."""
    samples, values = record_of(payload.fps.coder_id).clauses, tuple(_reconstruction(payload))
    return {
        "syntax": ("6", "7"),
        "samples": samples,
        "reconstruction": values,
        "": (*samples, *values),
    }[stage]


def _reconstruction(payload: Payload) -> Iterator[str]:
    """Clauses by which the values of a feature come from its samples."""
    if payload.parameters.restoration_mode:
        yield "8.5"
    match payload.fps.quantiser:
        case Quantiser.NONE:
            yield "8.6"
        case Quantiser.UNIFORM:
            yield from ("8.6.1", "8.7")
        case Quantiser.LOGARITHMIC:
            yield from ("8.6.2", "8.7")
