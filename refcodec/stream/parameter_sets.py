"""Constraints on feature parameter sets (9.2, A.2, A.3)."""

from __future__ import annotations

import numpy as np

from refcodec.clauses import clause
from refcodec.coders import payload_coder
from refcodec.coders.protocol import Violations
from refcodec.errors import ConstraintError, UnsupportedError
from refcodec.registry import record_of
from refcodec.stream.limits import element_count, limits_of
from refcodec.syntax.bits import Elements, position_of
from refcodec.syntax.codes import Coder, FeatureType, Quantiser
from refcodec.syntax.structures import FeatureParameterSet, StreamHeader

__all__ = ["check_parameter_set"]


@clause("9.2")
def check_parameter_set(
    fps: FeatureParameterSet, header: StreamHeader, trace: Elements
) -> Violations:
    """(9.2) A feature parameter set agrees with itself, the profile and the level."""

    def wrong(name: str, what: str, requirement: str) -> ConstraintError:
        return ConstraintError(what, bit_offset=position_of(trace, name), requirement=requirement)

    record = record_of(fps.coder_id)
    limits = limits_of(header)
    for what, count, most in (
        ("channels", fps.channels, limits.max_channels),
        ("elements", element_count(fps), limits.max_elements),
    ):
        if count > most:
            yield UnsupportedError(
                f"{count} {what}; level {limits.level_idc} allows {most}",
                bit_offset=position_of(trace, "channels_minus1"),
                requirement="A.3-1",
                hint="the stream understates its level, or is corrupt",
            )
            break  # too many channels have too many elements, as a rule
    if header.profile_idc not in record.profiles:
        yield wrong(
            "coder_id",
            f"profile {header.profile_idc.name.lower()} has no coder {record.name}",
            "A.2-1",
        )
    if fps.head_count and fps.channels % fps.head_count:
        yield wrong(
            "head_count", f"{fps.channels} channels are no {fps.head_count} equal heads", "9.2-41"
        )
    if fps.feature_type == FeatureType.TOKENS and not record.tokens:
        yield wrong("coder_id", f"{record.name} codes no tokens", "9.2-42")
    if fps.log_signed_flag and fps.bits == 1:
        yield wrong("log_signed_flag", "signed logarithmic samples need at least 2 bits", "9.2-2")
    if record.has_model and fps.quantiser == Quantiser.NONE and not fps.source_type.is_integer:
        yield wrong(
            "quantiser",
            f"{record.name} codes {_name(fps)} features on a lattice",
            _QUANTISERS[record.coder_id],
        )
    if fps.substream_count > fps.channels:
        yield wrong(
            "substream_count_minus1",
            f"{fps.substream_count} substreams of {fps.channels} channels",
            "9.2-28",
        )
    if fps.lattice_step is not None:
        offset = np.zeros(1) if fps.lattice_offset is None else fps.lattice_offset
        if not (np.isfinite(fps.lattice_step).all() and (fps.lattice_step > 0).all()):
            yield wrong(
                "lattice_step", "a step of the lattice is not a finite number above 0", "9.2-26"
            )
        if not np.isfinite(offset).all():
            yield wrong(
                "lattice_offset", "an offset of the lattice is a NaN or an infinity", "9.2-27"
            )
    if Quantiser.LATTICE in {fps.quantiser} - record.quantisers:
        yield wrong(
            "quantiser", f"{record.name} codes no latents: quantiser must not be lattice", "9.2-25"
        )
    elif Quantiser.TRANSFORM in {fps.quantiser} - record.quantisers:
        yield wrong(
            "quantiser",
            f"{record.name} codes no coefficients: quantiser must not be transform",
            "9.2-32",
        )
    elif fps.quantiser not in record.quantisers:
        needs = (
            "codes values as they are: quantiser must be none"
            if record.lossless
            else "codes integer samples: quantiser must not be none"
        )
        yield wrong("quantiser", f"{record.name} {needs}", _QUANTISERS[record.coder_id])
    elif fps.bits_minus1 is not None and fps.bits > record.largest_bits:
        yield wrong(
            "bits_minus1",
            f"{fps.bits} bits; {record.name} takes at most {record.largest_bits}",
            "9.2-4",
        )
    if fps.source_type.is_integer and fps.quantiser != Quantiser.NONE:
        yield wrong("source_type", f"{_name(fps)} features have no quantiser", "9.2-19")
    elif fps.source_type.is_integer and not record.integers:
        yield wrong(
            "source_type",
            f"{record.name} codes no {_name(fps)} features",
            _INTEGERS.get(record.coder_id, ""),
        )
    if fps.restoration_enabled_flag and not record.restorable:
        yield wrong(
            "restoration_enabled_flag",
            f"payloads of {record.name} carry corrections of channels of their own",
            "9.2-16",
        )
    if record.needs_hash and fps.sample_hash_size == 0:
        yield wrong(
            "sample_hash_size_code",
            f"the sample hash is mandatory for payloads of {record.name}",
            "9.3-1",
        )
    if record.video:
        yield from payload_coder(fps.coder_id).check_parameter_set(fps, limits, trace)


_QUANTISERS = {
    Coder.HEVC: "9.2-3",
    Coder.VVC: "9.2-3",
    Coder.AV1: "9.2-3",
    Coder.NATIVE: "9.2-15",
    Coder.NATIVE_LOSSLESS: "9.2-17",
    Coder.LEARNED: "9.2-24",
    Coder.NATIVE_STATIC: "9.2-31",
}
"""Requirements on the quantiser of a coder."""

_INTEGERS = {Coder.NATIVE_LOSSLESS: "9.2-20"}
"""Requirements on a coder of integer source types; that on the quantiser excludes the others."""


def _name(fps: FeatureParameterSet) -> str:
    return fps.source_type.name.lower()
