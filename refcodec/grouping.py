"""Windows and groups of items that leave no trace in the order of the results."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

__all__ = ["by_key", "in_order", "in_windows"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Key = TypeVar("Key", bound=Hashable)


def by_key(items: Sequence[Item], keys: Sequence[Key]) -> dict[Key, list[Item]]:
    """Items by their keys; those of one key in their order."""
    groups: dict[Key, list[Item]] = {}
    for item, key in zip(items, keys, strict=True):
        groups.setdefault(key, []).append(item)
    return groups


def in_order(results: Mapping[Key, Iterable[Result]], keys: Sequence[Key]) -> Iterator[Result]:
    """Results of the groups of `by_key`, one for each item, in the order of the items."""
    rest = {key: iter(own) for key, own in results.items()}
    for key in keys:
        yield next(rest[key])


def in_windows(items: Iterable[tuple[Item, int]], largest: int, most: int) -> Iterator[list[Item]]:
    """Split items, each with its cost, into windows of at most ``most`` that cost at most ``largest``.

    An item that costs more has a window of its own. Where ``items`` ends by raising an error, the window
    gathered so far is yielded before the error is raised.
    """
    window: list[Item] = []
    total = 0
    try:
        for item, cost in items:
            if window and (total + cost > largest or len(window) == most):
                yield window
                window, total = [], 0
            window.append(item)
            total += cost
    except Exception:
        if window:
            yield window
        raise
    if window:
        yield window
