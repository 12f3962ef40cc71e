"""The fps_ids of a stream that is being written (7.4): parameter sets without end share 256 numbers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import replace

from refcodec.encoder.parameter_sets import hashable
from refcodec.syntax.structures import FPS_IDS, FeatureParameterSet

__all__ = ["Numbering", "content_of"]


class Numbering:
    """The parameter sets in force, each under its fps_id.

    A new one takes a number that is free, or else replaces the one that was used least recently. A sequence
    that goes on must be among the 256 used last: the caller sees to that, and releases what is not needed any
    more.
    """

    def __init__(self) -> None:
        self._in_force: OrderedDict[Hashable, FeatureParameterSet] = OrderedDict()

    def find(self, fps: FeatureParameterSet, rank: int) -> FeatureParameterSet | None:
        """A parameter set that is in force, with its fps_id; None where it has to be put in force.

        rank : tells apart parameter sets of equal content, such as those of two sequences.
        """
        key = rank, content_of(fps)
        if key in self._in_force:
            self._in_force.move_to_end(key)
        return self._in_force.get(key)

    def put_in_force(self, fps: FeatureParameterSet, rank: int) -> FeatureParameterSet:
        """Give a parameter set its fps_id."""
        number = len(self._in_force)
        if number == FPS_IDS:
            number = self._in_force.popitem(last=False)[1].fps_id
        numbered = replace(fps, fps_id=number)
        self._in_force[rank, content_of(fps)] = numbered
        return numbered

    def release(self, fps: FeatureParameterSet, rank: int) -> None:
        """Let the next new parameter set that needs a number replace this one."""
        key = rank, content_of(fps)
        if key in self._in_force:
            self._in_force.move_to_end(key, last=False)


def content_of(fps: FeatureParameterSet) -> Hashable:
    """The content of a parameter set, whatever its number."""
    return tuple(value for name, value in hashable(fps) if name != "fps_id")
