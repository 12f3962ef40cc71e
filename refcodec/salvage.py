"""Salvage: the features of a damaged stream that can be decoded, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator

from refcodec.coders.protocol import Machine
from refcodec.decoder import DecodedUnit, Sequences, decode_window
from refcodec.errors import DFCError, StreamError
from refcodec.stream.parsing import CodedUnit
from refcodec.stream.salvage import PREDICTED, SalvageWalk
from refcodec.stream.walk import coded_units
from refcodec.stream.windows import windows_of
from refcodec.syntax.units import CRC_SIZE, ByteSource

__all__ = ["salvaged_units"]


def salvaged_units(
    walk: SalvageWalk, source: ByteSource, machine: Machine
) -> Iterator[DecodedUnit]:
    """Decode the coded units of a stream that are whole; the walk takes note of the others.

    Raises EnvironmentFault where the machine fails, which is no damage of the stream.
    """
    sequences: Sequences = {}
    broken: set[int] = set()  # fps_ids of sequences that lack a feature
    for window in windows_of(coded_units(walk, source, walk.note)):
        failures: dict[int, str] = {}

        def failed(unit: CodedUnit, error: DFCError, failures: dict[int, str] = failures) -> None:
            if not isinstance(error, StreamError):
                raise error
            failures.setdefault(unit.offset, error.what)

        decoded = {
            one.unit.offset: one for one in decode_window(window, machine, sequences, failed)
        }
        for unit in window:
            fps_id = unit.fps.fps_id
            if unit.access_point:
                broken.discard(fps_id)
            reason = failures.get(unit.offset)
            if reason is None and (fps_id in broken or unit.offset not in decoded):
                reason = PREDICTED
            if reason is None:
                yield decoded[unit.offset]
            else:
                if unit.fps.temporal_prediction_flag:
                    broken.add(fps_id)
                walk.lose(unit.offset, _end(unit), reason, len(unit.payloads))


def _end(unit: CodedUnit) -> int:
    """Position of the first byte that follows a coded unit."""
    last = unit.payloads[-1]
    return last.bit_offset // 8 + len(last.data) + CRC_SIZE
