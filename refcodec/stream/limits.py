"""Limits of profiles and levels (Annex A)."""

from __future__ import annotations

from dataclasses import dataclass

from refcodec.clauses import clause
from refcodec.coders.protocol import Violations
from refcodec.errors import UnsupportedError
from refcodec.pack import frame_count, frame_size
from refcodec.registry import record_of
from refcodec.syntax.structures import FeatureParameters, FeatureParameterSet, StreamHeader
from refcodec.tables import HIGHEST_LEVEL, Level, level, levels

__all__ = ["Demand", "check_level", "decoded_size", "element_count", "limits_of"]


def limits_of(header: StreamHeader) -> Level:
    """The limits of the stream's level; of the highest for one that is undefined, see `check_level`."""
    return level(header.level_idc) or levels()[HIGHEST_LEVEL]


@clause("A.3")
def check_level(header: StreamHeader, max_level: int = HIGHEST_LEVEL) -> Violations:
    """(A.3) The level is defined, and not above the decoder's own limit."""
    if level(header.level_idc) is None:
        yield UnsupportedError(
            f"level_idc is {header.level_idc}; levels 1..{HIGHEST_LEVEL} are defined",
            bit_offset=48,
            clause="A.3",
            requirement="7.2-5",
        )
    elif header.level_idc > max_level:
        yield UnsupportedError(
            f"the stream has level {header.level_idc}, above the limit of {max_level} set for this decoder",
            bit_offset=48,
            clause="A.3",
            requirement="A.1-2",
            hint="raise max_level where the memory allows it",
        )


def element_count(fps: FeatureParameterSet) -> int:
    """Number of elements of one feature."""
    return fps.channels * fps.height * fps.width


def decoded_size(fps: FeatureParameterSet, parameters: FeatureParameters) -> int:
    """Number of samples to decode for a feature: of all its frames as video, else its elements."""
    if not record_of(fps.coder_id).video:
        return element_count(fps)
    height, width = frame_size(fps)
    return frame_count(fps, parameters) * height * width


@dataclass(frozen=True, slots=True)
class Demand:
    """Resources that a feature or unit needs, in the quantities that levels limit."""

    channels: int = 1
    elements: int = 1
    frame_side: int = 0
    frame_samples: int = 0
    unit_size: int = 0
    sequence_length: int = 1
    sequence_samples: int = 0
    model_contexts: int = 0
    model_tables: int = 0
    model_size: int = 0
    network_weights: int = 0
    network_room: int = 0
    network_work: int = 0

    def level(self) -> int:
        """The least level_idc that admits it; 0 where none does."""
        for number, limits in levels().items():
            if (
                self.channels <= limits.max_channels
                and self.elements <= limits.max_elements
                and self.frame_side <= limits.max_frame_side
                and self.frame_samples <= limits.max_frame_samples
                and self.unit_size <= limits.max_unit_size
                and self.sequence_length <= limits.max_sequence_length
                and self.sequence_samples <= limits.max_sequence_samples
                and self.model_contexts <= limits.max_model_contexts
                and self.model_tables <= limits.max_model_tables
                and self.model_size <= limits.max_model_size
                and self.network_weights <= limits.max_network_weights
                and self.network_room <= limits.max_network_room
                and self.network_work <= limits.max_network_work
            ):
                return number
        return 0
