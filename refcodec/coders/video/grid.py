"""Constraints on the grid of tiles, for frames of any video standard (clause 9.2)."""

from __future__ import annotations

from refcodec.clauses import clause
from refcodec.coders.protocol import Violations
from refcodec.errors import ConstraintError, UnsupportedError
from refcodec.pack import grid_of
from refcodec.syntax.bits import Elements, position_of
from refcodec.syntax.standard import Standard
from refcodec.syntax.structures import FeatureParameterSet
from refcodec.tables import Level

__all__ = ["check_grid"]


@clause("9.2")
def check_grid(
    fps: FeatureParameterSet, standard: Standard, limits: Level, trace: Elements
) -> Violations:
    """(9.2) The grid of tiles fits the channels, and its frames the level (A.3)."""
    columns, rows = grid_of(fps)
    if (rows - 1) * columns >= fps.channels or columns > fps.channels:
        yield ConstraintError(
            f"a grid of {columns} x {rows} tiles has empty rows or columns for {fps.channels} channels",
            bit_offset=position_of(trace, "tile_columns_minus1"),
            requirement="9.2-5",
        )
    for name, side in (
        ("tile_columns_minus1", columns * fps.width),
        ("tile_rows_minus1", rows * fps.height),
    ):
        if side > limits.max_frame_side:
            yield UnsupportedError(
                f"frames have a side of {side}; level {limits.level_idc} allows {limits.max_frame_side}",
                bit_offset=position_of(trace, name),
                requirement="A.3-1",
            )
    if fps.parameter_sets_size == 0:
        yield ConstraintError(
            f"{standard.article} {standard.name} feature parameter set carries parameter sets",
            bit_offset=position_of(trace, "parameter_sets_size"),
            requirement="9.3-2",
        )
