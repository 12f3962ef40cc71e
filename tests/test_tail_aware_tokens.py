"""Tail-aware encoding of vectors and tokens: small random networks are the tails."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

import refcodec
from refcodec.allocate.descent import TailAware
from refcodec.allocate.methods import Allocation, write_features
from refcodec.allocate.rate import SampleRates
from refcodec.allocate.tail_aware import choose_levels
from refcodec.metrics import signal_to_noise
from refcodec.shapes import volume_of

WIDTH, HEADS = 24, 3
VECTORS = refcodec.EncoderConfig(workers=1)
TOKENS = VECTORS.but(feature_type="tokens")
RNG = np.random.default_rng(5)
MIXED = RNG.normal(size=(8, WIDTH)) * 1.5 ** np.arange(8)[::-1, None]
"""Directions of vectors, of falling strength."""

READ = torch.from_numpy(RNG.normal(size=(WIDTH, 4)).astype(np.float32))
"""The four combinations of a vector that tails look at."""


class Ends:
    """A tail by itself, as `write_features` takes it."""

    def __init__(self, tail: Callable[[Any], Any]) -> None:
        self.tail = self.representation = tail


def of_vectors(vectors: Any) -> Any:
    return torch.tanh(vectors @ READ / 20)


def of_tokens(tokens: Any) -> Any:
    """The mean over tokens of something that is not linear: N x 4."""
    return torch.tanh(tokens @ READ / 20).mean(dim=1)


def of_heads(tokens: Any) -> Any:
    """Tokens N x heads x T x D, as keys are: heads are put side by side."""
    return of_tokens(tokens.transpose(1, 2).flatten(2))


def vectors(count: int) -> Any:
    rows = np.random.default_rng(6).normal(size=(count, len(MIXED)))
    return (rows @ MIXED).astype(np.float32)


def tokens(lengths: Sequence[int]) -> list[Any]:
    return np.split(vectors(sum(lengths)), np.cumsum(lengths)[:-1])


def heads(lengths: Sequence[int]) -> list[Any]:
    return [
        np.ascontiguousarray(one.reshape(-1, HEADS, WIDTH // HEADS).transpose(1, 0, 2))
        for one in tokens(lengths)
    ]


CASES: dict[str, tuple[Any, Any, Any]] = {
    "vectors": (vectors(12), VECTORS, of_vectors),
    "tokens": (np.stack(tokens([9] * 4)), TOKENS, of_tokens),
    "tokens of any number": (tokens([5, 5, 1, 12]), TOKENS, of_tokens),
    "heads": (heads([7, 7, 3]), TOKENS, of_heads),
}


def coded(case: str, method: str, config: Any = None, **parameters: Any) -> tuple[int, float]:
    """Size of the stream, and SNR of the output."""
    features, own, tail = CASES[case]
    target = io.BytesIO()
    allocation = Allocation(method, parameters)
    write_features(target, features, own if config is None else config, allocation, Ends(tail))
    assert refcodec.validate(target.getvalue()).conforming

    def outputs(given: Any) -> Any:
        return torch.cat([tail(torch.from_numpy(np.asarray(one)[None])) for one in given]).numpy()

    with refcodec.open(target.getvalue()) as reader:
        return target.tell(), signal_to_noise(outputs(reader), outputs(features))


@pytest.mark.parametrize(
    ("case", "strength", "plain_qp"),
    [("vectors", 1, 30), ("tokens", 1, 26), ("tokens of any number", 10, 34), ("heads", 1, 26)],
)
def test_the_tail_saves_rate(case: str, strength: float, plain_qp: int) -> None:
    """Fewer bytes than coding plainly, headers included, at a better output."""
    plain_size, plain_snr = coded(case, "none", CASES[case][1].but(qp=plain_qp))
    size, snr = coded(case, "tail-aware", strength=strength, qp=34)
    assert size < 0.9 * plain_size
    assert snr > plain_snr


@pytest.mark.parametrize("case", CASES)
def test_more_strength_costs_less(case: str) -> None:
    sizes = [coded(case, "tail-aware", strength=one, qp=34)[0] for one in (1, 10, 100, 100_000)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 0.9 * sizes[0]


@pytest.mark.parametrize("case", CASES)
def test_levels_are_those_that_are_coded(case: str) -> None:
    """The search sees what decoders reconstruct, but for rounding: its error is that of the stream."""
    features, own, tail = CASES[case]
    settings = TailAware(strength=1, qp=36, iterations=8)
    config, choices = choose_levels(features, [tail], own, settings)
    chosen = list(choices)
    target = io.BytesIO()
    with refcodec.create(target, config) as writer:
        for feature, choice in zip(features, chosen, strict=True):
            writer.write(feature, choice=choice)
    assert config.clip is not None
    sample = (config.clip[1] - config.clip[0]) / (2**config.bits - 1)
    step, rounding = sample * 2 ** (config.bits - 8 + (36 - 4) / 6), 1.5 * sample
    with refcodec.open(target.getvalue()) as reader:
        for found, choice in zip(reader, chosen, strict=True):
            expected = (choice.levels * step).clip(*config.clip)
            volume = volume_of(found, tokens=config.tokens)
            assert np.abs(volume - expected).max() < rounding


def test_vectors_are_coded_without_a_transform() -> None:
    features, own, tail = CASES["vectors"]
    settings = TailAware(qp=36, iterations=1)
    _, choices = choose_levels(features, [tail], own, settings)
    assert {int(choice.head[0]) for choice in choices} == {0}


def test_rate_of_samples_by_hand() -> None:
    """A level 1 among zeros of a vector: what follows it expects more; and the signs."""
    levels = torch.zeros(1, 6, 1, 1)
    levels[0, 2] = 1.0
    of_all = 1 / 6 / 3  # share of the mean over the vector
    means = [of_all, of_all, of_all, of_all + 2 / 3 / 2, of_all + 2 / 3 / 2, of_all]
    expected = sum(np.log2(1 + mean) for mean in means) + np.log2((1 + of_all) / of_all) + 1
    assert float(SampleRates().bits(levels, levels.clone())) == pytest.approx(expected, rel=1e-5)


def test_progress_counts_tokens() -> None:
    features, own, tail = CASES["tokens of any number"]
    told: list[int] = []
    allocation = Allocation("tail-aware", {"iterations": 1, "qp": 40})
    write_features(io.BytesIO(), features, own, allocation, Ends(tail), told.append)
    assert told == [1, 2, 3, 4]
