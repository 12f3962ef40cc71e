"""Dependent quantisation: the trellis, what it saves, and where it has no effect."""

from __future__ import annotations

import io
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refcodec
from refcodec import EncoderConfig
from refcodec.coders.native.channels import geometry
from refcodec.coders.native.coefficients import CONTEXTS, NEXT
from refcodec.coders.native.encoder.advice import NO_ADVICE
from refcodec.coders.native.encoder.choose import choose
from refcodec.coders.native.encoder.rates import GREATER
from refcodec.coders.native.encoder.trellis import HALF, choose_dependent
from refcodec.coders.native.encoder.tuning import tuning_of
from refcodec.errors import CallerError
from refcodec.evaluate.curves import Curve, bd_rate
from refcodec.inspector import inspect
from refcodec.metrics import signal_to_noise
from refcodec.suite.vectors import load_features

SUITE = Path(__file__).parents[1] / "bitstreams"

_UNIT_WEIGHT = np.ones((1, 1), np.float32)


def spread(bits: list[float]) -> Any:
    """Rates that are the same in every context: 2 x contexts x (9 magnitudes, and "above 0")."""
    rates = np.array(bits, np.float32).reshape(2, 1, GREATER + 1)
    return np.repeat(rates, CONTEXTS, axis=1)


def cheapest(values: list[float], strength: float, rates: Any) -> float:
    """Least cost of the coefficients of a block, in scan order, by trying all combinations.

    Magnitudes are 0 and those on both sides of a value; small values at the end are left out.
    """
    top = max((k for k, value in enumerate(values) if abs(value) >= HALF), default=-1)
    best = sum(value * value for value in values)
    for which in product(range(3), repeat=top + 1):
        state, cost, last = 0, 0.0, -1
        for k in range(len(values) - 1, -1, -1):
            quantiser = int(state > 1)
            m = (
                0
                if k > top
                else (0, 1, 2)[which[k]]
                and int((abs(values[k]) / HALF + quantiser) / 2) + which[k] - 1
            )
            cost += (abs(values[k]) - ((2 * m - quantiser) * HALF if m else 0.0)) ** 2
            if last < 0 and m == 0:
                continue
            cost += strength * float(rates[quantiser, 0, m])
            if last < 0:
                last = k
                above = float(rates[quantiser, 0, GREATER])
                cost += strength * (1.1 * (k + 1).bit_length() - above)
            state = NEXT[2 * state + m % 2]
        if last >= 0:
            best = min(best, cost)
    return best


@settings(max_examples=60)
@given(
    st.lists(st.floats(-3, 3, width=32), min_size=5, max_size=5),
    st.floats(0, 0.2),
    st.lists(st.floats(0.0625, 6, width=32), min_size=20, max_size=20),
)
def test_the_trellis_finds_the_cheapest_levels(
    values: list[float], strength: float, bits: list[float]
) -> None:
    rates = spread(bits)
    _, _, scans, scan_at = geometry(2, 3, 8)
    plane = np.zeros((2, 3), np.float32)
    for k, value in enumerate(values, 1):
        entry = int(scans[scan_at[2, 3] + k])
        plane[entry & 31, (entry >> 5) & 31] = value
    levels = np.zeros((2, 3), np.int32)
    cost, _ = choose_dependent(
        plane, _UNIT_WEIGHT, strength, rates, scans, scan_at, levels, 0, 0, 2, 3
    )  # fmt: skip
    fixed = strength * 3.0  # the first level, and that the others end
    assert cost - fixed == pytest.approx(cheapest(values, strength, rates), abs=1e-4)


def written(maps: Any, **options: Any) -> tuple[int, Any]:
    """Size of a file with some maps, and what it gives back."""
    target = io.BytesIO()
    with refcodec.create(target, coder="native", workers=1, **options) as writer:
        for one in maps:
            writer.write(one)
    target.seek(0)
    with refcodec.open(target) as reader:
        return len(target.getvalue()), np.stack(list(reader))


def curve(maps: Any, **options: Any) -> Curve:
    """Bits and signal-to-noise ratios at some QPs."""
    points = [written(maps, qp=qp, **options) for qp in (12, 20, 28, 34)]
    return Curve(
        [8 * size / maps.size for size, _ in points],
        [float(signal_to_noise(found, maps)) for _, found in points],
    )


def test_equal_quality_takes_fewer_bytes() -> None:
    maps = load_features(SUITE).conv
    gain = bd_rate(curve(maps), curve(maps, dependent=True), within=(5, 45), least=1)
    assert gain is not None
    assert gain.value < -1.5


def test_the_inspector_shows_it() -> None:
    target = io.BytesIO()
    maps = load_features(SUITE).conv[:1]
    with refcodec.create(target, coder="native", dependent=True, batch=False) as writer:
        writer.write(maps[0])
    shown = [one.path for unit in inspect(target.getvalue()) for one in unit.elements]
    assert "native_payload.head_dependent" in "\n".join(shown)


@pytest.mark.parametrize(
    "wrong",
    [
        {"speed": "fast"},
        {"feature_type": "fc"},
        {"feature_type": "tokens"},
        {"coder": "native-static"},
        {"coder": "zlib"},
    ],
)
def test_a_choice_without_effect_is_refused(wrong: Any) -> None:
    with pytest.raises(CallerError, match="dependent"):
        EncoderConfig(**{"coder": "native", "dependent": True, **wrong})


def test_maps_of_one_value_are_refused() -> None:
    with pytest.raises(CallerError, match="no transform"):
        written([np.ones((8, 1, 1), np.float32)], dependent=True)


def test_chosen_levels_are_refused() -> None:
    exact = np.ones((2, 9, 9))
    chosen = choose(exact, np.full(2, 1 << 16), tuning_of("default", "off"), NO_ADVICE, 16, 0)
    with refcodec.create(io.BytesIO(), coder="native", dependent=True) as writer:
        with pytest.raises(CallerError, match="already chosen"):
            writer.write(exact.astype(np.float32), choice=chosen)
        writer.write(exact.astype(np.float32))
