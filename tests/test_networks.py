"""Integer networks: exact, proved free of overflow, and close to the floats that they are made of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from variation import PATIENCE

from refcodec.errors import CallerError, ConstraintError, PayloadError
from refcodec.networks.convert import FloatLayer, convert, run_floats
from refcodec.networks.layers import LARGEST_SUM, LEAK
from refcodec.networks.network import (
    IntegerNetwork,
    LayerNumbers,
    encode_network,
    room_of,
    work_of,
)
from refcodec.syntax.codes import Activation
from refcodec.syntax.structures import NETWORK, NETWORK_LAYER, Network

RELU, LEAKY, LINEAR = Activation.RELU, Activation.LEAKY_RELU, Activation.LINEAR


def network(shapes: list[dict[str, int]], numbers: list[LayerNumbers], bits: int) -> Network:
    return encode_network([NETWORK_LAYER.make(one) for one in shapes], numbers, bits)


@st.composite
def networks(draw: st.DrawFn, most: int = 3) -> Network:
    """Small networks of any widths whose sums cannot overflow."""
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    bits = draw(st.integers(1, 16))
    channels, largest = draw(st.integers(1, 3)), 1 << (bits - 1)
    shapes, numbers = [], []
    for _ in range(draw(st.integers(1, most))):
        size, outputs = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        taps = size * size * channels
        fitting = max((LARGEST_SUM - 1000) // (largest * taps), 0).bit_length()
        widest = draw(st.integers(1, max(min(fitting, 16), 1)))
        top = min((1 << (widest - 1)) - 1, (LARGEST_SUM - 1000) // (largest * taps))
        activation, out = draw(st.sampled_from(Activation)), draw(st.integers(1, 16))
        shapes.append(
            {
                "channels_minus1": outputs - 1,
                "stride_minus1": draw(st.integers(0, 3)),
                "kernel_minus1": size - 1,
                "padding": draw(st.integers(0, 7)),
                "weight_bits_minus1": widest - 1,
                "activation": activation,
                "output_bits_minus1": out - 1,
                "shift_minus1": draw(st.integers(0, 31)),
            }
        )
        shape = (size, size, channels, outputs)
        bias = draw(st.sampled_from([0, 5, LARGEST_SUM - largest * taps * top]))
        numbers.append(
            LayerNumbers(
                chance.integers(-top, top + 1, shape).astype(np.int32),
                chance.integers(-bias, bias + 1, outputs),
                draw(st.sampled_from([1, 300, 65536])) * np.ones(outputs, np.int64),
            )
        )
        channels, largest = outputs, 1 << out if activation == RELU else 1 << (out - 1)
    return network(shapes, numbers, bits)


def exact(coded: Network, numbers: list[LayerNumbers], values: Any) -> tuple[Any, list[int]]:
    """Outputs by Python's own integers, output by output; and the largest partial sum of each layer."""
    found, extremes = values.tolist(), []
    for layer, own in zip(coded.layers, numbers, strict=True):
        stride, pad, shift = layer.stride_minus1 + 1, layer.padding, layer.shift_minus1 + 1
        size, bits = layer.kernel_minus1 + 1, layer.output_bits_minus1 + 1
        low, high = (
            (0, 2**bits - 1)
            if layer.activation == RELU
            else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        )
        height, width = len(found[0]), len(found[0][0])
        weights, biases, multipliers = (one.tolist() for one in own)
        outputs, most = [], 0
        for d in range(layer.channels):
            sums = [[biases[d]] * (stride * width) for _ in range(stride * height)]
            for c, p, q, i, j in product(
                range(len(found)), range(height), range(width), range(size), range(size)
            ):
                y, x = stride * p + i - pad, stride * q + j - pad
                if 0 <= y < stride * height and 0 <= x < stride * width:
                    sums[y][x] += weights[i][j][c][d] * found[c][p][q]
                    most = max(most, abs(sums[y][x]))
            most = max(most, abs(biases[d]))
            plane = []
            for row in sums:
                rounded = [(2 * one * multipliers[d] + 2**shift) // 2 ** (shift + 1) for one in row]
                clipped = [min(max(one, low), high) for one in rounded]
                if layer.activation == LEAKY:
                    clipped = [
                        one if one >= 0 else (2 * one * LEAK + 2**16) // 2**17 for one in clipped
                    ]
                plane.append(clipped)
            outputs.append(plane)
        extremes.append(most)
        found = outputs
    return np.array(found), extremes


def values_for(coded: Network, seed: int, height: int = 3, width: int = 2) -> Any:
    """Values of the range of a network, the extremes among them."""
    limit = 1 << coded.input_bits_minus1
    chance = np.random.default_rng(seed)
    found = chance.integers(-limit, limit, (coded.input_channels, height, width))
    found[chance.random(found.shape) < 0.3] = -limit
    return found.astype(np.int32)


@settings(deadline=None)
@given(networks(), st.integers(0, 2**32))
def test_networks_are_exact(coded: Network, seed: int) -> None:
    one = IntegerNetwork(coded)
    values = values_for(coded, seed)
    found, extremes = exact(coded, one.numbers, values)
    assert np.array_equal(one.apply(values), found)
    assert all(most <= bound for most, bound in zip(extremes, one.bounds, strict=True))


@settings(deadline=None)
@given(networks(most=1))
def test_bounds_are_sound(coded: Network) -> None:
    """Values of the signs of the weights reach the bound, unless the kernel leaves some of them out."""
    one = IntegerNetwork(coded)
    own, limit = one.numbers[0], 1 << coded.input_bits_minus1
    bound = one.bounds[0]
    sums = np.abs(own.weights.astype(object)).sum(axis=(0, 1, 2)) * limit + np.abs(own.biases)
    assert bound == max(sums) <= LARGEST_SUM


@settings(deadline=None)
@given(networks())
def test_numbers_are_coded_and_decoded(coded: Network) -> None:
    one = IntegerNetwork(coded)
    assert encode_network(coded.layers, one.numbers, coded.input_bits_minus1 + 1) == coded
    assert NETWORK.parse_whole(NETWORK.build_whole(coded)) == coded


def single(
    weights: Any, biases: Any, *, bits: int = 8, weight_bits: int = 16, **more: int
) -> Network:
    found = np.array(weights, np.int32)
    elements = {
        "channels_minus1": found.shape[3] - 1,
        "stride_minus1": 0,
        "kernel_minus1": len(found) - 1,
        "padding": 0,
        "weight_bits_minus1": weight_bits - 1,
        "activation": LINEAR,
        "output_bits_minus1": 15,
        "shift_minus1": 0,
        **more,
    }
    numbers = LayerNumbers(found, np.array(biases), np.ones(found.shape[3], np.int64))
    return network([elements], [numbers], bits)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_least_sum_that_may_overflow_is_refused(sign: int) -> None:
    room = LARGEST_SUM - 128 * 32767
    assert IntegerNetwork(single([[[[32767]]]], [sign * room])).bounds == [LARGEST_SUM]
    with pytest.raises(ConstraintError, match="may reach 2147483648") as caught:
        IntegerNetwork(single([[[[32767]]]], [sign * (room + 1)]))
    assert caught.value.clause == "9.8"


@settings(deadline=None, max_examples=300)
@given(networks(), st.binary(max_size=60), st.integers(0, 60))
def test_any_bytes_are_numbers_or_refused(coded: Network, data: bytes, at: int) -> None:
    hostile = coded.coded_weights[:at] + data
    elements = {**coded, "coded_size": len(hostile), "coded_weights": hostile}
    try:
        one = IntegerNetwork(NETWORK.make(elements))
    except (PayloadError, ConstraintError):
        return
    for own, layer in zip(one.numbers, coded.layers, strict=True):
        assert np.abs(own.weights).max() < max(1 << layer.weight_bits_minus1, 1)
        assert own.multipliers.min() >= 1
        assert own.multipliers.max() <= 65536
    assert max(one.bounds) <= LARGEST_SUM


def test_costs() -> None:
    coded = network(
        [
            {**vars(single(np.zeros((3, 3, 2, 5)), [0] * 5).layers[0]), "stride_minus1": 1},
            vars(single(np.zeros((1, 1, 5, 4)), [0] * 4).layers[0]),
        ],
        [
            LayerNumbers(np.zeros((3, 3, 2, 5), np.int32), *np.ones((2, 5), np.int64)),
            LayerNumbers(np.zeros((1, 1, 5, 4), np.int32), *np.ones((2, 4), np.int64)),
        ],
        8,
    )
    one = IntegerNetwork(coded)
    assert (one.stride, one.weights, one.output_channels) == (2, 90 + 20, 4)
    assert work_of(coded, 6) == 6 * 90 + 24 * 20
    assert room_of(coded, 6) == 24 * 5


def outputs_of(cases: list[tuple[str, int]]) -> list[Any]:
    """The outputs of networks, given in hexadecimal, for values of a seed."""
    found = []
    for text, seed in cases:
        coded = NETWORK.parse_whole(bytes.fromhex(text))
        found.append(IntegerNetwork(coded).apply(values_for(coded, seed)).tolist())
    return found


def test_interpreted_networks_mean_the_same() -> None:
    cases: list[tuple[str, int]] = []

    @settings(max_examples=12, derandomize=True, database=None, deadline=None)
    @given(networks())
    def collect(coded: Network) -> None:
        cases.append((NETWORK.build_whole(coded).hex(), len(cases)))

    collect()
    script = (
        "import json, sys, numba, test_networks\n"
        "assert numba.config.DISABLE_JIT\n"
        "print(json.dumps(test_networks.outputs_of(json.load(sys.stdin))))\n"
    )
    tests = Path(__file__).parent
    path = os.pathsep.join(map(str, [tests, tests / "support", tests.parent]))
    result = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": path, "NUMBA_DISABLE_JIT": "1"},
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == outputs_of(cases)
    assert len(cases) > 5


# --- conversion ------------------------------------------------------------------------------------


def floats(seed: int = 0) -> tuple[list[FloatLayer], list[Any]]:
    """A network of three layers, and inputs that suit it."""
    chance = np.random.default_rng(seed)

    def drawn(*shape: int) -> Any:
        return chance.normal(0, 1 / np.sqrt(np.prod(shape[:3])), shape)

    layers = [
        FloatLayer(2 * drawn(4, 4, 5, 12), chance.normal(0, 0.2, 12), 2, 1, RELU),
        FloatLayer(drawn(3, 3, 12, 12), chance.normal(0, 0.2, 12), 1, 1, LEAKY),
        FloatLayer(drawn(3, 3, 12, 6), chance.normal(0, 0.2, 6), 1, 1),
    ]
    return layers, [chance.integers(-30, 31, (5, 6, 7)) for _ in range(6)]


def test_a_conversion_is_close_to_its_floats() -> None:
    layers, inputs = floats()
    made = convert(layers, inputs, input_bits=8, weight_bits=10, value_bits=14)
    assert len(made.errors) == 3
    assert made.snr > 45
    other = np.random.default_rng(9).integers(-30, 31, (5, 9, 4))
    wanted = run_floats(layers, other.astype(np.float64))[-1]
    found = made.network.apply(other.astype(np.int32)) * made.output_scale
    assert np.sqrt(((found - wanted) ** 2).mean()) < 0.01 * np.sqrt((wanted**2).mean())
    coarse = convert(layers, inputs, input_bits=8, weight_bits=4, value_bits=6)
    assert coarse.errors[-1] > 5 * made.errors[-1]


def test_scales_of_inputs_and_outputs() -> None:
    layers, inputs = floats()
    made = convert(layers, inputs, input_bits=8, input_scale=0.25, output_scale=0.003)
    assert made.output_scale == 0.003
    wanted = run_floats(layers, 0.25 * inputs[0])[-1]
    found = made.network.apply(inputs[0].astype(np.int32)) * 0.003
    assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()


def test_wide_layers_lose_bits_rather_than_overflow() -> None:
    chance = np.random.default_rng(0)
    layers = [FloatLayer(chance.normal(0, 1, (8, 8, 60, 2)), np.zeros(2))]
    made = convert(
        layers, [chance.integers(-(2**15), 2**15, (60, 9, 9))], input_bits=16, weight_bits=16
    )
    assert 0.5 * LARGEST_SUM < max(made.network.bounds) <= LARGEST_SUM
    assert made.snr > 35


def test_channels_without_weights() -> None:
    weights = np.zeros((1, 1, 2, 3))
    weights[0, 0, :, 1] = 1, 1e-7
    made = convert(
        [FloatLayer(weights, np.array([0.0, 1.0, -3.0]))], [np.array([[[5]], [[3]]])], input_bits=4
    )
    found = made.network.apply(np.array([[[5]], [[3]]], np.int32)) * made.output_scale
    assert found.reshape(-1) == pytest.approx([0, 6, -3], abs=0.1)


def test_layers_of_torch() -> None:
    torch = pytest.importorskip("torch")
    nn = torch.nn.functional
    chance = np.random.default_rng(0)
    values = chance.normal(0, 1, (3, 5, 4))
    batch = torch.tensor(values)[None]
    for size, padding in ((1, 0), (3, 1), (5, 2)):
        weight, bias = chance.normal(0, 1, (4, 3, size, size)), chance.normal(0, 1, 4)
        wanted = nn.conv2d(batch, torch.tensor(weight), torch.tensor(bias), padding=padding)
        layer = FloatLayer.convolution(weight, bias, padding=padding)
        assert np.allclose(layer.apply(values), wanted[0].numpy())
    for size, stride, padding, more in ((4, 2, 1, 0), (5, 2, 2, 1), (3, 3, 0, 0), (2, 2, 0, 0)):
        weight, bias = chance.normal(0, 1, (3, 4, size, size)), chance.normal(0, 1, 4)
        wanted = nn.conv_transpose2d(
            batch, torch.tensor(weight), torch.tensor(bias), stride, padding, more
        )
        layer = FloatLayer.transposed(weight, bias, stride=stride, padding=padding)
        assert np.allclose(layer.apply(values), wanted[0].numpy())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: FloatLayer(np.zeros((9, 9, 1, 1)), np.zeros(1)),
        lambda: FloatLayer(np.zeros((3, 2, 1, 1)), np.zeros(1)),
        lambda: FloatLayer(np.zeros((3, 3, 1, 1)), np.zeros(2)),
        lambda: FloatLayer(np.zeros((3, 3, 1, 1)), np.zeros(1), 5),
        lambda: convert([], floats()[1], input_bits=8),
        lambda: convert(floats()[0], [], input_bits=8),
        lambda: convert(floats()[0], floats()[1], input_bits=4),
        lambda: convert(floats()[0][1:], floats()[1], input_bits=8),
        lambda: convert([*floats()[0], *floats()[0]], floats()[1], input_bits=8),
        lambda: convert(
            [FloatLayer(np.full((1, 1, 1, 1), 1e9), np.zeros(1))],
            [np.ones((1, 1, 1), int)],
            input_bits=4,
            output_scale=1.0,
        ),
    ],
)
def test_conversions_that_cannot_be(wrong: Any) -> None:
    with pytest.raises(CallerError):
        wrong()
