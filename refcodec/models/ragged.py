"""Texts of different lengths in one call: padded for a network that takes a mask, else grouped by length."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

__all__ = ["ragged"]

Run = Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]
"""From N x T or N x T x D, and a mask N x T or None for no padding, to N results."""


def ragged(run: Run, items: Sequence[torch.Tensor], *, masked: bool) -> list[torch.Tensor]:
    """Run on items of different lengths, T or T x D each; returns the result of each.

    masked : true to run once, on padded items; else each length runs for itself.

    Results with an axis of tokens, N x T x ..., lose their padding.
    """
    if masked and items:
        lengths = torch.tensor([len(one) for one in items])
        mask = (torch.arange(int(lengths.max())) < lengths[:, None]).long().to(items[0].device)
        results = run(torch.nn.utils.rnn.pad_sequence(list(items), batch_first=True), mask)
        by_token = results.ndim > 2 and results.shape[1] == mask.shape[1]
        return [
            one[: len(item)] if by_token else one for one, item in zip(results, items, strict=True)
        ]
    found: dict[int, torch.Tensor] = {}
    for length in dict.fromkeys(map(len, items)):
        numbers = [number for number, one in enumerate(items) if len(one) == length]
        results = run(torch.stack([items[number] for number in numbers]), None)
        found |= zip(numbers, results, strict=True)
    return [found[number] for number in range(len(items))]
