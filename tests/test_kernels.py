"""Kernels: what they may be made of, and that they cannot overflow."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import operator
import os
import pkgutil
import random
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.caching import NullCache
from variation import PATIENCE

import refcodec
import refcodec.coders
import refcodec.entropy
import refcodec.networks
from refcodec import EncoderConfig, kernel
from refcodec.coders.learned.coder import PAYLOAD_CODER as LEARNED
from refcodec.coders.learned.payload import encode_joint, encode_separate
from refcodec.coders.native import decisions, gains, head, restoration, transform
from refcodec.coders.native import payload as native_payload
from refcodec.coders.native.encoder.advice import NO_ADVICE, Advice
from refcodec.coders.native.encoder.choose import choose
from refcodec.coders.native.encoder.feature import encode_payload
from refcodec.coders.native.encoder.tuning import Tuning
from refcodec.coders.native_lossless import context, fast
from refcodec.coders.native_lossless import payload as lossless_payload
from refcodec.coders.native_lossless.encoder.payload import encode_payload as encode_lossless
from refcodec.coders.native_static import payload as static_payload
from refcodec.coders.native_static.encoder.feature import encode_payload as encode_static
from refcodec.coders.protocol import BatchPlace, Machine, Payload
from refcodec.encoder.encoding import signal_parameters
from refcodec.encoder.parameter_sets import make_parameter_set
from refcodec.entropy import arithmetic, mixing, symbols
from refcodec.entropy.arithmetic import CODER_SIZE
from refcodec.entropy.model_bits import NEW_CHANCE
from refcodec.errors import PayloadError
from refcodec.networks import layers
from refcodec.networks.layers import LARGEST_SUM
from refcodec.networks.weights import WEIGHT_CHANCES, code_biases, code_weights
from refcodec.probability import coding
from refcodec.probability.model import EntropyModel
from refcodec.probability.store import ModelReference
from refcodec.syntax.codes import Coder
from refcodec.syntax.structures import ENTROPY_TABLES

for package in (refcodec.coders, refcodec.entropy, refcodec.networks):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(found.name)

KERNELS = dict(kernel.KERNELS)
SOURCE = Path(refcodec.__file__).parent


def coded(payload: bytes, shape: tuple[int, int, int], **options: Any) -> Payload:
    """A payload as the decoder of a stream would hand it over, with the parameters of a configuration."""
    qp = options.pop("qp", 20)
    qps = qp if isinstance(qp, tuple) else (qp,) * shape[0]
    config = EncoderConfig(**options)
    fps = make_parameter_set(config, np.ones(shape, np.float32), qps)
    return Payload(fps, signal_parameters(fps, config, qps), b"", True, payload)


def before(shape: tuple[int, ...]) -> Any:
    """Samples of a feature to predict from."""
    return np.random.default_rng(4).integers(0, 4096, shape).astype(np.int32)


def encoded(positions: Any, block: int = 16, predicted: bool = False, **options: Any) -> Payload:
    """A valid payload of the native coder."""
    one = coded(b"", positions.shape, **options)
    tuning = Tuning(blocks=(block,), restoration=2)
    previous = before(positions.shape) if predicted else None
    coding = encode_payload(positions, one.fps, one.parameters, tuning, reference_feature=previous)
    return Payload(one.fps, one.parameters, b"", not predicted, coding[0])


def static(positions: Any, block: int = 16, **options: Any) -> Payload:
    """A valid payload of the native coder with static tables."""
    one = coded(b"", positions.shape, coder="native-static", **options)
    tuning = Tuning(blocks=(block,), restoration=2)
    steps = head.step_sizes(one.fps, one.parameters)
    advice = Advice(choice=choose(positions, steps, tuning, NO_ADVICE, block, 0))
    (payload,), _ = encode_static(positions, one.fps, one.parameters, tuning, advice)
    return replace(one, data=payload)


def decoded(one: Payload) -> Any:
    """The samples of a payload, or None where it is refused."""
    try:
        if one.fps.coder_id == Coder.LEARNED:
            return next(LEARNED.decode([one], Machine())).tolist()
        if one.fps.coder_id == Coder.NATIVE_STATIC:
            return static_payload.decode_payload(one).tolist()
        if not one.fps.qp_present:
            return lossless_payload.decode_payload(one).tolist()
        fps = one.fps
        previous = before((fps.channels, fps.height, fps.width))
        return native_payload.decode_payload(one, None if one.access_point else previous).tolist()
    except PayloadError:
        return None


# --- what a kernel is made of ----------------------------------------------------------------------

STATEMENTS = (ast.If, ast.While, ast.Return, ast.Break, ast.Continue, ast.Pass)
EXPRESSIONS = (ast.Name, ast.Tuple, ast.IfExp, ast.BoolOp, ast.Compare, ast.UnaryOp, ast.keyword)
OPERATORS = (
    *(ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.USub),
    *(ast.LShift, ast.RShift, ast.BitAnd, ast.BitOr, ast.BitXor, ast.Invert),
    *(ast.Not, ast.And, ast.Or, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
)
BUILTINS = {"int": int, "min": min, "max": max, "abs": abs, "range": range}
ROOM = {"np.zeros", "np.empty"}
"""Room for integers is the one thing that a kernel takes from numpy: it means the same either way."""


def is_kernel(value: Any) -> bool:
    return any(getattr(value, "py_func", value) is one for one in KERNELS.values())


def faults(function: Callable[..., Any]) -> list[str]:
    """Constructs in a kernel that are not allowed, each with its statement."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return [
        f"{function.__name__}: {type(node).__name__} in {ast.unparse(statement)}"
        for statement in tree.body
        for node in _faults(statement, None, function.__globals__)
    ]


def _faults(node: Any, parent: Any, names: dict[str, Any]) -> Iterator[Any]:
    good = isinstance(node, STATEMENTS + EXPRESSIONS + OPERATORS + (ast.Load, ast.Store, ast.Slice))
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return
        case ast.Expr():
            good = isinstance(node.value, ast.Call)
        case ast.Assign():
            good = True
        case ast.AugAssign():  # of an array element it were a load without int()
            good = isinstance(node.target, ast.Name)
        case ast.For():
            good = ast.unparse(node.iter).startswith("range(") and isinstance(node.target, ast.Name)
        case ast.Constant():
            good = isinstance(node.value, int)
        case ast.BinOp():
            good = True
        case ast.Name(ctx=ast.Load()) if node.id in names:
            value = names[node.id]
            numbers = value if isinstance(value, (tuple, np.ndarray)) else [value]
            good = np.issubdtype(np.asarray(numbers).dtype, np.integer)
        case ast.Call():
            good = _callable(node, names) and not node.keywords
            for child in node.args:
                yield from _faults(child, node, names)
            if not good:
                yield node
            return
        case ast.Attribute():
            good = isinstance(node.value, ast.Name)
        case ast.Subscript(ctx=ast.Store()):
            good = True
        case ast.Subscript():
            good = _loads(node, parent, names)
    if not good or isinstance(node, ast.Slice):
        yield node
    for inner in ast.iter_child_nodes(node):
        yield from _faults(inner, node, names)


def _callable(node: ast.Call, names: dict[str, Any]) -> bool:
    """True for a call of a kernel, of one of a few builtins, or of a function that makes integer arrays."""
    called = ast.unparse(node.func)
    if called in ROOM and names.get("np") is np:
        *rest, kind = node.args
        node.args = rest
        return ast.unparse(kind) in ("np.int64", "np.int32", "np.uint8")
    if called in names:
        return is_kernel(names[called])
    return called in BUILTINS


def _loads(node: ast.Subscript, parent: Any, names: dict[str, Any]) -> bool:
    """True if an element is read through int(); a view is an argument of a kernel with one index."""
    if isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
        return isinstance(node.slice, ast.Constant)
    if not isinstance(parent, ast.Call):
        return False
    called = ast.unparse(parent.func)
    return called == "int" or (called not in BUILTINS and not isinstance(node.slice, ast.Tuple))


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_is_restricted_python(name: str) -> None:
    assert not faults(KERNELS[name])


def test_there_are_kernels() -> None:
    assert {"networks.layers.apply_layer", "networks.weights.code_weights"} <= KERNELS.keys()
    assert {"entropy.arithmetic.decode_bit", "entropy.mixing.mix"} <= KERNELS.keys()
    assert {"coders.native.channels.code_levels"} <= KERNELS.keys()
    assert {"coders.native_static.channels.code_levels"} <= KERNELS.keys()
    assert {"entropy.rans.decode_each", "entropy.vectors.decode_vector"} <= KERNELS.keys()
    assert {"coders.native.transform.inverse_block"} <= KERNELS.keys()
    assert {"coders.native_lossless.context.decode_floats"} <= KERNELS.keys()


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")
def test_kernels_do_not_count_references() -> None:
    def last(array: Any) -> int:
        return int(array[array.shape[0] - 1])

    def both(array: Any) -> int:
        return int(callee(array)) + int(callee(array[0:2]))

    callee: Any = kernel.compiled(last)
    caller: Any = kernel.compiled(both)
    caller._cache = NullCache()  # whose code is that of this process, and can be looked at
    assert caller(np.arange(4)) == 4
    (code,) = caller.inspect_llvm().values()
    assert "both" in code
    assert "NRT_incref" not in code


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")
def test_a_kernel_is_compiled_once_for_all_constants() -> None:
    def product(x: int, y: int) -> int:
        return x * y

    def sum_of_products(x: int) -> int:
        return int(callee(x, 2)) + int(callee(3, x)) + int(callee(4, 5))

    callee: Any = kernel.compiled(product)
    caller: Any = kernel.compiled(sum_of_products)
    caller._cache = NullCache()  # an earlier run of this test has left a compiled form
    assert caller(10) == 70
    assert len(callee.inner.overloads) == 1


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")
def test_no_access_asks_whether_its_index_is_negative() -> None:
    def moved(array: Any, x: int, y: int) -> None:
        array[x, y] = int(array[y, x])

    kernel_of: Any = kernel.compiled(moved)
    kernel_of._cache = NullCache()
    array = np.arange(4).reshape(2, 2)
    kernel_of(array, 0, 1)
    assert array.tolist() == [[0, 2], [2, 3]]
    (code,) = kernel_of.inspect_llvm().values()
    (body,) = re.findall(r"^define [^\n]*moved.*?^}", code, re.MULTILINE | re.DOTALL)[:1]
    assert "load i64" in body
    assert "select" not in body


HALF = 0.5
HALVES = np.array([0.5])
bucket, inverse_block = decisions.bucket, transform.inverse_block


def bad_division(x):
    return x / 2


def bad_power(x):
    return x**2


def bad_constant(x):
    return x * 0.5


def bad_global(x):
    return x * HALF


def bad_array(x):
    return int(HALVES[x])


def bad_load(array):
    return array[0] + 1


def bad_load_in_builtin(array):
    return max(array[0], 1)


def bad_load_in_kernel(array):
    return bucket(array[0, 1])


def bad_load_in_condition(array):
    while array[0]:
        pass


def bad_addition(array):
    array[0] += 1


def bad_numpy(array):
    return np.sum(array)


def bad_room(x):
    return np.zeros(x, np.float64)


def bad_method(array):
    return array.sum()


def bad_call(x):
    return len(x)


def bad_iteration(array):
    for x in array:
        bucket(x)


def bad_slice(array):
    bucket(array[1:])


def bad_comprehension(x):
    return [i + 1 for i in range(x)]


def bad_function(x):
    return (lambda y: y)(x)


def bad_text(x):
    return x == "a"


def bad_exception(x):
    raise ValueError


def bad_list(x):
    return [x]


def good_everything(array, w):
    """Whatever is permitted."""
    total = 0
    a, b = 1, -1
    room = np.zeros(4, np.int32)
    for i in range(0, array.shape[0], 2):
        array[i] = int(array[i]) ^ 1
        w.contexts[0] = int(w.contexts[1]) + min(a, b, i)
        if not (i == 2 and a < b) or i % 3 > 1:
            continue
        while total < 7:
            total += bucket(abs(total)) + int(i > 2)
            break
    inverse_block(array[0], room, total, -total, ~a, b << 1, a >> 1, a // 3, a, b)
    return total if total > 0 else max(int(array[1, 2]), 1 << 20)


@pytest.mark.parametrize(
    "function", [one for name, one in list(globals().items()) if name.startswith("bad_")]
)
def test_the_walker_refuses(function: Callable[..., Any]) -> None:
    assert len(faults(function)) >= 1


def test_the_walker_admits() -> None:
    assert not faults(good_everything)


# --- kernels cannot overflow -----------------------------------------------------------------------


class Checked(int):
    """An integer that never leaves int64, and is never shifted in a way that C leaves undefined.

    The specification prints the kernels for readers of any language (4.2): they shift by 0 to 63 places, and
    no negative number to the left.
    """


def _checked(name: str) -> Any:
    plain = getattr(int, name)

    def method(self: int, *others: Any) -> Any:
        count = self if name in ("__rlshift__", "__rrshift__") else (*others, 0)[0]
        if "shift" in name and not 0 <= int(count) < 64:
            raise OverflowError(f"a shift by {int(count)}")
        if (name == "__lshift__" and self < 0) or (name == "__rlshift__" and others[0] < 0):
            raise OverflowError(f"{name} of a negative number")
        result = plain(self, *others)
        if result is NotImplemented:
            return result
        if not -(2**63) <= result < 2**63:
            raise OverflowError(f"{name} of {int(self)} and {others}")
        return Checked(result)

    return method


for one in ("add", "sub", "mul", "floordiv", "mod", "lshift", "rshift", "and", "or", "xor"):
    for name in (f"__{one}__", f"__r{one}__"):
        setattr(Checked, name, _checked(name))
for name in ("__neg__", "__abs__", "__invert__"):
    setattr(Checked, name, _checked(name))


class Guarded(np.ndarray):
    """An array without negative indices: compiled code wraps them, in silence."""

    def __getitem__(self, at: Any) -> Any:
        refuse_negative(at)
        return super().__getitem__(at)

    def __setitem__(self, at: Any, value: Any) -> None:
        refuse_negative(at)
        super().__setitem__(at, value)


def refuse_negative(at: Any) -> None:
    for index in at if isinstance(at, tuple) else (at,):
        if index < 0:
            raise IndexError(f"index {index} is negative")


def guard(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.view(Guarded)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(guard, value))
    return Checked(value) if isinstance(value, int) else value


def interpreter() -> dict[Callable[..., Any], Callable[..., Any]]:
    """All kernels as interpreted functions in which every integer is checked, and every index."""
    spaces: dict[str, dict[str, Any]] = {}
    made: dict[Callable[..., Any], Callable[..., Any]] = {}
    for function in KERNELS.values():
        space = spaces.setdefault(function.__module__, dict(function.__globals__))
        made[function] = FunctionType(function.__code__, space)
    for space in spaces.values():
        for name, value in space.items():
            if is_kernel(value):
                space[name] = made[getattr(value, "py_func", value)]
            elif isinstance(value, np.ndarray):
                space[name] = guard(value)
        space["int"] = Checked
        space["range"] = lambda *bounds: map(Checked, range(*bounds))
        space["np"] = SimpleNamespace(
            **{name: getattr(np, name) for name in ("int64", "int32", "uint8")},
            zeros=lambda *a: guard(np.zeros(*a)),
            empty=lambda *a: guard(np.empty(*a)),
        )
    return made


INTERPRETED = interpreter()


def checked(function: Any) -> Callable[..., Any]:
    """A kernel, interpreted and checked, its arguments too."""
    own = INTERPRETED[getattr(function, "py_func", function)]
    return lambda *arguments: own(*map(guard, arguments))


def check_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the coders run on checked kernels."""
    for module in (native_payload, context, fast, symbols, coding):
        for name, value in list(vars(module).items()):
            if is_kernel(value):
                monkeypatch.setattr(module, name, checked(value))


@pytest.fixture
def checked_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    check_kernels(monkeypatch)


def test_a_checked_integer_is_checked() -> None:
    big = Checked(2**62)
    for wrong in (
        lambda: big + big,
        lambda: 4 * big,
        lambda: big << 1,
        lambda: 1 << Checked(64),
        lambda: Checked(-1) << 1,
        lambda: -1 << Checked(1),
        lambda: big >> -1,
        lambda: -4 * big,
    ):
        with pytest.raises(OverflowError):
            wrong()
    assert type(1 + (big >> 3)) is Checked
    with pytest.raises(IndexError):
        guard(np.zeros(3))[Checked(-1)]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 16, 31, 32])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_inverse_transform_does_not_overflow(length: int, sign: int) -> None:
    signs = np.sign(transform.cosine_basis(length)[:, 0])  # all terms of the first sample add up
    coefficients = sign * np.outer(signs, signs) * (1 << 26)
    rows, samples = np.zeros((34, 32), np.int64), np.zeros((length, length), np.int64)
    for (u, v), coefficient in np.ndenumerate(coefficients):
        checked(transform.add_coefficient)(rows, u, v, length, int(coefficient))
    assert np.abs(rows).max() <= 2**45
    checked(transform.inverse_block)(
        rows, samples, 0, 0, length, length, length, length, -(1 << 40), 1 << 40
    )
    assert not rows[:32].any()
    gain = np.abs(transform.cosine_basis(length)[:, 0]).sum() / 2**14
    assert int(samples[0, 0]) == pytest.approx(sign * 2**22 * gain**2, rel=1e-6)
    assert abs(int(samples[0, 0])) < 2**31  # samples are int32 in the coder


@given(st.integers(2**24, 2**32 - 1), st.integers(0, 2**40 - 1), st.integers(1, 65535), st.binary())
def test_decisions_of_a_hostile_payload_do_not_overflow(
    width: int, code: int, probability: int, data: bytes
) -> None:
    coder = np.array([width, code, 0, 0, 0])
    array = np.frombuffer(bytearray(data), np.uint8)
    for _ in range(20):
        assert checked(arithmetic.decode_bit)(coder, array, probability) in (0, 1)
        assert 2**24 <= coder[arithmetic.RANGE] < 2**32
        assert 0 <= coder[arithmetic.CODE] < 2**40


@settings(max_examples=30)
@given(
    st.sampled_from([0, 1, 65535, -(1 << 24), 1 << 24]),
    st.sampled_from([0, 1 << 26, -(1 << 26)]),
    st.integers(-24, 32),
    st.sampled_from([1, 1 << 16, (1 << 33) - 1]),
)
def test_restoration_does_not_overflow(sample: int, offset: int, gain: int, step: int) -> None:
    samples = np.full((2, 2, 3), sample, np.int32)
    samples[:, 0, 0] = 0
    own = np.zeros(head.HEAD_SIZE, np.int64)
    own[head.RESTORATION] = 2
    pairs = [np.array([one, -one]) for one in (step, offset, gain)]
    pairs[0] = abs(pairs[0])
    pairs[2] = pairs[2].clip(-24, 32)
    checked(restoration.restore)(samples, own, *pairs)
    assert np.abs(samples).max() <= 1 << 24


@given(st.integers(-(1 << 24), 1 << 24), st.integers(-64, 64))
def test_gains_do_not_overflow(sample: int, gain: int) -> None:
    samples = np.full((2, 3, 1), sample, np.int32)
    own = np.zeros(head.HEAD_SIZE + 3, np.int64)
    own[[head.GAINED, -1]] = 1, gain
    checked(gains.scale_tokens)(samples, own)
    assert (samples[:, :2] == sample).all()
    exact = min(max(sample * 2.0 ** (gain / 4), -(1 << 24)), 1 << 24)
    assert np.abs(samples[:, 2] - exact).max() <= 1 + abs(exact) * 2**-16


@given(
    st.lists(st.tuples(st.integers(0, 2**22 - 1), st.integers(0, 255)), min_size=6, max_size=6),
    st.lists(st.integers(-(2**46), 2**46), min_size=6, max_size=6),
    st.integers(0, 1),
)
def test_mixing_does_not_overflow(
    pairs: list[tuple[int, int]], weights: list[int], bit: int
) -> None:
    states = np.array([probability << 8 | seen for probability, seen in pairs], np.int32)
    adapted = np.array(weights)
    inputs = [checked(mixing.stretch)(states, at) for at in range(6)]
    chance = checked(mixing.mix)(sum(map(operator.mul, map(Checked, weights), inputs)))
    assert 32 <= chance <= 65504
    error = Checked(((bit << 16) - chance) * 4)
    for at, one in enumerate(inputs):
        checked(mixing.adapt)(states, at, adapted, at, one, error, bit, 255)
    assert (states >= 0).all()
    assert (states >> 8 < 2**22).all()


SHAPES = [(1, 1, 1), (3, 7, 7), (2, 16, 16), (1, 33, 5), (2, 1, 40)]


def extreme(shape: tuple[int, int, int], bits: int) -> Any:
    """Samples that jump between the ends of their range."""
    return np.random.default_rng(bits).integers(0, 2, shape) * float((1 << bits) - 1)


@pytest.mark.parametrize("block", [0, 8, 16])
@pytest.mark.parametrize(("bits", "qp"), [(16, 0), (16, 63), (1, 63), (8, 4)])
def test_extreme_samples_do_not_overflow(
    block: int, bits: int, qp: float, checked_kernels: None
) -> None:
    shape = (2, 9, 7)
    one = encoded(extreme(shape, bits), block, bits=bits, qp=qp)
    assert decoded(one) is not None


def hostile(chance: random.Random, valid: list[bytes]) -> Iterator[bytes]:
    """Payloads that nobody should send."""
    yield from (b"", b"\0", b"\xff", bytes(40), b"\xff" * 40, bytes(1000), b"\xff" * 1000)
    for first in range(0, 256, 8):  # heads of all kinds
        yield bytes([first]) + chance.randbytes(30)
    for size in (1, 3, 4, 5, 17, 100, 400):
        yield chance.randbytes(size)
    for payload in valid:
        for _ in range(6):
            cut = chance.randrange(len(payload))
            yield payload[:cut]
            flipped = bytearray(payload)
            flipped[cut] ^= 1 << chance.randrange(8)
            yield bytes(flipped)
            yield payload[:cut] + chance.randbytes(20)
            yield payload + chance.randbytes(3)


Item = tuple[str, Any, int, float, str]


def hostile_corpus() -> list[Item]:
    """Coder, shape, bits, QP and payload in hexadecimal."""
    corpus: list[Item] = []
    chance = random.Random(1)
    for shape in SHAPES:
        for bits, qp, predicted in (
            (12, 20, False),
            (16, 63, False),
            (16, 0, False),
            (16, 30, True),
        ):
            noise = np.random.default_rng(1).random(shape) * (2**bits - 1)
            valid = [
                encoded(noise, block, predicted, bits=bits, qp=qp).data for block in (0, 8, 16)
            ]
            name = "predicted" if predicted else "native"
            corpus += [(name, shape, bits, qp, one.hex()) for one in hostile(chance, valid)]
        fps = coded(b"", shape, coder="native-lossless").fps
        words = np.random.default_rng(2).normal(0, 1, shape).astype(np.float32).view(np.int32)
        valid = [encode_lossless(words, fps)]
        corpus += [("native-lossless", shape, 0, 0, one.hex()) for one in hostile(chance, valid)]
        fps = coded(b"", shape, coder="learned").fps
        latents = np.random.default_rng(3).integers(-40, 40, (1, int(np.prod(shape))))
        for kind, model in MODELS.items():
            alone = encode_joint(latents, model, fps)
            corpus += [(kind, shape, 0, 0, one.hex()) for one in hostile(chance, [alone])]
            (own,) = encode_separate(latents, model, fps)
            corpus += [
                (f"{kind}-separate", shape, 0, 0, one.hex()) for one in hostile(chance, [own])
            ]
    tables = [
        MODELS["learned"].coded.coded_tables,
        EntropyModel.from_scales([1, 9]).coded.coded_tables,
    ]
    corpus += [("model", (1, 1, 1), 0, 0, one.hex()) for one in hostile(chance, tables)]
    return corpus


def static_corpus() -> list[Item]:
    """The like for static tables."""
    corpus: list[Item] = []
    chance = random.Random(2)
    for shape in SHAPES:
        for bits, qp in ((12, 20), (16, 63), (16, 0)):
            noise = np.random.default_rng(1).random(shape) * (2**bits - 1)
            valid = [static(noise, block, bits=bits, qp=qp).data for block in (8, 32)]
            own = hostile(chance, valid)
            corpus += [("native-static", shape, bits, qp, one.hex()) for one in own]
    return corpus


MODELS = {
    "learned": EntropyModel.from_counts([[2, 7, 1, 0, 1, 900, 3]], -3),
    "learned-scale": EntropyModel.from_scales([20.0]),
}
"""Models of one context, of few values and of many; their escapes are met, too."""


def model_of(coded_tables: bytes) -> Any:
    """The bounds of the tables of a model of these bytes, or None where it is refused."""
    elements = vars(MODELS["learned"].coded) | {"coded_tables": coded_tables}
    try:
        found = coding.decode_tables(ENTROPY_TABLES.make(elements))
    except PayloadError:
        return None
    return found.tables.bounds.tolist()


def outcome(item: Item) -> Any:
    """Result of the kernels of this process for an invalid payload."""
    name, shape, bits, qp, payload = item
    if name == "model":
        return model_of(bytes.fromhex(payload))
    if name.startswith("learned"):
        own = ModelReference(MODELS[name.removesuffix("-separate")])
        place = BatchPlace(0, 1, False) if name.endswith("-separate") else None
        plain = coded(bytes.fromhex(payload), tuple(shape), coder="learned")
        return decoded(replace(plain, model=own, place=place))
    options: Any = {"bits": bits, "qp": qp} if bits else {"coder": name}
    if name == "native-static":
        options["coder"] = name
    one = coded(bytes.fromhex(payload), tuple(shape), **options)
    return decoded(replace(one, access_point=name != "predicted"))


def test_hostile_payloads_mean_the_same_interpreted_and_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    items = [one for one in hostile_corpus() if np.prod(one[1]) < 200]
    own = [one for one in items if one[0].startswith("learned") or one[0] == "model"]
    ours = [one for one in static_corpus() if np.prod(one[1]) < 200]
    items = random.Random(3).sample(items, 50) + random.Random(4).sample(own, 60)
    items += random.Random(5).sample(ours, 60)
    with monkeypatch.context() as patch:
        check_kernels(patch)
        found = [outcome(one) for one in items]  # first: what is wrong here may crash below
    assert None in found
    assert found == [outcome(one) for one in items]


# --- other processes -------------------------------------------------------------------------------


def run(script: str, *, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script that can import this module, with other environment variables."""
    tests = Path(__file__).parent
    paths = [str(tests), str(tests / "support"), str(SOURCE.parent)]
    if "PYTHONPATH" in variables:
        paths.insert(0, variables.pop("PYTHONPATH"))
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **variables},
        cwd=paths[0],  # where Python looks first
    )
    assert result.returncode == 0, result.stderr
    return result


@settings(deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(1, 16),
    st.integers(1, 32),
    st.sampled_from([0, 1, 2]),
    st.sampled_from([1, 65536]),
    st.tuples(st.integers(1, 4), st.integers(0, 7)),
)
def test_layers_do_not_overflow(
    seed: int, bits: int, shift: int, activation: int, multiplier: int, shape: tuple[int, int]
) -> None:
    """Sums up to the greatest that a bound admits, times the largest multiplier."""
    chance = np.random.default_rng(seed)
    weights = chance.choice([-32767, 32767], (2, 2, 3, 2)).astype(np.int32)
    most = LARGEST_SUM // (12 * 32767)
    values = chance.choice([-most, 0, most], (2, 3, 3)).astype(np.int32)
    biases = chance.choice([-1, 1], 2) * (LARGEST_SUM - 12 * 32767 * most)
    bounds = np.zeros(2, np.int64)
    checked(layers.largest_sums)(weights, biases, most, bounds)
    assert bounds.tolist() == [LARGEST_SUM] * 2
    found = []
    for run_layer in (layers.apply_layer, checked(layers.apply_layer)):
        outputs = np.zeros((shape[0] * 2, shape[0] * 3, 2), np.int32)
        run_layer(
            values,
            weights,
            biases,
            np.full(2, multiplier),
            np.array([*shape, shift, activation, bits]),
            outputs,
        )
        found.append(outputs.tolist())
    assert found[0] == found[1]


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=80), st.integers(1, 16))
def test_numbers_of_hostile_networks_do_not_overflow(data: bytes, bits: int) -> None:
    found = []
    for kernels in (lambda one: one, checked):
        coder, chances = np.zeros(CODER_SIZE, np.int64), np.full(WEIGHT_CHANCES, NEW_CHANCE)
        array = np.frombuffer(bytearray(data), np.uint8)
        kernels(arithmetic.start_decoding)(coder, array)
        numbers = np.zeros(2, np.int64), np.zeros(2, np.int64)
        own = np.zeros((2, 2, 3, 2), np.int32)
        sound = kernels(code_biases)(coder, array, chances, *numbers)
        sound = sound and kernels(code_weights)(coder, array, chances, bits, own)
        found.append((bool(sound), own.tolist(), [one.tolist() for one in numbers]))
    assert found[0] == found[1]


@pytest.mark.slow
def test_no_index_leaves_its_array() -> None:
    """numba checks bounds only when asked to."""
    corpus = random.Random(5).sample(hostile_corpus(), 800)
    corpus += random.Random(6).sample(static_corpus(), 200)
    script = """
        import json, sys
        import numba, test_kernels
        assert numba.config.BOUNDSCHECK
        results = [test_kernels.outcome(one) for one in json.load(sys.stdin)]
        print(json.dumps([one is None for one in results]))
    """
    refused = json.loads(run(script, text=json.dumps(corpus), NUMBA_BOUNDSCHECK="1").stdout)
    assert len(refused) == len(corpus)
    assert 0 < sum(refused) < len(corpus)


def payloads_of_both_modes() -> list[tuple[str, Any]]:
    """A small feature with a transform and without; the payloads and their samples."""
    positions = np.add.outer(np.arange(2) * 70.5, np.outer(np.arange(9), np.arange(7)) * 8.25)
    made = [encoded(positions, block, bits=10, qp=20) for block in (0, 16)]
    made.append(static(positions, bits=10, qp=20))
    return [(one.data.hex(), decoded(one)) for one in made]


def test_interpreted_kernels_mean_the_same() -> None:
    script = """
        import json
        import numba, test_kernels
        assert numba.config.DISABLE_JIT
        print(json.dumps(test_kernels.payloads_of_both_modes()))
    """
    found = json.loads(run(script, NUMBA_DISABLE_JIT="1").stdout)
    assert [tuple(one) for one in found] == payloads_of_both_modes()
