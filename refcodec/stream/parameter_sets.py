"""Constraints on feature parameter sets (9.2, A.2, A.3)."""

from __future__ import annotations

import numpy as np

from refcodec.clauses import clause
from refcodec.coders import payload_coder
from refcodec.coders.protocol import Violations
from refcodec.errors import ConstraintError, UnsupportedError
from refcodec.registry import record_of
from refcodec.stream.limits import element_count, limits_of
from refcodec.syntax.bits import Trace, position_of
from refcodec.syntax.codes import Quantiser
from refcodec.syntax.structures import FeatureParameterSet, StreamHeader

__all__ = ["check_parameter_set"]


@clause("9.2")
def check_parameter_set(fps: FeatureParameterSet, header: StreamHeader, trace: Trace) -> Violations:
    """(9.2) A feature parameter set agrees with itself, the profile and the level."""

    def wrong(name: str, what: str, number: str = "9.2") -> ConstraintError:
        return ConstraintError(what, bit_offset=position_of(trace, name), clause=number)

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
                clause="A.3",
                hint="the stream understates its level, or is corrupt",
            )
            break  # too many channels have too many elements, as a rule
    if header.profile_idc not in record.profiles:
        yield wrong(
            "coder_id",
            f"profile {header.profile_idc.name.lower()} has no coder {record.name}",
            "A.2",
        )
    if fps.log_signed_flag and fps.bits == 1:
        yield wrong("log_signed_flag", "signed logarithmic samples need at least 2 bits")
    if record.has_model and fps.quantiser == Quantiser.NONE and not fps.source_type.is_integer:
        yield wrong("quantiser", f"{record.name} codes {_name(fps)} features on a lattice")
    if fps.substream_count > fps.channels:
        yield wrong(
            "substream_count_minus1", f"{fps.substream_count} substreams of {fps.channels} channels"
        )
    if fps.lattice_step is not None:
        offset = np.zeros(1) if fps.lattice_offset is None else fps.lattice_offset
        if not (np.isfinite(fps.lattice_step).all() and (fps.lattice_step > 0).all()):
            yield wrong("lattice_step", "a step of the lattice is not a finite number above 0")
        if not np.isfinite(offset).all():
            yield wrong("lattice_offset", "an offset of the lattice is a NaN or an infinity")
    if Quantiser.LATTICE in {fps.quantiser} - record.quantisers:
        yield wrong("quantiser", f"{record.name} codes no latents: quantiser must not be lattice")
    elif fps.quantiser not in record.quantisers:
        needs = (
            "codes values as they are: quantiser must be none"
            if record.lossless
            else "codes integer samples: quantiser must not be none"
        )
        yield wrong("quantiser", f"{record.name} {needs}")
    elif fps.quantiser != Quantiser.NONE and fps.bits > record.largest_bits:
        yield wrong(
            "bits_minus1",
            f"{fps.bits} bits; {record.name} takes at most {record.largest_bits}",
        )
    if fps.source_type.is_integer and fps.quantiser != Quantiser.NONE:
        yield wrong("source_type", f"{_name(fps)} features have no quantiser")
    elif fps.source_type.is_integer and not record.integers:
        yield wrong("source_type", f"{record.name} codes no {_name(fps)} features")
    if fps.restoration_enabled_flag and not record.restorable:
        yield wrong(
            "restoration_enabled_flag",
            f"payloads of {record.name} carry corrections of channels of their own",
        )
    if record.needs_hash and fps.sample_hash_size == 0:
        yield wrong(
            "sample_hash_size_code",
            f"the sample hash is mandatory for payloads of {record.name}",
            "9.3",
        )
    if record.has_headers:
        yield from payload_coder(fps.coder_id).check_parameter_set(fps, limits, trace)


def _name(fps: FeatureParameterSet) -> str:
    return fps.source_type.name.lower()
