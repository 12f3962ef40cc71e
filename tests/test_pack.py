"""Clause 8.4: channels on frames, whatever their number, size, QPs and order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from construct import Container
from hypothesis import example, given
from hypothesis import strategies as st

from refcodec.pack import (
    LONG_SIDE,
    SMALLEST_SIDE,
    channel_qps,
    layout_of,
    near_square,
    pack,
    unpack,
)
from refcodec.syntax.codes import ChannelOrder


def _fps(shape: tuple[int, int, int], grid: tuple[int, int]) -> Container:
    channels, height, width = shape
    return Container(
        channels=channels,
        height=height,
        width=width,
        tile_columns_minus1=grid[0] - 1,
        tile_rows_minus1=grid[1] - 1,
    )


def _parameters(qps: Any = None, order: Any = None, kind: Any = None) -> Container:
    if kind is None:
        kind = ChannelOrder.IDENTITY if order is None else ChannelOrder.EXPLICIT
    highest = None if qps is None else max(qps)
    return Container(
        qp=highest,
        qp_delta=None if qps is None else highest - np.array(qps),
        channel_order=kind,
        channel_at=None if order is None else np.array(order),
    )


def _numbered(shape: tuple[int, int, int]) -> Any:
    return (np.arange(np.prod(shape), dtype=np.int32) % 65_536).reshape(shape)


@st.composite
def packings(draw: st.DrawFn) -> tuple[Container, Container, Any]:
    channels = draw(st.integers(1, 70))
    shape = (channels, draw(st.integers(1, 20)), draw(st.integers(1, 20)))
    columns = draw(st.integers(1, channels))
    rows = draw(st.integers(1, -(-channels // columns)))
    qps = draw(st.lists(st.integers(20, 23), min_size=channels, max_size=channels))
    kind = draw(st.sampled_from(list(ChannelOrder)))
    order = draw(st.permutations(range(channels))) if kind == ChannelOrder.EXPLICIT else None
    return _fps(shape, (columns, rows)), _parameters(qps, order, kind), _numbered(shape)


@given(packings())
def test_unpack_undoes_pack(packing: Any) -> None:
    fps, parameters, samples = packing
    layout = layout_of(fps, parameters)
    frames = pack(samples, layout)
    assert frames.shape == (len(layout.qps), layout.frame_height, layout.frame_width)
    assert frames.dtype == np.uint16
    back = unpack(frames, layout)
    assert back.dtype == np.int32
    assert np.array_equal(back, samples)


@given(packings())
def test_every_frame_has_one_qp_and_every_place_one_channel(packing: Any) -> None:
    fps, parameters, _ = packing
    layout = layout_of(fps, parameters)
    qps = channel_qps(fps, parameters)
    assert [layout.qps[frame] for frame in layout.frame] == qps.tolist()
    places = set(zip(layout.frame.tolist(), layout.tile.tolist(), strict=True))
    assert len(places) == fps.channels
    assert set(layout.frame.tolist()) == set(range(len(layout.qps))), "no frame is empty"
    for frame in range(len(layout.qps)):  # tiles are filled from the first on
        tiles = sorted(layout.tile[layout.frame == frame].tolist())
        assert tiles == list(range(len(tiles)))
    assert int(layout.tile.max()) < layout.columns * layout.rows


@given(packings())
def test_by_qp_makes_one_frame_of_each_qp_where_the_grid_holds_it(packing: Any) -> None:
    fps, parameters, _ = packing
    parameters.channel_order = ChannelOrder.BY_QP
    layout = layout_of(fps, parameters)
    assert list(layout.qps) == sorted(layout.qps, reverse=True)
    qps, counts = np.unique(channel_qps(fps, parameters), return_counts=True)
    capacity = layout.columns * layout.rows
    assert len(layout.qps) == sum(-(-int(count) // capacity) for count in counts)
    if counts.max() <= capacity:
        assert len(layout.qps) == len(qps)


def test_by_qp_keeps_equal_channels_in_their_order() -> None:
    layout = layout_of(_fps((5, 1, 1), (3, 1)), _parameters([30, 31, 30, 31, 30], None, 1))
    assert layout.qps == (31, 30)
    assert layout.frame.tolist() == [1, 0, 1, 0, 1]
    assert layout.tile.tolist() == [0, 0, 1, 1, 2]


def test_by_number_begins_a_frame_wherever_the_qp_changes() -> None:
    layout = layout_of(_fps((5, 1, 1), (3, 1)), _parameters([30, 31, 30, 30, 30]))
    assert layout.qps == (30, 31, 30)
    assert layout.frame.tolist() == [0, 1, 2, 2, 2]


def test_an_explicit_order_fills_the_tiles_row_by_row() -> None:
    samples = np.arange(4, dtype=np.int32).reshape(4, 1, 1)
    layout = layout_of(_fps((4, 1, 1), (2, 2)), _parameters(order=[3, 1, 0, 2]))
    assert pack(samples, layout)[0, :2, :2].tolist() == [[3, 1], [0, 2]]


def test_lossless_frames_have_no_qp() -> None:
    layout = layout_of(_fps((9, 4, 4), (4, 2)), _parameters())
    assert layout.qps == (0, 0)


def test_what_is_left_free_replicates_its_neighbours() -> None:
    samples = np.arange(1, 13, dtype=np.int32).reshape(3, 2, 2)
    frame = pack(samples, layout_of(_fps((3, 2, 2), (2, 2)), _parameters()))[0]
    assert frame[:4, :6].tolist() == [
        [1, 2, 5, 6, 6, 6],
        [3, 4, 7, 8, 8, 8],
        [9, 10, 10, 10, 10, 10],
        [11, 12, 12, 12, 12, 12],
    ]
    assert (frame[:4, 6:] == frame[:4, 5:6]).all()
    assert (frame[4:] == frame[3]).all()


def test_a_last_frame_with_empty_rows_replicates_its_last_one() -> None:
    samples = np.arange(1, 6, dtype=np.int32).reshape(5, 1, 1)
    frames = pack(samples, layout_of(_fps((5, 1, 1), (2, 2)), _parameters()))
    assert frames[:, :2, :2].tolist() == [[[1, 2], [3, 4]], [[5, 5], [5, 5]]]
    assert (frames[1] == 5).all()


@pytest.mark.parametrize(
    ("shape", "grid", "frame"),
    [
        ((1, 1, 1), (1, 1), (16, 16)),
        ((2048, 7, 7), (45, 46), (322, 315)),
        ((64, 224, 224), (8, 8), (1792, 1792)),
        ((512, 14, 14), (23, 23), (322, 322)),
        ((1000, 1, 1), (32, 32), (32, 32)),
        ((3, 1, 100), (1, 3), (16, 100)),
    ],
)
def test_layouts_of_known_layers(shape: Any, grid: Any, frame: Any) -> None:
    found = near_square(*shape)
    layout = layout_of(_fps(shape, found), _parameters())
    assert found == grid
    assert (layout.frame_height, layout.frame_width) == frame
    assert len(layout.qps) == 1
    samples = _numbered(shape)
    assert np.array_equal(unpack(pack(samples, layout), layout), samples)


@pytest.mark.parametrize(
    ("height", "width", "frame"),
    [
        (1, 1, (16, 16)),
        (15, 17, (16, 17)),
        (1, LONG_SIDE, (16, LONG_SIDE)),
        (1, LONG_SIDE + 1, (32, LONG_SIDE + 1)),
        (LONG_SIDE + 1, 20, (LONG_SIDE + 1, 32)),
        (LONG_SIDE + 1, 40, (LONG_SIDE + 1, 40)),
    ],
)
def test_small_frames_are_padded(height: int, width: int, frame: tuple[int, int]) -> None:
    layout = layout_of(_fps((1, height, width), (1, 1)), _parameters())
    assert (layout.frame_height, layout.frame_width) == frame
    assert SMALLEST_SIDE == 16


@given(st.integers(1, 5000), st.integers(1, 300), st.integers(1, 300))
def test_near_square_grids(tiles: int, height: int, width: int) -> None:
    columns, rows = near_square(tiles, height, width)
    assert columns * rows >= tiles
    assert (rows - 1) * columns < tiles, "the last row holds a tile"
    assert columns <= tiles
    assert columns * rows - tiles < max(columns, rows), "the waste is less than a row or column"
    sides = sorted([columns * width, rows * height])
    assert sides[1] - sides[0] <= 2 * max(height, width) or 1 in (columns, rows)


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 40))
@example(1, 40, 1)
@example(3, 1000, 2)
def test_near_square_is_as_square_as_any_grid(tiles: int, height: int, width: int) -> None:
    columns, rows = near_square(tiles, height, width)
    longest = min(max(c * width, -(-tiles // c) * height) for c in range(1, tiles + 1))
    assert max(columns * width, rows * height) == longest
